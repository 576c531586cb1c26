"""TryOnModel: the networks of the method, put together, as training and the pipeline both hold them.

Shape legend: B batch, H, W image size, c latent channels, h, w latent size, N noisy versions of a sample.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ornament_lit.batch import TryOnBatch
from ornament_lit.models.autoencoders import Autoencoder
from ornament_lit.models.conditioning import Conditioning, Latents, add_warp, encode, encode_conditioning
from ornament_lit.models.denoiser import Denoiser, DenoiserOutput
from ornament_lit.models.image_encoders import ImageEncoder
from ornament_lit.models.mask_heads import MaskHead
from ornament_lit.models.mask_refinement import MaskRefinement
from ornament_lit.models.no_denoiser import NoDenoiser
from ornament_lit.models.prompt_encoders import NoPrompt, PromptEncoder
from ornament_lit.models.reference_features import fill_rows, repeat_rows
from ornament_lit.models.reference_nets import ReferenceNet
from ornament_lit.models.warps import NoWarp, Warp


class TryOnModel(nn.Module):
    """Autoencoder, encoders of image and prompt, denoiser, reference net, mask head and warp, and how they work.

    A batch goes through it in three steps: :meth:`encode` what may be looked at, :meth:`refine` the box to the wearing
    mask, and :meth:`denoise` once in training or many times in the sampler.

    Args:
        autoencoder: Between images and latents.
        image_encoder: Tokens of the ornament; without tokens, the denoiser loses its cross-attention.
        denoiser: Gives shape and starting weights to the reference net.
        reference_net: Features of ornament and person; gives its width to the mask head.
        mask_head: Refines the box to the wearing mask.
        warp: Says where each pixel of the worn ornament comes from in its image; None for none.
        neutral_background: The networks see the ornament on mid grey, whatever is around it in its image.
        prompt_encoder: Tokens of a prompt, by the ornament's category; None for none.

    Raises:
        ValueError: If the widths of two parts differ, or decoupled tokens have no prompt or image beside them.
    """

    def __init__(
        self,
        autoencoder: Autoencoder,
        image_encoder: ImageEncoder,
        denoiser: Denoiser,
        reference_net: ReferenceNet,
        mask_head: MaskHead,
        warp: Warp | None = None,
        neutral_background: bool = False,
        prompt_encoder: PromptEncoder | None = None,
    ) -> None:
        super().__init__()
        prompt_encoder = prompt_encoder or NoPrompt()
        _check_widths(autoencoder, denoiser, {"image_encoder": image_encoder, "prompt_encoder": prompt_encoder})
        if image_encoder.num_tokens + prompt_encoder.num_tokens == 0:
            denoiser.drop_cross_attention()
        reference_net.check_factor(autoencoder.downsample_factor)
        reference_net.attach(denoiser.unet)
        mask_head.attach(reference_net.feature_channels)
        self.autoencoder = autoencoder
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.denoiser = denoiser
        self.reference_net = reference_net
        self.mask_head = mask_head
        self.warp = warp or NoWarp()
        self.neutral_background = neutral_background

    def encode(self, batch: TryOnBatch, ask_warp: bool = True, true_share: float = 0.0) -> Conditioning:
        """Encode what may be looked at, and ask the warp; what the box hides is not looked at.

        Args:
            batch: Images and masks; the wearing mask is not looked at.
            ask_warp: False to do without what the warp says.
            true_share: Share of the samples whose ornament is laid over by the true correspondence, in training.
        """
        encoders = (self.autoencoder, self.image_encoder)
        conditioning = encode_conditioning(batch, *encoders, self.neutral_background, self._needed_latents())
        if self.prompt_encoder.num_tokens:
            conditioning = replace(conditioning, prompt=self.prompt_encoder(batch["category"], batch["person_image"]))
        return add_warp(conditioning, self.warp, batch, self.autoencoder, true_share) if ask_warp else conditioning

    def _needed_latents(self) -> set[Latents]:
        """Latents that a network looks at."""
        needed = set(self.reference_net.needs)
        return needed | {"erased"} if self.denoiser.needs_erased else needed

    def encode_target(self, batch: TryOnBatch) -> Tensor:
        """Latents of the person wearing the ornament, which training alone may see, (B, c, h, w)."""
        latents = batch.get("encoded", {}).get("person_latents")
        return self.denoiser.noised(encode(self.autoencoder, batch["person_image"]) if latents is None else latents)

    def refine(self, conditioning: Conditioning, steps_taken: int = 0, start: Tensor | None = None) -> MaskRefinement:
        """Compute the reference features and refine the mask.

        Args:
            conditioning: What :meth:`encode` returned, of B samples. Where there are ``timesteps`` of N B rows, and
                features depend on them or on who is given their ornament, the refinement has N B rows, too.
            steps_taken: Training steps so far, for what is scheduled by them.
            start: The mask to start from, (B, 1, h, w) in [0, 1]; None for the box alone.
        """
        if not (self.reference_net.per_step or self.reference_net.own_null):
            conditioning = replace(conditioning, timesteps=None, given=None)
        elif conditioning.timesteps is not None:
            conditioning = fill_rows(conditioning, len(conditioning.timesteps))
        reference = partial(self.reference_net, conditioning)
        refinement: MaskRefinement = self.mask_head(
            reference, conditioning.box_mask, steps_taken, start, conditioning.denoised
        )
        return refinement

    def refine_guided(
        self, conditioning: Conditioning, steps_taken: int = 0, start: Tensor | None = None
    ) -> MaskRefinement:
        """Do what :meth:`refine` does, for :meth:`denoise_guided`.

        The features of a reference net with ``own_null`` have 2B rows: B samples with their ornaments, and the same B
        without. Masks have B rows always.
        """
        if not self.reference_net.own_null:
            return self.refine(conditioning, steps_taken, start)
        rows = len(conditioning.box_mask)
        given = torch.arange(2 * rows, device=conditioning.box_mask.device) < rows
        both = fill_rows(conditioning, 2 * rows)
        refinement = self.refine(replace(both, given=given), steps_taken, fill_rows(start, 2 * rows))
        return replace(refinement, mask=refinement.mask[:rows], logits=tuple(each[:rows] for each in refinement.logits))

    def project(self, refinement: MaskRefinement) -> MaskRefinement:
        """Project the features of a refinement to keys and values, once for all steps that use them."""
        return replace(refinement, features=self.denoiser.project(refinement.features))

    def denoise(
        self,
        noisy_latents: Tensor,
        timesteps: Tensor,
        conditioning: Conditioning,
        refinement: MaskRefinement,
        keep_condition: Tensor | None = None,
        mass_layers: Sequence[str] = (),
        points: Mapping[str, Tensor] | None = None,
    ) -> DenoiserOutput:
        """Predict one denoising step.

        Args:
            noisy_latents: N noisy versions of each sample, all first ones first, (N B, c, h, w).
            timesteps: (N B,) int64.
            conditioning: Of the B samples.
            refinement: Of the B samples, or of all N B rows.
            keep_condition: See :meth:`ornament_lit.models.denoiser.Denoiser.forward`, (N B,) bool.
            mass_layers: Layers whose attention mass on the ornament is wanted.
            points: By layer, points of the person's image whose attention is wanted, (B, S, 2).

        Returns:
            The prediction and what was measured, of N B rows.
        """
        told = fill_rows({**self._told(conditioning, refinement), "points": points or {}}, len(noisy_latents))
        output: DenoiserOutput = self.denoiser(
            noisy_latents, timesteps, **told, mass_layers=mass_layers, keep_condition=keep_condition
        )
        return output

    def denoise_guided(
        self, noisy_latents: Tensor, timesteps: Tensor, conditioning: Conditioning, refinement: MaskRefinement
    ) -> tuple[Tensor, Tensor]:
        """Predict with the reference and without it, see :meth:`ornament_lit.models.denoiser.Denoiser.guided`."""
        if refinement.features.own_null:
            rows = len(noisy_latents)
            given = torch.arange(2 * rows, device=noisy_latents.device) < rows
            noisy_latents, timesteps = repeat_rows((noisy_latents, timesteps), 2)
            both = self.denoise(noisy_latents, timesteps, conditioning, refinement, given).prediction
            return both[:rows], both[rows:]
        return self.denoiser.guided(noisy_latents, timesteps, **self._told(conditioning, refinement))

    def decode(self, latents: Tensor) -> Tensor:
        """Images of latents, (B, 3, H, W) in [-1, 1]."""
        return self.autoencoder.decode(latents).clamp(-1, 1)

    def _told(self, conditioning: Conditioning, refinement: MaskRefinement) -> dict[str, Any]:
        """What the denoiser is told beside noisy latents and timesteps."""
        return {
            "masked_person_latents": conditioning.masked_person_latents,
            "input_mask": refinement.mask,
            "image_tokens": conditioning.image_tokens,
            "features": refinement.features,
            "ornament_mask": conditioning.ornament_mask,
            "box_mask": conditioning.box_mask,
            "warp_latents": conditioning.warp_latents,
            "null_tokens": conditioning.null_tokens,
            "prompt": conditioning.prompt,
        }


def _check_widths(
    autoencoder: Autoencoder, denoiser: Denoiser, encoders: Mapping[str, ImageEncoder | PromptEncoder]
) -> None:
    if denoiser.latent_channels not in (NoDenoiser.latent_channels, autoencoder.latent_channels):
        raise ValueError(
            f"the UNet must have out_channels={autoencoder.latent_channels}, the autoencoder's latent channels, "
            f"got {denoiser.latent_channels}"
        )
    for name, encoder in encoders.items():
        if encoder.num_tokens and encoder.token_dim != denoiser.cross_attention_dim:
            raise ValueError(
                f"{name}.token_dim={encoder.token_dim} must equal the UNet's "
                f"cross_attention_dim={denoiser.cross_attention_dim}"
            )
    absent = [name for name, encoder in encoders.items() if not encoder.num_tokens]
    if denoiser.decoupled_tokens and absent:
        raise ValueError(
            f"denoiser.decoupled_tokens attends to a prompt and to image tokens, and there is no {absent[0]}; set "
            f"model.{absent[0]}, or decoupled_tokens to false"
        )
