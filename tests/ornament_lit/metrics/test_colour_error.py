"""ColourError against scikit-image, and by hand."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from ornament_lit.metrics import ColourError, GeneratedBatch
from ornament_lit.metrics.colour_error import srgb_to_lab


def test_as_scikit_image_has_it() -> None:
    pictures = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = rgb2lab(((pictures + 1) / 2).permute(0, 2, 3, 1).double().numpy())
    np.testing.assert_allclose(srgb_to_lab(pictures).permute(0, 2, 3, 1).numpy(), expected, atol=2e-3)


def test_black_for_white_is_a_hundred(build_generated: Callable[..., GeneratedBatch]) -> None:
    """The means over the mask count: outside of it, anything may be drawn."""
    batch, metric = build_generated(), ColourError()
    inside = batch["wearing_mask"] > 0.5
    batch["person_image"] = torch.where(inside, 1.0, batch["person_image"])
    batch["generated_image"] = torch.where(inside, -1.0, batch["generated_image"])
    metric.update(batch)
    assert metric.compute().values["colour_error"] == pytest.approx(100.0, abs=1e-2)


def test_a_blur_of_the_right_colour_is_right(build_generated: Callable[..., GeneratedBatch]) -> None:
    batch, metric = build_generated(), ColourError()
    stripes = (torch.arange(64) % 2).float().expand(5, 3, 64, 64) * 0.2
    batch["person_image"], batch["generated_image"] = stripes, torch.full_like(stripes, 0.1)
    metric.update(batch)
    assert metric.compute().values["colour_error"].max() < 2


def test_without_a_mask_there_is_nothing_to_measure(build_generated: Callable[..., GeneratedBatch]) -> None:
    batch, metric = build_generated(), ColourError()
    batch["wearing_mask"] = torch.zeros_like(batch["wearing_mask"])
    metric.update(batch)
    assert np.isnan(metric.compute().values["colour_error"]).all()
