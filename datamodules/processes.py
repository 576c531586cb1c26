"""Work shared out to processes, with results in the order of the tasks whatever their number."""

import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import forkserver, get_all_start_methods, get_context, parent_process
from threading import Thread, current_thread, main_thread
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 4


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_order(
    function: Callable[[Task], Result], tasks: Iterable[Task], workers: int
) -> Generator[Result, None, None]:
    """Call a function on each task, a few tasks ahead of what is taken.

    Args:
        function: What a worker can import (or a ``functools.partial`` of it); it must depend on its task only.
        tasks: Its arguments.
        workers: Processes; 1 works in this one.

    Yields:
        The results, in the order of the tasks.

    Raises:
        ValueError: If a worker dies, as it does when the memory is full.
    """
    if workers <= 1:
        yield from map(function, tasks)
        return
    executor = _executor(function, workers)
    pending: deque[Future[Result]] = deque()
    try:
        for task in tasks:
            pending.append(executor.submit(function, task))
            if len(pending) >= AHEAD * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise ValueError(f"one of {workers} worker processes died (is the memory full?); lower --workers") from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _executor(function: Callable[..., object], workers: int) -> ProcessPoolExecutor:
    # Forks of a process that has threads may hang; a fork server has none, and imports what is heavy once.
    if "forkserver" not in get_all_start_methods():
        return ProcessPoolExecutor(workers, get_context("spawn"), initializer=start_worker)
    context = get_context("forkserver")
    inner = function.func if isinstance(function, partial) else function
    context.set_forkserver_preload([inner.__module__])
    with _ignored_interrupts():
        forkserver.ensure_running()
    return ProcessPoolExecutor(workers, context, initializer=start_worker)


@contextmanager
def _ignored_interrupts() -> Iterator[None]:
    """Let a process that is started now ignore Ctrl-C also while it imports; ending it is the parent's task."""
    if current_thread() is not main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def start_worker() -> None:
    """Leave Ctrl-C to the parent, and end when it is gone: a worker would wait for its next task for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
