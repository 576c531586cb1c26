"""How many samples a second a data loader gives when nothing else is waited for."""

import time
from collections.abc import Iterable
from typing import NamedTuple

from ornament_lit.batch import TryOnBatch


class LoaderSpeed(NamedTuple):
    """What a loader gave.

    Attributes:
        samples_per_second: After its start.
        start: Seconds until the first batch.
        samples: Samples that the pace is from.
        batch: The first batch.
    """

    samples_per_second: float
    start: float
    samples: int
    batch: TryOnBatch


def measure_loader(loader: Iterable[TryOnBatch], prefetched: int = 0, seconds: float = 15.0) -> LoaderSpeed:
    """Iterate a loader for a while.

    Args:
        loader: Gives batches.
        prefetched: Batches that its workers prepare in advance; they do not count, unless there are few others.
        seconds: How long to measure after the first batch.

    Raises:
        ValueError: If it gives less than two batches.
    """
    began = time.perf_counter()
    arrivals: list[tuple[float, int]] = []
    first: TryOnBatch | None = None
    for batch in loader:
        first = batch if first is None else first
        arrivals.append((time.perf_counter(), len(batch["key"])))
        if arrivals[-1][0] - arrivals[0][0] > seconds:
            break
    if first is None or len(arrivals) < 2:
        raise ValueError(f"the loader's pace needs two batches at least, got {len(arrivals)}; lower data.batch_size")
    skipped = min(prefetched, len(arrivals) // 2, len(arrivals) - 2)
    samples = sum(size for _, size in arrivals[skipped + 1 :])
    took = arrivals[-1][0] - arrivals[skipped][0]
    return LoaderSpeed(samples / max(took, 1e-9), arrivals[0][0] - began, samples, first)
