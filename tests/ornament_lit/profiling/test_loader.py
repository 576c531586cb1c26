"""The pace of loaders that are known to the millisecond."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from ornament_lit.profiling.loader import measure_loader


def batches(count: int, each: float = 0.0, first: float = 0.0, fast: int = 0) -> Iterator[Any]:
    """Batches of 4; the first one takes longer, and some are there at once."""
    for number in range(count):
        time.sleep(first if number == 0 else 0.0 if number <= fast else each)
        yield {"key": [f"{number}-{row}" for row in range(4)]}


def test_pace_without_the_start() -> None:
    speed = measure_loader(batches(11, each=0.02, first=0.3))
    assert 120 < speed.samples_per_second <= 200
    assert speed.start >= 0.3
    assert speed.samples == 40
    assert speed.batch["key"][0] == "0-0"


def test_what_was_prepared_in_advance_does_not_count() -> None:
    assert measure_loader(batches(12, each=0.02, fast=5), prefetched=6).samples_per_second <= 200


def test_two_batches_are_enough() -> None:
    speed = measure_loader(batches(9, each=0.02), prefetched=3, seconds=0)
    assert speed.samples == 4 and 20 < speed.samples_per_second <= 200


def test_it_ends_in_time() -> None:
    began = time.perf_counter()
    measure_loader(batches(1000, each=0.02), seconds=0.1)
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize("count", [0, 1])
def test_one_batch_is_no_pace(count: int) -> None:
    with pytest.raises(ValueError, match=f"needs two batches at least, got {count}"):
        measure_loader(batches(count))
