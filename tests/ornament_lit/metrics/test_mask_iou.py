"""MaskIoU against numbers that can be counted by hand."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ornament_lit.metrics.mask_iou import THRESHOLDS, MaskIoU, iou


def mask(*values: float) -> Tensor:
    """A 2 x 2 mask, row by row, (1, 1, 2, 2)."""
    return torch.tensor(values).reshape(1, 1, 2, 2)


BOX = mask(1, 1, 1, 1)
TRUTH = mask(1, 1, 0, 0)
FIRST = mask(0.9, 0.4, 0.3, 0.0)
SECOND = mask(0.9, 0.8, 0.3, 0.0)


def two_samples() -> MaskIoU:
    """A ring with two iterations, and a bracelet on which the second iteration fails."""
    metric = MaskIoU(2, (0.2, 0.5))
    metric.update(torch.stack([FIRST, SECOND]), BOX, TRUTH, ["ring"])
    metric.update(torch.stack([TRUTH, mask(0, 0, 1, 1)]), BOX, TRUTH, ["bracelet"])
    return metric


def test_iou_by_hand() -> None:
    assert iou(mask(1, 0, 1, 0) > 0.5, TRUTH > 0.5).item() == pytest.approx(1 / 3)
    assert iou(TRUTH > 0.5, TRUTH > 0.5).item() == 1.0
    assert iou(mask(0, 0, 0, 0) > 0.5, TRUTH > 0.5).item() == 0.0
    assert iou(mask(0, 0, 0, 0) > 0.5, mask(0, 0, 0, 0) > 0.5).item() == 0.0


def test_summary_by_hand() -> None:
    summary = two_samples().summary(0.5)
    assert summary["iou_per_type"]["ring"] == pytest.approx({"box": 0.5, "1": 0.5, "2": 1.0})
    assert summary["iou_per_type"]["bracelet"] == pytest.approx({"box": 0.5, "1": 1.0, "2": 0.0})
    assert summary["iou"] == pytest.approx({"box": 0.5, "1": 0.75, "2": 0.5})
    assert (summary["threshold"], summary["num_samples"]) == (0.5, 2)
    assert json.loads(json.dumps(summary)) == summary


def test_summary_takes_the_nearest_threshold_and_the_box_needs_none() -> None:
    metric = two_samples()
    low = metric.summary(0.3)
    assert low["threshold"] == 0.2
    assert low["iou_per_type"]["ring"] == pytest.approx({"box": 0.5, "1": 2 / 3, "2": 2 / 3})


def test_samples_count_alike_whatever_the_batches() -> None:
    parts = two_samples()
    whole = MaskIoU(2, (0.2, 0.5))
    ring, bracelet = torch.stack([FIRST, SECOND]), torch.stack([TRUTH, mask(0, 0, 1, 1)])
    whole.update(
        torch.cat([ring, bracelet], 1), BOX.expand(2, -1, -1, -1), TRUTH.expand(2, -1, -1, -1), ["ring", "bracelet"]
    )
    assert whole.summary(0.5) == parts.summary(0.5)


def test_best_threshold_is_the_best_over_all_iterations() -> None:
    metric = MaskIoU(2, (0.2, 0.35, 0.85))
    metric.update(torch.stack([FIRST, SECOND]), BOX, TRUTH, ["ring"])
    assert metric.best_threshold() == 0.35
    assert metric.summary(0.35)["iou"] == pytest.approx({"box": 0.5, "1": 1.0, "2": 1.0})


def test_box_alone() -> None:
    metric = MaskIoU(0)
    metric.update(torch.zeros(0, 1, 1, 2, 2), BOX, TRUTH, ["necklace"])
    assert metric.summary(0.5)["iou"] == {"box": 0.5}
    with pytest.raises(ValueError, match="at least one iteration"):
        metric.best_threshold()


def test_default_grid() -> None:
    assert MaskIoU(1).thresholds == THRESHOLDS
    assert (len(THRESHOLDS), THRESHOLDS[0], THRESHOLDS[-1]) == (19, 0.05, 0.95)


def test_reset_forgets() -> None:
    metric = two_samples()
    metric.reset()
    metric.update(torch.stack([TRUTH, TRUTH]), BOX, TRUTH, ["earring"])
    assert metric.summary(0.5)["iou"] == {"box": 0.5, "1": 1.0, "2": 1.0}
    assert list(metric.summary(0.5)["iou_per_type"]) == ["earring"]


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_no_samples_is_not_a_number() -> None:
    metric = MaskIoU(1)
    assert math.isnan(metric.summary(0.5)["iou"]["box"])
    with pytest.raises(ValueError, match="needs samples"):
        metric.best_threshold()


def test_adds_nothing_to_checkpoints() -> None:
    assert two_samples().state_dict() == {}


def test_goes_on_after_inference_mode() -> None:
    metric = two_samples()
    with torch.inference_mode():
        metric.reset()
        metric.update(torch.stack([FIRST, SECOND]), BOX, TRUTH, ["ring"])
    metric.update(torch.stack([TRUTH, mask(0, 0, 1, 1)]), BOX, TRUTH, ["bracelet"])
    assert metric.summary(0.5) == two_samples().summary(0.5)


def _rank(rank: int, folder: Path) -> None:
    store = torch.distributed.FileStore(str(folder / "store"), 2)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    metric = MaskIoU(2, (0.2, 0.5))
    if rank == 0:
        metric.update(torch.stack([FIRST, SECOND]), BOX, TRUTH, ["ring"])
    else:
        metric.update(torch.stack([TRUTH, mask(0, 0, 1, 1)]), BOX, TRUTH, ["bracelet"])
    (folder / f"{rank}.json").write_text(json.dumps([metric.summary(0.5), metric.best_threshold()]))
    torch.distributed.destroy_process_group()


def test_two_ranks_give_what_one_gives(tmp_path: Path) -> None:
    torch.multiprocessing.start_processes(_rank, (tmp_path,), nprocs=2, start_method="fork")
    one = two_samples()
    for rank in range(2):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == [one.summary(0.5), one.best_threshold()]


@pytest.mark.parametrize(
    ("predictions", "box", "categories", "message"),
    [
        (torch.zeros(1, 1, 1, 2, 2), BOX, ["ring"], r"\(T, B, 1, H, W\) = \(2, 1, 1, 2, 2\), got \(1, 1, 1, 2, 2\)"),
        (torch.zeros(2, 1, 1, 2, 2), BOX[0], ["ring"], "must fit wearing_mask"),
        (torch.zeros(2, 1, 1, 2, 2), BOX, ["ring", "ring"], "2 categories"),
        (torch.zeros(2, 1, 1, 2, 2), BOX, ["hat"], "bracelet, ring, earring, necklace, got hat"),
    ],
)
def test_wrong_batches_say_the_rule(predictions: Tensor, box: Tensor, categories: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MaskIoU(2).update(predictions, box, TRUTH, categories)


@pytest.mark.parametrize("thresholds", [(), (0.0, 0.5), (1.0,)])
def test_wrong_grids_say_the_rule(thresholds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="thresholds must be probabilities"):
        MaskIoU(1, thresholds)


def test_a_negative_number_of_iterations_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        MaskIoU(-1)
