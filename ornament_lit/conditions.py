"""Conditions: everything the networks are told about a batch, encoded once.

Shape legend: B batch, H, W picture size, c latent channels, h, w latent size, L image tokens of D channels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ornament_lit.autoencoders import Autoencoder
from ornament_lit.batch import TryOnBatch
from ornament_lit.image_encoders import ImageEncoder
from ornament_lit.mask_refinement import resize_mask


@dataclass(frozen=True)
class Conditions:
    """Encoded conditions of a batch.

    Attributes:
        erased_image: The person with the box erased to mid grey, (B, 3, H, W) in [-1, 1].
        erased_latents: Its latents, (B, c, h, w).
        ornament_latents: Latents of the ornament's picture, (B, c, h, w).
        ornament_mask: Where the ornament is in it, (B, 1, h, w) in [0, 1].
        box_mask: The coarse box, (B, 1, h, w) in [0, 1].
        image_tokens: (B, L, D).
    """

    erased_image: Tensor
    erased_latents: Tensor
    ornament_latents: Tensor
    ornament_mask: Tensor
    box_mask: Tensor
    image_tokens: Tensor


def encode_conditions(batch: TryOnBatch, autoencoder: Autoencoder, image_encoder: ImageEncoder) -> Conditions:
    """Erase the box from the person and encode the pictures.

    Args:
        batch: Pictures and masks; the wearing mask is not looked at.
        autoencoder: Encodes person and ornament.
        image_encoder: Encodes the ornament's tokens.
    """
    erased_image = batch["person_image"] * (1 - batch["box_mask"])
    erased_latents, ornament_latents = autoencoder.encode(torch.cat([erased_image, batch["ornament_image"]])).chunk(2)
    return Conditions(
        erased_image=erased_image,
        erased_latents=erased_latents,
        ornament_latents=ornament_latents,
        ornament_mask=resize_mask(batch["ornament_mask"], like=ornament_latents),
        box_mask=resize_mask(batch["box_mask"], like=erased_latents),
        image_tokens=image_encoder(batch["ornament_image"]),
    )
