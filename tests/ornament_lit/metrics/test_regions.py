"""Regions: squares around boxes, photographs, cut-outs."""

from collections.abc import Callable

import pytest
import torch

from ornament_lit.metrics import CLIPSimilarity, GeneratedBatch
from ornament_lit.metrics.regions import ornament_views, person_views, square_around


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        ((10, 20), (10, 20), (slice(10, 20), slice(10, 20))),
        ((10, 20), (14, 16), (slice(10, 20), slice(10, 20))),
        ((0, 3), (5, 13), (slice(0, 8), slice(5, 13))),
        ((28, 30), (20, 30), (slice(20, 30), slice(20, 30))),
        ((0, 30), (0, 5), (slice(0, 30), slice(0, 30))),
    ],
)
def test_the_smallest_square_in_the_picture(
    rows: tuple[int, int], columns: tuple[int, int], expected: tuple[slice, slice]
) -> None:
    mask = torch.zeros(1, 30, 30)
    mask[:, slice(*rows), slice(*columns)] = 1
    assert square_around(mask) == expected


def test_an_empty_mask_names_the_sample() -> None:
    with pytest.raises(ValueError, match="box of k7 has no pixel"):
        square_around(torch.zeros(1, 8, 8), "k7")


def test_box_cuts_both_alike(build_generated: Callable[..., GeneratedBatch]) -> None:
    batch = build_generated()
    views = person_views(batch, "box")
    assert {picture.shape for picture in views.generated} == {(3, 48, 48)}
    assert torch.equal(views.generated[1], batch["generated_image"][1, :, 8:56, 8:56])
    assert torch.equal(views.ground_truth[1], batch["person_image"][1, :, 8:56, 8:56])


def test_cutout_is_white_where_the_ornament_is_not(build_generated: Callable[..., GeneratedBatch]) -> None:
    batch = build_generated()
    whole, box, cutout = (ornament_views(batch, region) for region in ("whole", "box", "cutout"))  # type: ignore[arg-type]
    rows, columns = square_around(batch["ornament_mask"][0])
    mask = batch["ornament_mask"][0, :, rows, columns].expand(3, -1, -1) > 0.5
    assert torch.equal(box[0], whole[0][:, rows, columns])
    assert torch.equal(cutout[0][mask], box[0][mask])
    assert torch.all(cutout[0][~mask] == 1)


def test_full_takes_photographs_of_any_size(clip_path: str, build_generated: Callable[..., GeneratedBatch]) -> None:
    sizes = [(40, 60), (80, 30), (64, 64), (33, 47), (50, 50)]
    photographs = [torch.rand(3, *size) * 2 - 1 for size in sizes]
    batch = build_generated(
        person_photograph=photographs, generated_photograph=[picture * 0.5 for picture in photographs]
    )
    metric = CLIPSimilarity(clip_path, region="full", image_size=32)
    metric.update(batch)
    values = metric.compute().values["clip_i"]
    metric.reset()
    metric.update(build_generated(person_photograph=photographs, generated_photograph=photographs))
    assert metric.compute().values["clip_i"] == pytest.approx(100.0, abs=1e-3)
    assert values.max() < 99.999


def test_full_without_photographs_says_so(clip_path: str, build_generated: Callable[..., GeneratedBatch]) -> None:
    with pytest.raises(ValueError, match="no generated_photograph and person_photograph; take the region crop or box"):
        CLIPSimilarity(clip_path, region="full").update(build_generated())
