"""Retrieval with answers known beforehand."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ornament_lit.metrics import FeatureRetrieval, GeneratedBatch, PixelRetrieval
from ornament_lit.metrics.pixel_retrieval import candidates
from ornament_lit.metrics.retrieval import normalise_colours, pixel_distances, retrieval, retrieved


@pytest.fixture
def pictures() -> tuple[Tensor, Tensor, Tensor]:
    """Drawings with 8 references, photographs and masks; drawings are noise inside the mask."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(3, 1, 32, 32)
    mask[:, :, 8:24, 8:24] = 1
    truth, drawings = (torch.rand(*count, 3, 32, 32, generator=generator) * 2 - 1 for count in ((3,), (8, 3)))
    return torch.where(mask > 0, drawings, truth), truth, mask


def test_the_truth_is_retrieved_and_a_worse_drawing_than_another_is_not(pictures: tuple[Tensor, ...]) -> None:
    drawings, truth, mask = pictures
    drawings[0] = truth
    for found in retrieval(drawings, truth, mask):
        assert found.tolist() == [1, 1, 1]
    for found in retrieval(drawings.roll(1, 0), truth, mask):
        assert found.tolist() == [0, 0, 0]


def test_drawings_that_ignore_the_reference_are_at_chance(pictures: tuple[Tensor, ...]) -> None:
    drawings, truth, mask = pictures
    for found in retrieval(drawings[:1].expand(8, -1, -1, -1, -1), truth, mask):
        assert found.tolist() == [1 / 8] * 3


def test_an_empty_mask_says_nothing(pictures: tuple[Tensor, ...]) -> None:
    drawings, truth, mask = pictures
    mask[1] = 0
    for found in retrieval(drawings, truth, mask):
        assert found.isnan().tolist() == [False, True, False]


def test_equal_distances_share() -> None:
    distances = torch.tensor([[1.0, 0.0, 2.0, 1.0], [1.0, 0.0, 1.0, math.nan], [3.0, 1.0, 1.0, 2.0]])
    assert retrieved(distances).tolist()[:3] == [0.5, 0.5, 0.0] and math.isnan(retrieved(distances)[3])


def test_pixel_distances_by_hand() -> None:
    truth = torch.zeros(1, 3, 2, 2)
    mask = torch.tensor([[[[1.0, 0.5], [0.0, 0.0]]]])
    drawing = torch.tensor([[0.3, 0.6], [1.0, 1.0]]).expand(1, 1, 3, 2, 2)
    assert pixel_distances(drawing, truth, mask).item() == pytest.approx((0.09 + 0.5 * 0.36) / 1.5)


def test_tint_and_contrast_do_not_count_once_colours_are_normalised(pictures: tuple[Tensor, ...]) -> None:
    drawings, truth, mask = pictures
    drawings[0] = 0.3 * truth + torch.tensor([0.7, -0.7, 0.5]).view(3, 1, 1)
    drawings[1] = 0.7 * truth + 0.3 * drawings[1]
    assert retrieved(pixel_distances(drawings, truth, mask)).tolist() == [0, 0, 0]
    assert retrieved(pixel_distances(drawings, truth, mask, normalised=True)).tolist() == [1, 1, 1]
    inside = normalise_colours(truth, mask)[..., 8:24, 8:24]
    assert inside.mean((2, 3)).abs().max() < 1e-5 and inside.std((2, 3)) == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (FeatureRetrieval, "retrieval_features"),
        (PixelRetrieval, "retrieval_pixels"),
        (lambda: PixelRetrieval(normalised=True), "retrieval_normalised"),
    ],
)
def test_metrics_measure_drawing_floor_and_ceiling(
    metric: Callable[[], PixelRetrieval | FeatureRetrieval], name: str, build_generated: Callable[..., GeneratedBatch]
) -> None:
    batch = build_generated()
    truth = {"generated_image": batch["person_image"], "mask_predictions": batch["mask_predictions"]}
    noise = {"generated_image": batch["generated_image"], "mask_predictions": batch["mask_predictions"]}
    batch["floor"] = {**noise, "wrong_references": [noise, noise]}  # type: ignore[typeddict-item]
    batch["ceiling"] = {**truth, "wrong_references": [noise, noise]}  # type: ignore[typeddict-item]
    batch["wrong_references"] = [truth, noise]  # type: ignore[list-item]
    measuring = metric()
    measuring.update(batch)
    measured = measuring.compute()
    assert measured.values[name].tolist() == [0] * 5
    assert measured.bounds["floor"][name] == pytest.approx(1 / 3)
    assert measured.bounds["ceiling"][name].tolist() == [1] * 5


def test_what_is_drawn_outside_the_box_does_not_count(build_generated: Callable[..., GeneratedBatch]) -> None:
    batch = build_generated()
    outside = batch["box_mask"] < 0.5
    batch["generated_image"] = torch.where(outside, -1.0, batch["generated_image"])
    drawings = candidates(batch)
    assert drawings.shape == (3, 5, 3, 64, 64)
    assert all(
        torch.equal(one[outside.expand_as(one)], batch["person_image"][outside.expand_as(one)]) for one in drawings
    )
    assert torch.equal(drawings[0, :, :, 32, 32], batch["generated_image"][:, :, 32, 32])


def test_without_other_references_it_says_what_to_set(build_generated: Callable[..., GeneratedBatch]) -> None:
    batch = build_generated()
    del batch["wrong_references"]
    with pytest.raises(ValueError, match="retrieval_references=7"):
        PixelRetrieval().update(batch)
