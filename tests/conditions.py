"""What a reference net is given, from latents and masks alone."""

from typing import Any

from torch import Tensor

from ornament_lit.models.conditioning import Conditioning


def told(
    ornament_latents: Tensor, ornament_mask: Tensor, person_latents: Tensor, input_mask: Tensor, **others: Any
) -> tuple[Conditioning, Tensor]:
    """The arguments of a reference net; ``others`` are further entries of its conditioning."""
    tokens = others.pop("image_tokens", ornament_latents.new_zeros(len(ornament_latents), 0, 0))
    conditioning = Conditioning(
        masked_person_image=others.pop("masked_person_image", person_latents[:, :3]),
        masked_person_latents=person_latents,
        ornament_latents=ornament_latents,
        ornament_mask=ornament_mask,
        box_mask=input_mask,
        image_tokens=tokens,
        **others,
    )
    return conditioning, input_mask
