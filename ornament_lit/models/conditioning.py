"""Conditioning: everything the networks are told about a batch, encoded once.

Shape legend: B batch, H, W image size, c latent channels, h, w latent size, L image tokens of D channels.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ornament_lit.batch import EncodedImages, TryOnBatch, input_mask, visible_person
from ornament_lit.models.autoencoders import Autoencoder
from ornament_lit.models.image_encoders import ImageEncoder
from ornament_lit.models.mask_refinement import MaskRefinement, resize_mask
from ornament_lit.models.prompts import Prompts
from ornament_lit.models.warps import Warp
from ornament_lit.models.warps.base import WarpOutput, lay_by_ground_truth, warp_ground_truth, warp_inputs
from ornament_lit.models.withholding import cross_tokens, given_or

Latents = Literal["erased", "ornament"]
"""Of the person with the box masked out, and of the ornament's image."""
ALL_LATENTS: tuple[Latents, ...] = ("erased", "ornament")


@dataclass(frozen=True)
class Conditioning:
    """What the networks are told of a batch, encoded.

    Attributes:
        masked_person_image: The person with the box replaced by mid grey, (B, 3, H, W) in [-1, 1].
        masked_person_latents: Its latents, (B, c, h, w); zeros where no network looks at them.
        ornament_latents: Latents of the ornament's image, (B, c, h, w); zeros where no network looks at them.
        ornament_mask: Where the ornament is in it, (B, 1, h, w) in [0, 1].
        box_mask: The coarse box, or another input mask, (B, 1, h, w) in [0, 1].
        image_tokens: (B, L, D).
        warp: What the warp says; None for a model without.
        warp_latents: Latents of its composite, and its coverage, (B, c + 1, h, w).
        denoised: How far the denoising is, (B,) in [0, 1]; None before it begins.
        ornament_image: The ornament's image, (B, 3, H, W) in [-1, 1].
        ornament_pixels: Where the ornament is in it, (B, 1, H, W) in [0, 1].
        input_pixels: ``box_mask`` at the size of the images, (B, 1, H, W).
        null_tokens: What stands in the place of image tokens that are not given, (B, L, D); None for zeros.
        prompt: Tokens of the prompt; None for none.
        timesteps: Of the denoising step, (B,) int64; None before it begins.
        given: Who is given their ornament, (B,) bool; None for all.
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
    ornament_image: Tensor | None = None
    ornament_pixels: Tensor | None = None
    input_pixels: Tensor | None = None
    null_tokens: Tensor | None = None
    prompt: Prompts | None = None
    timesteps: Tensor | None = None
    given: Tensor | None = None

    def tokens(self) -> Tensor:
        """What a cross-attention is told, [prompt ; image tokens], (B, P + L, D); the null ones where not given."""
        image = given_or(self.given, self.image_tokens, self.null_tokens)
        prompt = None if self.prompt is None else given_or(self.given, self.prompt.tokens, self.prompt.null)
        return cross_tokens(prompt, image)


def encode_conditioning(
    batch: TryOnBatch,
    autoencoder: Autoencoder,
    image_encoder: ImageEncoder,
    neutral_background: bool = False,
    needed: Collection[Latents] = ALL_LATENTS,
) -> Conditioning:
    """Mask the box out of the person and encode the images; what the box hides is not looked at.

    Args:
        batch: Images and masks; the wearing mask is not looked at.
        autoencoder: Encodes person and ornament.
        image_encoder: Encodes the ornament's tokens.
        neutral_background: See :func:`encode_images`.
        needed: See :func:`encode_images`.
    """
    encoded = encode_images(batch, autoencoder, image_encoder, False, neutral_background, needed)
    return make_conditioning(batch, encoded, image_encoder)


def encode_images(
    batch: TryOnBatch,
    autoencoder: Autoencoder,
    image_encoder: ImageEncoder,
    whole_person: bool = True,
    neutral_background: bool = False,
    needed: Collection[Latents] = ALL_LATENTS,
) -> EncodedImages:
    """Take the encodings that a batch brings along, and compute the others.

    Args:
        batch: Images and the box.
        autoencoder: Encodes person and ornament.
        image_encoder: Extracts the ornament's features.
        whole_person: Encode the person with the ornament, too, which only training may see.
        neutral_background: Encode the ornament on mid grey, whatever is around it in its image.
        needed: Latents that a network looks at; the others are zeros, where the batch does not bring them along.

    Raises:
        ValueError: If the background shall be neutral, and the batch brings encodings of the ornament along.
    """
    encoded = EncodedImages(**batch.get("encoded", {}))
    if neutral_background:
        batch = on_neutral_background(batch)
    if "masked_person_latents" not in encoded or "ornament_latents" not in encoded:
        erased, ornament = _encode_needed(batch, autoencoder, needed)
        encoded["masked_person_latents"], encoded["ornament_latents"] = erased, ornament
    if "image_features" not in encoded:
        encoded["image_features"] = image_encoder.extract(batch["ornament_image"], batch["ornament_mask"])
    if whole_person and "person_latents" not in encoded:
        encoded["person_latents"] = encode(autoencoder, batch["person_image"])
    return encoded


def _encode_needed(batch: TryOnBatch, autoencoder: Autoencoder, needed: Collection[Latents]) -> tuple[Tensor, Tensor]:
    """Latents of masked person and ornament, encoded together; zeros for what is not needed."""
    images = {"erased": mask_person(batch), "ornament": batch["ornament_image"]}
    wanted = [name for name in ALL_LATENTS if name in needed]
    encoded = encode(autoencoder, torch.cat([images[name] for name in wanted])) if wanted else None
    latents = {} if encoded is None else dict(zip(wanted, encoded.chunk(len(wanted)), strict=True))
    size = [side // autoencoder.downsample_factor for side in images["ornament"].shape[-2:]]
    zeros = images["ornament"].new_zeros(len(images["ornament"]), autoencoder.latent_channels, *size)
    return latents.get("erased", zeros), latents.get("ornament", zeros)


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
    tokens = image_encoder.project(encoded["image_features"])
    return Conditioning(
        masked_person_image=mask_person(batch),
        masked_person_latents=encoded["masked_person_latents"],
        ornament_latents=encoded["ornament_latents"],
        ornament_mask=resize_mask(batch["ornament_mask"], like=encoded["ornament_latents"]),
        box_mask=resize_mask(input_mask(batch), like=encoded["masked_person_latents"]),
        image_tokens=tokens,
        null_tokens=image_encoder.null_tokens(tokens),
        ornament_image=batch["ornament_image"],
        ornament_pixels=batch["ornament_mask"],
        input_pixels=input_mask(batch),
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
