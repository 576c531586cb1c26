"""The largest batch on memories that are known."""

import pytest

from ornament_lit.profiling.largest import Fit, largest_batch


class Memory:
    """Memory that a batch takes by a rule; None above what the device has."""

    def __init__(self, base: float, each: float, square: float = 0.0, has: int = 10**9) -> None:
        self.rule = base, each, square
        self.has = has
        self.sizes: list[int] = []

    def __call__(self, size: int) -> int | None:
        self.sizes.append(size)
        base, each, square = self.rule
        peak = round(base + each * size + square * size**2)
        return peak if peak <= self.has else None


def test_a_line_is_followed_at_once() -> None:
    memory = Memory(1000, 100)
    assert largest_batch(memory, 5050) == Fit(40, 5000)
    assert memory.sizes[:3] == [1, 2, 40]
    assert len(memory.sizes) == 3


@pytest.mark.parametrize("limit", [5_000, 20_000])
def test_memory_that_grows_faster_than_a_line_is_never_exceeded(limit: int) -> None:
    memory = Memory(1000, 100, square=2.0)
    fit = largest_batch(memory, limit)
    assert fit.size in memory.sizes
    assert fit.peak == 1000 + 100 * fit.size + 2 * fit.size**2 <= limit
    assert Memory(1000, 100, 2.0)(round(1.25 * fit.size)) > limit  # type: ignore[operator]


def test_memory_that_grows_slower_than_a_line_is_used() -> None:
    assert largest_batch(Memory(1000, 100, square=-0.5), 4000).size >= 36


def test_a_device_that_has_less_than_it_says() -> None:
    memory = Memory(1000, 100, has=4000)
    fit = largest_batch(memory, 5000)
    assert 26 <= fit.size <= 30
    assert fit.peak <= 4000


@pytest.mark.parametrize(("limit", "size"), [(1050, 0), (1150, 1), (1250, 2)])
def test_small_devices(limit: int, size: int) -> None:
    assert largest_batch(Memory(1000, 100), limit).size == size


def test_small_growth_is_looked_at_from_afar() -> None:
    memory = Memory(10_000, 10)
    assert largest_batch(memory, 20_000) == Fit(1000, 20_000)
    assert memory.sizes == [1, 2, 8, 32, 128, 1000]


def test_no_growth_is_no_line() -> None:
    with pytest.raises(
        ValueError, match="a batch of 2048 must take more memory than one of 4, got 1000 bytes after 1000"
    ):
        largest_batch(Memory(1000, 0), 5000, 4, 8)
