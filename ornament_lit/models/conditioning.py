"""Conditioning: everything the networks are told about a batch, encoded once.

Shape legend: B batch, H, W image size, c latent channels, h, w latent size, L image tokens of D channels.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ornament_lit.batch import EncodedImages, TryOnBatch, input_mask, visible_person
from ornament_lit.models.autoencoders import Autoencoder
from ornament_lit.models.image_encoders import ImageEncoder
from ornament_lit.models.mask_refinement import MaskRefinement, resize_mask
from ornament_lit.models.warps import Warp
from ornament_lit.models.warps.base import WarpOutput, lay_by_ground_truth, warp_ground_truth, warp_inputs


@dataclass(frozen=True)
class Conditioning:
    """What the networks are told of a batch, encoded.

    Attributes:
        masked_person_image: The person with the box replaced by mid grey, (B, 3, H, W) in [-1, 1].
        masked_person_latents: Its latents, (B, c, h, w).
        ornament_latents: Latents of the ornament's image, (B, c, h, w).
        ornament_mask: Where the ornament is in it, (B, 1, h, w) in [0, 1].
        box_mask: The coarse box, or another input mask, (B, 1, h, w) in [0, 1].
        image_tokens: (B, L, D).
        warp: What the warp says; None for a model without.
        warp_latents: Latents of its composite, and its coverage, (B, c + 1, h, w).
        denoised: How far the denoising is, (B,) in [0, 1]; None before it begins.
    """

    masked_person_image: Tensor
    masked_person_latents: Tensor
    ornament_latents: Tensor
    ornament_mask: Tensor
    box_mask: Tensor
    image_tokens: Tensor
    warp: WarpOutput | None = None
    warp_latents: Tensor | None = None
    denoised: Tensor | None = None


def encode_conditioning(
    batch: TryOnBatch, autoencoder: Autoencoder, image_encoder: ImageEncoder, neutral_background: bool = False
) -> Conditioning:
    """Mask the box out of the person and encode the images; what the box hides is not looked at.

    Args:
        batch: Images and masks; the wearing mask is not looked at.
        autoencoder: Encodes person and ornament.
        image_encoder: Encodes the ornament's tokens.
        neutral_background: See :func:`encode_images`.
    """
    encoded = encode_images(batch, autoencoder, image_encoder, False, neutral_background)
    return make_conditioning(batch, encoded, image_encoder)


def encode_images(
    batch: TryOnBatch,
    autoencoder: Autoencoder,
    image_encoder: ImageEncoder,
    whole_person: bool = True,
    neutral_background: bool = False,
) -> EncodedImages:
    """Take the encodings that a batch brings along, and compute the others.

    Args:
        batch: Images and the box.
        autoencoder: Encodes person and ornament.
        image_encoder: Extracts the ornament's features.
        whole_person: Encode the person with the ornament, too, which only training may see.
        neutral_background: Encode the ornament on mid grey, whatever is around it in its image.

    Raises:
        ValueError: If the background shall be neutral, and the batch brings encodings of the ornament along.
    """
    encoded = EncodedImages(**batch.get("encoded", {}))
    if neutral_background:
        batch = on_neutral_background(batch)
    if "masked_person_latents" not in encoded or "ornament_latents" not in encoded:
        both = encode(autoencoder, torch.cat([mask_person(batch), batch["ornament_image"]]))
        encoded["masked_person_latents"], encoded["ornament_latents"] = both.chunk(2)
    if "image_features" not in encoded:
        encoded["image_features"] = image_encoder.extract(batch["ornament_image"])
    if whole_person and "person_latents" not in encoded:
        encoded["person_latents"] = encode(autoencoder, batch["person_image"])
    return encoded


def encode(autoencoder: Autoencoder, images: Tensor) -> Tensor:
    """Latents in the type of the images, (B, 3, H, W): those of autocast are of 16 bits, too coarse to be noised."""
    return autoencoder.encode(images).to(images.dtype)


def make_conditioning(batch: TryOnBatch, encoded: EncodedImages, image_encoder: ImageEncoder) -> Conditioning:
    """Put the conditioning together.

    Args:
        batch: Images and masks.
        encoded: Encodings of its images, without the whole person.
        image_encoder: Projects the ornament's features to tokens.
    """
    return Conditioning(
        masked_person_image=mask_person(batch),
        masked_person_latents=encoded["masked_person_latents"],
        ornament_latents=encoded["ornament_latents"],
        ornament_mask=resize_mask(batch["ornament_mask"], like=encoded["ornament_latents"]),
        box_mask=resize_mask(input_mask(batch), like=encoded["masked_person_latents"]),
        image_tokens=image_encoder.project(encoded["image_features"]),
    )


@torch.no_grad()
def add_warp(
    conditioning: Conditioning, warp: Warp, batch: TryOnBatch, autoencoder: Autoencoder, true_share: float = 0.0
) -> Conditioning:
    """Ask a warp, and encode what it says.

    Args:
        conditioning: Of the batch.
        warp: A warp that says nothing leaves the conditioning as it is.
        batch: Images and masks.
        autoencoder: Encodes the composite.
        true_share: Share of the samples whose ornament is laid over by the true correspondence, in training.
    """
    if not warp.num_predictions:
        return conditioning
    inputs = warp_inputs(batch)
    output = warp(inputs).on_known_skin(batch["person_image"], unknown_skin(batch))
    if true_share:
        output = lay_by_ground_truth(output, inputs, warp_ground_truth(batch), true_share)
    latents = encode(autoencoder, output.composite.clamp(-1, 1).to(batch["person_image"].dtype))
    coverage = resize_mask(output.coverage, like=latents).to(latents.dtype)
    return replace(conditioning, warp=output, warp_latents=torch.cat([latents, coverage], dim=1))


def unknown_skin(batch: TryOnBatch) -> Tensor:
    """Where the warp's skin stays as it is predicted, (B, 1, H, W) in [0, 1].

    Where the model was shown the bare person, it is that one with the ornament's shadow.
    """
    region, bare = input_mask(batch), batch.get("bare_person")
    return region if bare is None else torch.maximum(region, bare["shown"].view(-1, 1, 1, 1).to(region))


def predicted_masks(conditioning: Conditioning, refinement: MaskRefinement, like: Tensor) -> Tensor:
    """Wearing masks of the mask head's iterations, and after them that of the warp, if there is one.

    Args:
        conditioning: Know what the warp said.
        refinement: Knows what the mask head said.
        like: (B, 1, H, W), of the size of the images.

    Returns:
        (T, B, 1, H, W) in [0, 1].
    """
    masks = refinement.upsample(like)
    return masks if conditioning.warp is None else torch.cat([masks, conditioning.warp.coverage[None].to(masks)])


def on_neutral_background(batch: TryOnBatch) -> TryOnBatch:
    """The same batch with the ornament on mid grey: its image times its mask.

    Raises:
        ValueError: If the batch brings encodings of the ornament along, which show its background.
    """
    brought = sorted({"ornament_latents", "image_features"} & set(batch.get("encoded", {})))
    if brought:
        raise ValueError(
            f"neutral_background needs ornaments that are encoded anew, got {' and '.join(brought)} computed "
            "beforehand with the background; set data.precomputed to never, or neutral_background to false"
        )
    return {**batch, "ornament_image": batch["ornament_image"] * batch["ornament_mask"]}


def mask_person(batch: TryOnBatch) -> Tensor:
    """The person with the box (or the input mask) replaced by mid grey, or the bare one, (B, 3, H, W) in [-1, 1]."""
    return visible_person(batch, input_mask(batch))
