from callbacks.mask_table import build_table


def test_types_without_samples_have_a_dash() -> None:
    row = {"box": 0.5, "1": 0.25}
    report = {
        "iou": row,
        "iou_per_type": {"ring": row},
        "attention_iou": None,
        "attention_iou_per_type": {},
        "threshold": 0.5,
        "threshold_from": "2 training samples",
        "attention_threshold": "half of each map's maximum",
        "num_samples": 1,
    }
    table = build_table(report)
    assert [list(column.cells) for column in table.columns[:4]] == [
        ["box", "iteration 1", "attention mass"],
        ["0.500", "0.250", "-"],
        ["-", "-", "-"],
        ["0.500", "0.250", "-"],
    ]
