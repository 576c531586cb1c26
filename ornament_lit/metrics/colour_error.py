"""ColourError: how far the colour of the generated ornament is from the true one."""

from typing import Any

import torch
from torch import Tensor

from ornament_lit.metrics.base import GeneratedBatch
from ornament_lit.metrics.per_sample import PerSampleMetric, Scores

TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
WHITE = (0.95047, 1.0, 1.08883)
LAB = ((0.0, 116.0, 0.0), (500.0, -500.0, 0.0), (0.0, 200.0, -200.0))


class ColourError(PerSampleMetric):
    """Distance of the mean colour of the ornament in generated image and ground truth, in the column ``colour_error``.

    Both means are taken over the true wearing mask, in CIE L*a*b* (D65), and compared by their Euclidean distance
    (CIE76); about 2 can just be seen. Blurs of the right colour have a small one, so it tells whether the colour of
    the reference was copied, and nothing of its form. Not a number where the mask is empty.
    """

    higher_is_better = False
    has_bounds = True

    def measure(self, batch: GeneratedBatch) -> Scores:
        """Compare the means."""
        mask = (batch["wearing_mask"] > 0.5).float()
        generated, ground_truth = (mean_colour(batch[name], mask) for name in ("generated_image", "person_image"))
        return Scores({"colour_error": (generated - ground_truth).norm(dim=1)})

    def protocol(self) -> dict[str, Any]:
        """Space and region."""
        return super().protocol() | {"colors": "CIE L*a*b*, D65", "region": "wearing mask"}


def mean_colour(images: Tensor, mask: Tensor) -> Tensor:
    """Mean L*a*b* colour over a mask, (B, 3), of images (B, 3, H, W) in [-1, 1]; mask (B, 1, H, W) of 0 and 1."""
    return (srgb_to_lab(images) * mask).flatten(2).sum(2) / mask.flatten(2).sum(2)


def srgb_to_lab(images: Tensor) -> Tensor:
    """SRGB images, (B, 3, H, W) in [-1, 1], in CIE L*a*b* (D65, 2 degrees), (B, 3, H, W); CIE 15."""
    levels = (images + 1) / 2
    linear = torch.where(levels > 0.04045, ((levels + 0.055) / 1.055).clamp(min=0) ** 2.4, levels / 12.92)
    xyz = torch.einsum("ij,bjhw->bihw", images.new_tensor(TO_XYZ), linear) / images.new_tensor(WHITE).view(3, 1, 1)
    roots = torch.where(xyz > (6 / 29) ** 3, xyz.clamp(min=1e-9) ** (1 / 3), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    lightness = images.new_tensor([16.0, 0.0, 0.0]).view(3, 1, 1)
    return torch.einsum("ij,bjhw->bihw", images.new_tensor(LAB), roots) - lightness
