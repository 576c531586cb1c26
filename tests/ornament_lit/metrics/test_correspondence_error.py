"""Errors of hand-made fields."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from ornament_lit.metrics import PCK, CorrespondenceError, GeneratedBatch


@pytest.fixture
def fields(build_generated: Callable[..., GeneratedBatch]) -> GeneratedBatch:
    """Points that are off by (0.06, 0.08) in the left half, a twentieth of the side, and twice that in the right."""
    truth = torch.zeros(5, 2, 64, 64)
    seen = torch.zeros(5, 1, 64, 64)
    seen[:, :, 16:48, 16:48] = 1
    seen[:, :, :, 16:20] *= 0.4  # mostly hidden in the ornament's image
    off = torch.tensor([0.06, 0.08]).view(1, 2, 1, 1).expand(5, -1, 64, 64).clone()
    off[..., 32:] *= 2
    off[seen.expand_as(off) <= 0.5] = 1.9
    known = (seen > 0).float()
    return build_generated(
        correspondence={"uv": truth, "known": known, "seen": seen}, generated_correspondence=truth + off
    )


def values(metric: Any, batch: GeneratedBatch) -> dict[str, Any]:
    metric.update(batch)
    return metric.compute().values  # type: ignore[no-any-return]


def test_the_mean_over_pixels_that_are_seen(fields: GeneratedBatch) -> None:
    expected = (12 * 0.05 + 16 * 0.1) / 28
    found = values(CorrespondenceError(), fields)
    assert found["correspondence_error"] == pytest.approx(expected)
    assert found["correspondence_error_slid"] == pytest.approx(expected)


def test_a_ring_that_looks_the_same_all_round_may_be_slid(build_generated: Callable[..., GeneratedBatch]) -> None:
    y, x = torch.meshgrid(*[(torch.arange(64) + 0.5) / 32 - 1] * 2, indexing="ij")
    ring = (((x**2 + y**2).sqrt() - 0.7).abs() < 0.1).float().expand(5, 1, 64, 64)
    right, front = (
        torch.stack([(0.7 - 0.1 * y) * angle.cos(), (0.7 - 0.1 * y) * angle.sin()]).expand(5, -1, -1, -1)
        for angle in (x, np.pi / 2 + x)
    )
    everywhere = torch.ones(5, 1, 64, 64)
    truth = {"uv": right, "known": everywhere, "seen": everywhere}
    shown = build_generated(ornament_mask=ring, ornament_image=torch.zeros(5, 3, 64, 64), correspondence=truth)
    for drawn, error, slid in ((right, 0, 0), (front, 0.49, 0.01)):
        found = values(CorrespondenceError(), GeneratedBatch(**{**shown, "generated_correspondence": drawn}))
        assert found["correspondence_error"] == pytest.approx([error] * 5, abs=0.01)
        assert found["correspondence_error_slid"] == pytest.approx([slid] * 5, abs=0.01)


def test_the_share_below_each_tolerance(fields: GeneratedBatch) -> None:
    found = values(PCK([0.04, 0.06, 0.11]), fields)
    assert {name: column.tolist() for name, column in found.items()} == {
        "pck_0.04": [0.0] * 5,
        "pck_0.06": pytest.approx([12 / 28] * 5),
        "pck_0.11": [1.0] * 5,
    }
    assert list(values(PCK(), fields)) == ["pck_0.05", "pck_0.1"]


@pytest.mark.parametrize("absent", ["correspondence", "generated_correspondence"])
def test_where_there_is_none_nothing_is_said(fields: GeneratedBatch, absent: str) -> None:
    del fields[absent]  # type: ignore[misc]
    for metric in (CorrespondenceError(), PCK()):
        assert all(np.isnan(column).all() for column in values(metric, fields).values())


def test_a_sample_without_known_points_says_nothing(fields: GeneratedBatch) -> None:
    fields["correspondence"]["seen"][2] = 0
    assert np.isnan(values(CorrespondenceError(), fields)["correspondence_error"]).tolist() == [0, 0, 1, 0, 0]


def test_wrong_arguments_say_the_rule(fields: GeneratedBatch) -> None:
    with pytest.raises(ValueError, match=r"within \(0, 1\)"):
        PCK([0.05, 5])
    fields["generated_correspondence"] = torch.zeros(5, 2, 8, 8)
    with pytest.raises(ValueError, match="generated_correspondence must be"):
        CorrespondenceError().update(fields)
