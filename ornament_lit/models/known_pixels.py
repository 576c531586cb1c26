"""What is known outside of the box while an image is generated: everything, or nothing is made of it.

Shape legend: B batch, c latent channels, h, w latent size.
"""

import torch
from torch import Tensor


class NothingKnown:
    """Noisy latents stay as they are, and all of them are generated."""

    def insert(self, latents: Tensor, masked_person_latents: Tensor, box_mask: Tensor | None) -> Tensor:
        """Return the latents, (B, c, h, w)."""
        return latents

    def unknown(self, box_mask: Tensor) -> Tensor | None:
        """Say that every position is to be generated."""
        return None


class OutsideBoxKnown(NothingKnown):
    """Outside of the box stand the clean latents of the masked person, and nothing is generated there.

    A position counts as known where the box covers nothing of it.
    """

    def insert(self, latents: Tensor, masked_person_latents: Tensor, box_mask: Tensor | None) -> Tensor:
        """Put what is known into latents.

        Args:
            latents: (B, c, h, w), noisy or generated.
            masked_person_latents: Clean latents of the person with the box masked out, (B, c, h, w).
            box_mask: (B, 1, h, w) in [0, 1].

        Returns:
            (B, c, h, w).

        Raises:
            ValueError: If there is no box.
        """
        if box_mask is None:
            raise ValueError("known_pixels needs the box; give box_mask to the denoiser")
        return torch.where(box_mask > 0, latents, masked_person_latents.to(latents.dtype))

    def unknown(self, box_mask: Tensor) -> Tensor | None:
        """Positions that are to be generated, (B, 1, h, w), 0 or 1."""
        return (box_mask > 0).to(box_mask.dtype)
