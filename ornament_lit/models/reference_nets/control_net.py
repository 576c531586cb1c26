"""ControlNetReference: a collage with the ornament's details, for a ControlNet, as AnyDoor has it.

Shape legend: B batch, c latent channels, h, w latent size, H, W image size.
"""

from collections.abc import Sequence

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from torch import Tensor

from ornament_lit.models.attention_layers import cross_attention_layers
from ornament_lit.models.collage import collage, detail_map
from ornament_lit.models.conditioning import Conditioning
from ornament_lit.models.reference_features import ReferenceFeatures
from ornament_lit.models.reference_nets.base import ReferenceNet
from ornament_lit.models.unet import added_conditions

HINT_CHANNELS = 4


class ControlNetReference(ReferenceNet):
    """Lay a map of the ornament's details over the box, and let a ControlNet read it (AnyDoor, 2023, arXiv 2307.09481).

    The ControlNet is a copy of the denoiser's encoder. Of noisy latents it sees nothing: its first convolution is zero
    and stays so, and the collage stands in their place. Its outputs are added to the skip connections of the denoiser
    in every denoising step. Samples without their ornament see the null tokens of the image encoder, and the same
    collage.

    Args:
        erosion: Pixels that the ornament's mask loses at its border, at 256 pixels, before details are looked for; 4 as
            published. A chain is thinner than twice that, and leaves nothing.
        threshold: Least strength of a detail, of 255; what is weaker becomes black.
        embedding_channels: Channels of the convolutions that read the collage; each but the first halves its sides,
            which must bring it to the size of the latents.
        gradient_checkpointing: Recompute activations in the backward pass to save memory.
    """

    needs = frozenset()
    per_step = own_null = True
    controlnet: ControlNetModel

    def __init__(
        self,
        erosion: int = 4,
        threshold: float = 50.0,
        embedding_channels: Sequence[int] = (16, 32, 96, 256),
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.erosion = erosion
        self.threshold = threshold
        self.embedding_channels = list(embedding_channels)
        self.gradient_checkpointing = gradient_checkpointing

    def check_factor(self, downsample_factor: int) -> None:
        """Check that the convolutions bring images to the size of the latents.

        Raises:
            ValueError: If they do not.
        """
        if downsample_factor & (downsample_factor - 1):
            raise ValueError(
                f"ControlNetReference halves images until they are as small as latents, got an autoencoder of factor "
                f"{downsample_factor}; take one whose factor is a power of two"
            )
        if 2 ** (len(self.embedding_channels) - 1) != downsample_factor:
            raise ValueError(
                f"embedding_channels must have {downsample_factor.bit_length()} entries, to bring images to latents "
                f"{downsample_factor} times smaller, got {self.embedding_channels}; set "
                "reference_net.init_args.embedding_channels"
            )

    def attach(self, unet: UNet2DConditionModel | None) -> None:
        """Copy the denoiser's encoder and middle block, weights included.

        Raises:
            ValueError: If the denoiser has none, or no tokens to attend to.
        """
        if unet is None or not cross_attention_layers(unet):
            raise ValueError(
                "ControlNetReference copies the encoder of a denoiser with image tokens, and there is no denoiser or "
                "no token; set model.denoiser.unet and model.image_encoder, or another reference_net"
            )
        self.controlnet = ControlNetModel.from_unet(
            unet,
            conditioning_embedding_out_channels=tuple(self.embedding_channels),
            conditioning_channels=HINT_CHANNELS,
        )
        self.controlnet.conv_in.requires_grad_(False)
        for weights in self.controlnet.conv_in.parameters():
            weights.zero_()
        if self.gradient_checkpointing:
            self.controlnet.enable_gradient_checkpointing()

    def forward(self, conditioning: Conditioning, input_mask: Tensor) -> ReferenceFeatures:
        """Compute the residuals of a denoising step, from the highest resolution to the lowest, and the middle one."""
        hint = self.hint(conditioning)
        rows, (height, width) = len(hint), input_mask.shape[-2:]
        nothing = hint.new_zeros(rows, self.controlnet.config.in_channels, height, width)
        timesteps = conditioning.timesteps
        down, middle = self.controlnet(
            nothing,
            hint.new_zeros(rows, dtype=torch.long) if timesteps is None else timesteps,
            encoder_hidden_states=conditioning.tokens(),
            controlnet_cond=hint,
            added_cond_kwargs=added_conditions(self.controlnet, rows, nothing),
            return_dict=False,
        )
        empty = input_mask[:, :0]
        return ReferenceFeatures(empty, empty, skip_residuals=(*down, middle), own_null=True)

    @torch.no_grad()
    def hint(self, conditioning: Conditioning) -> Tensor:
        """The collage: the person with the ornament's details in the box, and the box, (B, 4, H, W)."""
        image, mask, box = conditioning.ornament_image, conditioning.ornament_pixels, conditioning.input_pixels
        assert image is not None and mask is not None and box is not None
        details = detail_map(image, mask, self.erosion, self.threshold)
        return collage(conditioning.masked_person_image, box, details)
