"""Tasks shared out to processes that render, one thread each."""

import os
import time
from collections.abc import Generator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import NamedTuple

from datamodules.rendering.composition import Recipe
from datamodules.rendering.plan import Task
from datamodules.rendering.variants import Variant, activate
from datamodules.storage.process_pool import start_worker, worker_pool

SINGLE_THREADED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Product(NamedTuple):
    """A triplet and what it cost.

    Attributes:
        number: In the set.
        entries: Its files by name.
        rejected: Why drawings before it were thrown away.
        seconds: Of processor time.
    """

    number: int
    entries: dict[str, bytes]
    rejected: tuple[str, ...]
    seconds: float


def render_all(
    tasks: Sequence[Task], recipe: Recipe, variant: Variant, workers: int
) -> Generator[tuple[Task, list[Product]], None, None]:
    """Render tasks, in the order in which they get ready.

    Args:
        tasks: What is rendered.
        recipe: What the set's triplets have in common.
        variant: What renders.
        workers: Processes.

    Yields:
        Each task with its triplets.

    Raises:
        ValueError: If a worker dies.
    """
    os.environ.update(dict.fromkeys(SINGLE_THREADED, "1"))
    with worker_pool(workers, get_context("spawn"), _start, variant) as submit:
        futures = {submit(render_task, task, recipe): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures.pop(future), future.result()
        except BrokenProcessPool as error:
            raise ValueError(
                f"one of {workers} processes died (is the memory full? about 0.5 GB each); lower --workers or force "
                "--variant scalar_rgb, and run again: finished shards are kept"
            ) from error


def _start(variant: Variant) -> None:
    start_worker()
    activate(variant)


def render_task(task: Task, recipe: Recipe) -> list[Product]:
    """Render the triplets of a task in this process, whose variant is active."""
    from datamodules.rendering.triplet import render_triplet

    products = []
    for index in task.indices:
        start = time.process_time()
        rendered = render_triplet(index, recipe)
        products.append(Product(index, rendered.entries, rendered.rejected, time.process_time() - start))
    return products
