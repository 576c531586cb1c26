"""The word about data without a correspondence."""

import warnings

import pytest
import torch

from ornament_lit.losses.first_batch import FirstBatch


@pytest.mark.parametrize(
    ("known", "found"),
    [(None, r"the training batches have none \(0 %\)"), (torch.zeros(3, 1, 4, 4), r"0 of the 3 samples \(0 %\)")],
)
def test_where_there_is_none_it_is_said_once(known: torch.Tensor | None, found: str) -> None:
    first = FirstBatch("Loss learns")
    with pytest.warns(UserWarning, match=f"Loss learns only from samples with a correspondence, and {found}"):
        first.look(known, training=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first.look(known, training=True)


def test_one_sample_is_enough_and_validation_does_not_count() -> None:
    known = torch.zeros(3, 1, 4, 4)
    first = FirstBatch("Loss learns")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first.look(known, training=False)
        known[1, 0, 2, 2] = 0.1
        first.look(known, training=True)
