"""Floor and ceiling by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from ornament_lit.batch import TryOnBatch
from ornament_lit.metrics import PSNR, GeneratedBatch
from ornament_lit.metrics.bounds import ceiling_of, floor_of, warped

SIZE = 8


@pytest.fixture
def batch() -> TryOnBatch:
    """Two ornaments that fill their images, worn mirrored in the lower half; the second sample knows no points."""
    generator = torch.Generator().manual_seed(0)
    ornament, other, person = torch.rand(3, 2, 3, SIZE, SIZE, generator=generator) * 2 - 1
    mask = torch.zeros(2, 1, SIZE, SIZE)
    mask[:, :, SIZE // 2 :] = 1
    places = (torch.arange(SIZE) * 2 + 1) / SIZE - 1
    x, y = torch.meshgrid(-places, places, indexing="xy")
    known = mask.clone()
    known[1] = 0
    found: Any = {
        "ornament_image": ornament,
        "ornament_mask": torch.ones(2, 1, SIZE, SIZE),
        "person_image": person,
        "wearing_mask": mask,
        "correspondence": {"uv": torch.stack([x, y]).expand(2, -1, -1, -1), "known": known, "seen": known},
        "other_ornament": {"ornament_image": other, "ornament_mask": torch.ones(2, 1, SIZE, SIZE), "key": ["", ""]},
    }
    return found  # type: ignore[no-any-return]


def test_the_ceiling_is_the_ornament_in_its_place(batch: TryOnBatch) -> None:
    bound = ceiling_of(batch, count=1)
    for image, ornament in zip(
        [bound["generated_image"], bound["wrong_references"][0]["generated_image"]],
        [batch["ornament_image"], batch["other_ornament"]["ornament_image"]],
        strict=True,
    ):
        assert torch.allclose(image[0, :, SIZE // 2 :], ornament[0].flip(-1)[:, SIZE // 2 :], atol=1e-5)
        assert torch.equal(image[0, :, : SIZE // 2], batch["person_image"][0, :, : SIZE // 2])
    assert bound["generated_image"][1].isnan().any()


def test_details_are_sampled_where_there_are(batch: TryOnBatch) -> None:
    detail = torch.full((2, 3, 2 * SIZE, 2 * SIZE), 0.25)
    batch["ornament_detail"] = {"image": detail, "mask": torch.ones(2, 1, 2 * SIZE, 2 * SIZE)}
    assert (ceiling_of(batch)["generated_image"][0, :, SIZE // 2 :] == 0.25).all()


def test_the_floor_is_the_mean_colour(batch: TryOnBatch) -> None:
    batch["ornament_mask"] = torch.zeros(2, 1, SIZE, SIZE)
    batch["ornament_mask"][..., :2] = 1
    image = floor_of(batch)["generated_image"]
    expected = batch["ornament_image"][..., :2].mean((2, 3))
    assert torch.allclose(image[..., SIZE // 2 :, :].amax((2, 3)), expected, atol=1e-6)
    assert torch.allclose(image[..., SIZE // 2 :, :].amin((2, 3)), expected, atol=1e-6)
    assert torch.equal(image[..., : SIZE // 2, :], batch["person_image"][..., : SIZE // 2, :])


def test_what_is_no_ornament_is_mid_grey(batch: TryOnBatch) -> None:
    picture = warped(batch["ornament_image"], 0 * batch["ornament_mask"], batch["correspondence"]["uv"])
    assert not picture.any()


def test_a_metric_measures_bounds_like_drawings(build_generated: Callable[..., GeneratedBatch]) -> None:
    drawn = build_generated()
    masks = drawn["mask_predictions"][:0]
    drawn["floor"] = {"generated_image": drawn["person_image"] + 0.02, "mask_predictions": masks}
    drawn["ceiling"] = {"generated_image": drawn["person_image"] * float("nan"), "mask_predictions": masks}
    metric = PSNR()
    metric.update(drawn)
    bounds = metric.compute().bounds
    assert set(bounds) == {"floor", "ceiling"} and set(bounds["floor"]) == {"psnr_inside", "psnr_worn"}
    assert bounds["floor"]["psnr_worn"] == pytest.approx(40, abs=0.01)
    assert np.isnan(bounds["ceiling"]["psnr_worn"]).all()
