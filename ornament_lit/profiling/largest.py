"""The largest batch that fits: two sizes are measured, the line through them is followed, and the result is run."""

from collections.abc import Callable
from typing import NamedTuple

ATTEMPTS = 6
SHRINK = 0.8
UNKNOWN = 0
VISIBLE = 1.05
"""Growth of the peak that a line can be put through."""
WIDENINGS = 4


class Fit(NamedTuple):
    """A batch size that was run, and its memory.

    Attributes:
        size: Samples; 0 where not even the smallest fits.
        peak: Bytes.
    """

    size: int
    peak: int


def largest_batch(
    measure: Callable[[int], int | None], limit: int, first: int = 1, second: int = 2, attempts: int = ATTEMPTS
) -> Fit:
    """Find the largest batch that fits; whatever is returned has been run.

    Args:
        measure: Takes steps with a batch of a size and returns the peak in bytes; None where memory was too little.
        limit: Bytes that may be used.
        first: A size to begin with.
        second: A greater one; four times as much where that takes hardly more memory, four times over at most.
        attempts: Sizes that are run besides these two at most.

    Raises:
        ValueError: If more samples take no more memory, so that there is no line to follow.
    """
    start = Fit(first, measure(first) or limit + 1)
    if start.peak > limit:
        return Fit(0, 0)
    best = Fit(second, measure(second) or limit + 1)
    if best.peak > limit:
        return start
    best, too_large = _widen(measure, limit, start, best)
    for _ in range(attempts):
        size = _guess(start, best, limit, too_large)
        if size <= best.size:
            break
        peak = measure(size)
        if peak is not None and peak <= limit:
            best = Fit(size, peak)
        else:
            too_large = Fit(size, peak or UNKNOWN)
    return best


def _widen(measure: Callable[[int], int | None], limit: int, start: Fit, best: Fit) -> tuple[Fit, Fit | None]:
    """Take larger batches until they take visibly more memory than the first; the second one returned did not fit."""
    for _ in range(WIDENINGS):
        if best.peak >= VISIBLE * start.peak:
            break
        wider = Fit(4 * best.size, measure(4 * best.size) or UNKNOWN)
        if wider.peak == UNKNOWN or wider.peak > limit:
            return best, wider
        best = wider
    return best, None


def _guess(start: Fit, best: Fit, limit: int, too_large: Fit | None) -> int:
    """The size at which the line through two runs meets the limit, or something below one that ran out of memory."""
    if too_large is not None and too_large.peak == UNKNOWN:
        return int(best.size + SHRINK * (too_large.size - best.size))
    end, other = (best, start) if too_large is None else (too_large, best)
    slope = (end.peak - other.peak) / (end.size - other.size)
    if slope <= 0:
        raise ValueError(
            f"a batch of {end.size} must take more memory than one of {other.size}, got {end.peak} bytes after "
            f"{other.peak}"
        )
    return other.size + int((limit - other.peak) / slope)
