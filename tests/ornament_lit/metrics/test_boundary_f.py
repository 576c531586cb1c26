"""BoundaryF against distances by scipy, and by hand."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter

from ornament_lit.metrics import BoundaryF, GeneratedBatch
from ornament_lit.metrics.boundary_f import boundary_f, near, outline


def blob(seed: int) -> np.ndarray:
    """A smooth random shape of 48 x 40 pixels."""
    return gaussian_filter(np.random.default_rng(seed).normal(size=(48, 40)), 4) > 0.02


def outline_by_shifts(mask: np.ndarray) -> np.ndarray:
    """As DAVIS's seg2bmap."""
    east, south, both = mask.copy(), mask.copy(), mask.copy()
    east[:, :-1] = mask[:, 1:]
    south[:-1] = mask[1:]
    both[:-1, :-1] = mask[1:, 1:]
    found = mask ^ east | mask ^ south | mask ^ both
    found[-1] = mask[-1] ^ east[-1]
    found[:, -1] = mask[:, -1] ^ south[:, -1]
    found[-1, -1] = False
    return found


@pytest.mark.parametrize("radius", [0, 1, 3])
def test_as_scipy_has_it(radius: int) -> None:
    for seed in range(5):
        prediction, truth = blob(seed), blob(seed + 10)
        ours, theirs = outline_by_shifts(prediction), outline_by_shifts(truth)
        precision = (distance_transform_edt(~theirs)[ours] <= radius).mean()
        recall = (distance_transform_edt(~ours)[theirs] <= radius).mean()
        expected = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        tensors = [torch.from_numpy(mask)[None, None] for mask in (prediction, truth)]
        assert np.array_equal(outline(tensors[0])[0, 0].numpy(), ours)
        assert boundary_f(*tensors, radius).item() == pytest.approx(expected, abs=1e-6)


def test_near_is_a_disk() -> None:
    point = torch.zeros(1, 1, 7, 7, dtype=torch.bool)
    point[..., 3, 3] = True
    assert [int(near(point, radius).sum()) for radius in (0, 1, 2)] == [1, 5, 13]


def test_stages_by_hand(build_generated: Callable[..., GeneratedBatch]) -> None:
    """Shifted by 2 px is within the tolerance of 2 px, by 12 px is not; an empty prediction scores 0."""
    square = torch.zeros(5, 1, 64, 64)
    square[..., 16:32, 16:32] = 1
    predictions = torch.stack([square.roll(12, -1), square.roll(2, -1), square, torch.zeros_like(square)])
    metric = BoundaryF(tolerance=2 / np.hypot(64, 64))
    metric.update(build_generated(wearing_mask=square, mask_predictions=predictions))
    values = metric.compute().values
    assert list(values) == ["boundary_f_box", *(f"boundary_f_{number}" for number in range(1, 5))]
    assert values["boundary_f_1"].max() < 0.7
    assert values["boundary_f_2"] == pytest.approx(1.0)
    assert values["boundary_f_3"] == pytest.approx(1.0)
    assert values["boundary_f_4"].tolist() == [0.0] * 5


def test_wrong_options_say_the_rule() -> None:
    with pytest.raises(ValueError, match="threshold must be within"):
        BoundaryF(threshold=1.0)
    with pytest.raises(ValueError, match="tolerance must be 0 or more"):
        BoundaryF(tolerance=-0.1)
