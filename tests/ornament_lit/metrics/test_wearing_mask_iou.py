"""WearingMaskIoU against MaskIoU, which averages as it goes."""

from collections.abc import Callable

import pytest

from ornament_lit.metrics import GeneratedBatch, MaskIoU, WearingMaskIoU
from ornament_lit.metrics.table import tabulate


def test_means_are_those_of_mask_iou(build_generated: Callable[..., GeneratedBatch]) -> None:
    batch = build_generated()
    second = MaskIoU(2, (0.5,))
    second.update(batch["mask_predictions"], batch["box_mask"], batch["wearing_mask"], batch["category"])
    metric = WearingMaskIoU()
    metric.update(batch)
    expected = second.summary(0.5)
    rows = {row["name"]: row["cells"] for row in tabulate([metric.compute()])["rows"]}
    assert {f"iou_{name}": value for name, value in expected["iou"].items()} == {
        name: pytest.approx(cell.value) for name, cell in rows["overall"].items()
    }
    assert rows["ring"]["iou_2"].value == pytest.approx(expected["iou_per_type"]["ring"]["2"])
    assert 0 < rows["overall"]["iou_1"].value < rows["overall"]["iou_2"].value < 1
