"""Putting the networks of the method together: the parts must fit each other, and work together on a mask.

Training and the pipeline both do it here.
"""

from functools import partial

from torch import Tensor

from ornament_lit.models.autoencoders import Autoencoder
from ornament_lit.models.conditioning import Conditions
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import ImageEncoder
from ornament_lit.models.mask_heads import MaskHead
from ornament_lit.models.mask_refinement import MaskRefinement
from ornament_lit.models.no_denoiser import NoDenoiser
from ornament_lit.models.reference_nets import ReferenceNet


def assemble(
    autoencoder: Autoencoder,
    image_encoder: ImageEncoder,
    denoiser: Denoiser,
    reference_net: ReferenceNet,
    mask_head: MaskHead,
) -> None:
    """Check that parts fit each other, and build the layers of those that depend on others.

    Args:
        autoencoder: Between pictures and latents.
        image_encoder: Without tokens, the denoiser loses its cross-attention.
        denoiser: Gives shape and starting weights to the reference net.
        reference_net: Gives its width to the mask head.
        mask_head: Refines the box to the wearing mask.

    Raises:
        ValueError: If the widths of two parts differ.
    """
    if denoiser.latent_channels not in (NoDenoiser.latent_channels, autoencoder.latent_channels):
        raise ValueError(
            f"the UNet must have out_channels={autoencoder.latent_channels}, the autoencoder's latent channels, "
            f"got {denoiser.latent_channels}"
        )
    if image_encoder.num_tokens and image_encoder.token_dim != denoiser.cross_attention_dim:
        raise ValueError(
            f"image_encoder.token_dim={image_encoder.token_dim} must equal the UNet's "
            f"cross_attention_dim={denoiser.cross_attention_dim}"
        )
    if image_encoder.num_tokens == 0:
        denoiser.drop_cross_attention()
    reference_net.attach(denoiser.unet)
    mask_head.attach(reference_net.feature_channels)


def refine(
    reference_net: ReferenceNet,
    mask_head: MaskHead,
    steps_taken: int,
    conditions: Conditions,
    start: Tensor | None = None,
) -> MaskRefinement:
    """Compute the reference features and refine the mask.

    Args:
        reference_net: The reference net.
        mask_head: The mask head.
        steps_taken: Training steps so far, for what is scheduled by them.
        conditions: Encoded conditions of a batch.
        start: The mask to start from, (B, 1, h, w) in [0, 1]; None for the box alone.
    """
    reference = partial(reference_net, conditions.ornament_latents, conditions.ornament_mask, conditions.erased_latents)
    refinement: MaskRefinement = mask_head(reference, conditions.box_mask, steps_taken, start, conditions.denoised)
    return refinement
