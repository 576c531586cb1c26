"""UNetReferenceNet: the ReferenceNet of the paper, a copy of the denoiser's UNet.

Shape legend: B batch, c latent channels, h, w latent size, N tokens of a layer, C its channels.
"""

import copy
from typing import Literal

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor

from ornament_lit.models.attention import AttentionContext
from ornament_lit.models.attention_layers import cross_attention_layers, install_processors
from ornament_lit.models.conditioning import Conditioning
from ornament_lit.models.reference_features import LayerTokens, ReferenceFeatures, tokens_to_map
from ornament_lit.models.reference_nets.base import ReferenceNet
from ornament_lit.models.unet import added_conditions, cut_tail, fold_cross_attention, widen_input

Layout = Literal["rows", "canvas"]


class UNetReferenceNet(ReferenceNet):
    """Run a copy of the denoiser's UNet on the ornament and on the masked person, at timestep 0.

    Each image has its mask as an additional input channel: the ornament its own, the person the current wearing
    mask. The normalised input of every self-attention layer is handed to the denoiser's layer of the same name. The
    cross-attention sees one zero token, which is a constant and is folded; what lies behind the last self-attention
    is removed.

    Args:
        layout: ``canvas``: ornament and person side by side in one wide image, so that they see each other in the
            self-attention; ``rows``: two rows of the batch, which is cheaper, and they do not.
        gradient_checkpointing: Recompute activations in the backward pass to save memory, whether or not the denoiser
            does.
    """

    unet: UNet2DConditionModel

    def __init__(self, layout: Layout = "canvas", gradient_checkpointing: bool = False) -> None:
        super().__init__()
        if layout not in ("rows", "canvas"):
            raise ValueError(f"layout must be rows or canvas, got {layout!r}")
        self.layout = layout
        self.gradient_checkpointing = gradient_checkpointing

    def attach(self, unet: UNet2DConditionModel | None) -> None:
        """Copy the denoiser's UNet, weights included; the mask's input channel starts at zero.

        Raises:
            ValueError: If the denoiser has none.
        """
        if unet is None:
            raise ValueError(
                "UNetReferenceNet copies the denoiser's UNet, and NoDenoiser has none; set "
                "model.reference_net=NoReferenceNet"
            )
        self.unet = copy.deepcopy(unet).requires_grad_(True)
        latent_channels = unet.config.out_channels
        widen_input(self.unet, latent_channels + 1, keep=latent_channels)
        if cross_attention_layers(self.unet):
            fold_cross_attention(self.unet)
        last_block = cut_tail(self.unet)
        install_processors(self.unet)
        if self.gradient_checkpointing:
            self.unet.enable_gradient_checkpointing()
        else:  # the copy has that of the denoiser
            self.unet.disable_gradient_checkpointing()
        self.feature_channels = self.unet.get_submodule(last_block).norm1.normalized_shape[0]

    def forward(self, conditioning: Conditioning, input_mask: Tensor) -> ReferenceFeatures:
        """Compute tokens for every self-attention layer and, from the last of them, the maps for the mask head."""
        ornament = torch.cat([conditioning.ornament_latents, conditioning.ornament_mask], dim=1)
        person = torch.cat([conditioning.masked_person_latents, input_mask], dim=1)
        captured: dict[str, Tensor] = {}
        images = torch.cat([ornament, person], dim=0 if self.layout == "rows" else 3)
        self.unet(
            images,
            images.new_zeros((), dtype=torch.long),
            encoder_hidden_states=None,
            cross_attention_kwargs={"context": AttentionContext(captured=captured)},
            added_cond_kwargs=added_conditions(self.unet, len(images), ornament),
            return_dict=False,
        )
        height, width = ornament.shape[-2:]
        tokens = {name: self._split(layer, height, width) for name, layer in captured.items()}
        last = next(reversed(tokens.values()))
        ornament_map, person_map = (_to_map(layer, height, width) for layer in (last.ornament, last.person))
        return ReferenceFeatures(ornament_map=ornament_map, person_map=person_map, tokens=tokens)

    def _split(self, tokens: Tensor, height: int, width: int) -> LayerTokens:
        """Split a layer's tokens, (2B, N, C) or (B, 2N, C), into those of the ornament and of the person."""
        if self.layout == "rows":
            ornament, person = tokens.chunk(2, dim=0)
            return LayerTokens(ornament, person)
        halves = tokens_to_map(tokens, height, 2 * width).chunk(2, dim=3)
        ornament, person = (half.flatten(2).transpose(1, 2) for half in halves)
        return LayerTokens(ornament, person)


def _to_map(tokens: Tensor, height: int, width: int) -> Tensor:
    """Lay tokens out as a map of the latents' size, (B, C, h, w); the last layer of SDXL has half of it."""
    grid = tokens_to_map(tokens, height, width)
    size = (height, width)
    return grid if grid.shape[-2:] == size else F.interpolate(grid, size=size, mode="bilinear", align_corners=False)
