"""The method as reference nets are usually written, to compare ours with; written for this comparison alone.

- Features are kept in banks on the attention processors, and are to be cleared after each step.
- Image and reference are joined before the queries are made, and two thirds of the output are thrown away.
- For the attention loss the attention map of the image's queries is made, beside the fused attention.
- The reference net is a whole UNet: its tail runs, and its cross-attention sees as many tokens as the denoiser's.

It has the weights of the module that it is made from, and computes the same losses. (The tokens of its cross-attention
are zero: their number costs what CLIP's tokens would, and gives what our single folded token gives.)

Shape legend: B batch, N tokens of a layer, C its channels, h, w latent size.
"""

import copy

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor, nn

from ornament_lit.batch import TryOnBatch
from ornament_lit.diffusion.noise import denoising_loss, draw_noising
from ornament_lit.models.attention import mask_to_tokens
from ornament_lit.models.attention_layers import highest_resolution_layers, self_attention_layers
from ornament_lit.models.conditioning import make_conditioning
from ornament_lit.models.reference_features import ReferenceFeatures, tokens_to_map
from ornament_lit.models.unet import widen_input
from ornament_lit.module import TryOnModule


class Writing:
    """Self-attention that notes its input in a bank."""

    def __init__(self) -> None:
        self.bank: list[Tensor] = []
        self.plain = AttnProcessor2_0()

    def __call__(self, attn: Attention, hidden_states: Tensor, *args: object, **kwargs: object) -> Tensor:
        """Attend from ``hidden_states``, (B, N, C), to itself."""
        self.bank.append(hidden_states)
        attended: Tensor = self.plain(attn, hidden_states, *args, **kwargs)
        return attended


class Reading:
    """Self-attention over the image and what its bank holds."""

    def __init__(self, with_map: bool) -> None:
        self.bank: list[Tensor] = []
        self.maps: list[Tensor] = []
        self.with_map = with_map

    def __call__(self, attn: Attention, hidden_states: Tensor, *args: object, **kwargs: object) -> Tensor:
        """Attend from all to all, and keep the image's part, (B, N, C)."""
        count = hidden_states.shape[1]
        both = torch.cat([hidden_states, *self.bank], dim=1)
        query, key, value = (
            attn.head_to_batch_dim(layer(both), out_dim=4) for layer in (attn.to_q, attn.to_k, attn.to_v)
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        if self.with_map:
            scores = query[:, :, :count] @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
            self.maps.append(scores.softmax(dim=-1))
        projected: Tensor = attn.to_out[0](attended.transpose(1, 2).flatten(2))
        return projected.split([count, both.shape[1] - count], dim=1)[0]


def set_self_attention(unet: UNet2DConditionModel, processors: dict[str, Writing] | dict[str, Reading]) -> None:
    """Set the processors of the self-attention layers, by name; the others get those of diffusers."""
    unet.set_attn_processor(
        {name: processors.get(name.removesuffix(".processor"), AttnProcessor2_0()) for name in unet.attn_processors}
    )


class PlainReference(nn.Module):
    """The method with the weights of a module that has not been trained.

    Args:
        module: A module of ours that holds a `UNetReferenceNet` on a canvas; it is copied.
    """

    def __init__(self, module: TryOnModule) -> None:
        super().__init__()
        self.unet = copy.deepcopy(module.model.denoiser.unet)
        self.reference = copy.deepcopy(module.model.denoiser.unet)
        widen_input(self.reference, 5, keep=4)
        self.mask_head, self.image_encoder = (
            copy.deepcopy(part) for part in (module.model.mask_head, module.model.image_encoder)
        )
        self.attention_loss, self.noise_scheduler = module.attention_loss, module.noise_scheduler
        names, wanted = self_attention_layers(self.unet), highest_resolution_layers(self.unet)
        self.writing = {name: Writing() for name in names}
        self.reading = {name: Reading(name in wanted) for name in names}
        set_self_attention(self.reference, self.writing)
        set_self_attention(self.unet, self.reading)

    def clear(self) -> None:
        """Empty the banks."""
        for processor in (*self.writing.values(), *self.reading.values()):
            processor.bank.clear()
        for processor in self.reading.values():
            processor.maps.clear()

    def fill(self, canvas: Tensor, num_tokens: int) -> ReferenceFeatures:
        """Run the reference net on ornament and person side by side, (B, 5, h, 2w), and hand its banks over."""
        height, width = canvas.shape[-2], canvas.shape[-1] // 2
        tokens = canvas.new_zeros(len(canvas), num_tokens, self.image_encoder.token_dim)
        self.reference(canvas, 0, tokens)
        maps: list[Tensor] = []
        for name, processor in self.writing.items():
            maps = list(tokens_to_map(processor.bank[0], height, 2 * width).chunk(2, dim=3))
            self.reading[name].bank.extend(half.flatten(2).transpose(1, 2) for half in maps)
        return ReferenceFeatures(*maps)

    def mass(self, ornament_mask: Tensor) -> dict[str, Tensor]:
        """Sum the maps over the ornament's masked keys, (B, N, 1) by layer."""
        masses = {}
        for name, processor in self.reading.items():
            for attention in processor.maps:
                count = attention.shape[2]
                columns = mask_to_tokens(ornament_mask, count)[:, None]
                masses[name] = (attention[..., count : 2 * count] @ columns).mean(dim=1)
        return masses

    def losses(self, batch: TryOnBatch) -> dict[str, Tensor]:
        """The three losses of a batch whose encodings are given."""
        self.clear()
        latents = batch["encoded"]["person_latents"]
        conditioning = make_conditioning(batch, batch["encoded"], self.image_encoder)
        num_timesteps = self.noise_scheduler.config.num_train_timesteps
        timesteps, noise, _ = draw_noising(batch["sample_seed"], num_timesteps, latents)
        images = (
            torch.cat([conditioning.ornament_latents, conditioning.ornament_mask], dim=1),
            torch.cat([conditioning.masked_person_latents, conditioning.box_mask], dim=1),
        )
        features = self.fill(torch.cat(images, dim=3), conditioning.image_tokens.shape[1])
        refinement = self.mask_head(lambda mask: features, conditioning.box_mask, 0)
        noisy = self.noise_scheduler.add_noise(latents, noise, timesteps)
        inputs = torch.cat([noisy, refinement.mask, conditioning.masked_person_latents], dim=1)
        prediction = self.unet(inputs, timesteps, conditioning.image_tokens).sample
        attention, _ = self.attention_loss(self.mass(conditioning.ornament_mask), batch["wearing_mask"])
        return {
            "noise": denoising_loss(prediction, noise, conditioning.box_mask),
            "mask": self.mask_head.loss(refinement, batch["wearing_mask"]),
            "attention": attention,
        }
