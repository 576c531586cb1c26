"""Counts of drawn strands, whose numbers of beads are known."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from ornament_lit.metrics import ComponentCountError, GeneratedBatch
from ornament_lit.metrics.bulges import count_bulges, fit_finder


def strand(beads: int, radius: float, size: int = 64) -> Tensor:
    """Mask of beads in a row, each touching the next, (1, size, size)."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    centres = size / 2 + (torch.arange(beads) - (beads - 1) / 2) * 2 * radius
    distances = (rows - size / 2).square() + (columns - centres[:, None, None]).square()
    return (distances < radius**2).any(0, keepdim=True).float()


def picture(mask: Tensor, seed: int = 0) -> Tensor:
    """A bright scene with a reddish dark ornament and some noise, (3, size, size)."""
    generator = torch.Generator().manual_seed(seed)
    colors = torch.tensor([0.2, -0.8, -0.8]).view(3, 1, 1), torch.tensor([0.7, 0.6, 0.4]).view(3, 1, 1)
    noise = 0.08 * torch.randn(3, *mask.shape[1:], generator=generator)
    return (mask * colors[0] + (1 - mask) * colors[1] + noise).clamp(-1, 1)


def measured(batch: GeneratedBatch, **options: int) -> dict[str, np.ndarray]:
    metric = ComponentCountError(**options)
    metric.update(batch)
    scores = metric.compute()
    return {**scores.values, "truth": scores.ground_truth["count_error_known"]}


@pytest.fixture
def drawn_with(build_generated: Callable[..., GeneratedBatch]) -> Callable[..., GeneratedBatch]:
    """One sample whose ground truth has ``truth`` beads and whose image has ``drawn``, along the same strand."""

    def build(drawn: int, truth: int = 8, known: int = 8) -> GeneratedBatch:
        masks = {beads: strand(beads, 24 / beads) for beads in (drawn, truth)}
        return build_generated(
            1,
            generated_image=picture(masks[drawn], 1)[None],
            person_image=picture(masks[truth], 2)[None],
            wearing_mask=masks[truth][None],
            components=torch.tensor([known]),
        )

    return build


@pytest.mark.parametrize("radius", [2.6, 3.5, 5.0])
@pytest.mark.parametrize("beads", [1, 4, 6])
def test_beads_are_counted(beads: int, radius: float) -> None:
    assert count_bulges(strand(beads, radius)[0].numpy() > 0.5) == beads


def test_nothing_has_no_parts() -> None:
    assert count_bulges(np.zeros((16, 16), dtype=bool)) == 0


def test_the_ornament_is_found_by_its_colors() -> None:
    mask = strand(6, 4.0)
    scene = picture(mask).permute(1, 2, 0).double().numpy()
    finder = fit_finder(scene, mask[0].numpy() > 0.5)
    assert finder is not None
    assert (finder.find(scene) == (mask[0].numpy() > 0.5)).mean() > 0.99
    assert finder.find(np.full_like(scene, 0.6)).sum() == 0


@pytest.mark.parametrize(("drawn", "expected"), [(8, 0.0), (6, 0.25)])
def test_the_error_by_hand(drawn: int, expected: float, drawn_with: Callable[..., GeneratedBatch]) -> None:
    values = measured(drawn_with(drawn))
    assert values["count_error"] == pytest.approx(expected)
    assert values["count_error_known"] == pytest.approx(expected)
    assert values["truth"] == pytest.approx(0.0)


def test_known_and_counted_numbers_are_told_apart(drawn_with: Callable[..., GeneratedBatch]) -> None:
    """Two of ten beads are hidden: the drawing is right as far as one can see, and the known number says 0.2."""
    values = measured(drawn_with(8, known=10))
    assert values["count_error"] == pytest.approx(0.0)
    assert values["count_error_known"] == pytest.approx(0.2)
    assert values["truth"] == pytest.approx(0.2)


def test_what_cannot_be_counted_is_no_number(
    drawn_with: Callable[..., GeneratedBatch], build_generated: Callable[..., GeneratedBatch]
) -> None:
    unknown = drawn_with(6)
    unknown["components"] = torch.tensor([-1])
    assert measured(unknown)["count_error"] == pytest.approx(0.25)
    assert math.isnan(measured(unknown)["count_error_known"][0])
    assert math.isnan(measured(drawn_with(6, known=2))["count_error"][0])
    assert math.isnan(measured(unknown, fewest=9)["count_error"][0])
    assert math.isnan(measured(build_generated(1, wearing_mask=torch.zeros(1, 1, 64, 64)))["count_error"][0])
    absent = drawn_with(6)
    del absent["components"]
    assert measured(absent)["count_error"] == pytest.approx(0.25)


def test_wrong_options_say_the_rule() -> None:
    with pytest.raises(ValueError, match="fewest must be 1 or more"):
        ComponentCountError(fewest=0)
