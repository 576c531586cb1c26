import pytest
import torch

from ornament_lit.batch import check_batch


def test_a_valid_batch_passes(tiny_batch) -> None:
    check_batch(tiny_batch())


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("person_image", torch.zeros(3, 32, 32), r"person_image must be \(B, 3, H, W\), got \(3, 32, 32\)"),
        ("box_mask", torch.zeros(2, 1, 16, 16), r"box_mask must be \(2, 1, 32, 32\).* got \(2, 1, 16, 16\)"),
        ("ornament_image", torch.zeros(2, 1, 32, 32), r"ornament_image must be \(2, 3, 32, 32\)"),
        ("category", ["ring"], r"category must have one entry a sample \(2\), got 1"),
        ("sample_seed", torch.zeros(2), r"sample_seed must be \(2,\) int64, got \(2,\) torch.float32"),
    ],
)
def test_a_wrong_entry_is_named(tiny_batch, key: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_batch({**tiny_batch(), key: value})


def test_an_absent_key_is_named(tiny_batch) -> None:
    batch = tiny_batch()
    del batch["box_mask"]
    with pytest.raises(ValueError, match="box_mask absent"):
        check_batch(batch)
