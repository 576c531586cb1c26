"""Work shared out to processes, with results in the order of the tasks whatever their number."""

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import (
    active_children,
    forkserver,
    get_all_start_methods,
    get_context,
    parent_process,
    resource_tracker,
)
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from threading import Thread, current_thread, main_thread
from typing import Any, TypeVar

if sys.platform == "linux":
    import fcntl

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 4
STOPPING = (signal.SIGINT, signal.SIGTERM)


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
    inner = function.func if isinstance(function, partial) else function
    pending: deque[Future[Result]] = deque()
    with worker_pool(workers, _context(inner.__module__), start_worker) as submit:
        try:
            for task in tasks:
                pending.append(submit(function, task))
                if len(pending) >= AHEAD * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool as error:
            raise ValueError(
                f"one of {workers} worker processes died (is the memory full?); lower --workers"
            ) from error


@contextmanager
def worker_pool(
    workers: int, context: BaseContext, initializer: Callable[..., None], *arguments: object
) -> Iterator[Callable[..., Future[Any]]]:
    """Processes that work while a block lasts; whatever ends it, ends them at once, and what they do is lost.

    Args:
        workers: Number of processes.
        context: How they are started.
        initializer: What each of them does first; it must call :func:`start_worker`.
        arguments: Its arguments.

    Yields:
        A function that hands a task to them: a function and its arguments.
    """
    executor = ProcessPoolExecutor(workers, context, initializer=initializer, initargs=arguments)

    def submit(function: Callable[..., Result], *task: object) -> Future[Result]:
        with _starting():  # the first task starts the processes
            return executor.submit(function, *task)

    try:
        yield submit
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        children = active_children()
        for child in children:
            child.terminate()
        for child in children:
            child.join()


def _context(module: str) -> BaseContext:
    # Forks of a process that has threads may hang; a fork server has none, and imports what is heavy once.
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([module])
    resource_tracker.ensure_running()  # it would let interrupts through again
    with _starting():
        forkserver.ensure_running()
    return context


@contextmanager
def _starting() -> Iterator[None]:
    """Start processes: Ctrl-C is kept from them, ending them is the parent's task, which is told of it afterwards.

    Half-started processes would complain that their parent is gone.
    """
    if current_thread() is not main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    arrived: list[int] = []
    handlers = {number: signal.signal(number, lambda number, _: arrived.append(number)) for number in STOPPING}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for told in arrived:
            signal.raise_signal(told)


def start_worker() -> None:
    """Leave Ctrl-C to the parent, and end when it is gone: a worker would wait for its next task for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        if sys.platform == "linux":
            _end_by_the_kernel(parent.sentinel)
        Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_by_the_kernel(sentinel: int) -> None:
    """End this process as soon as the other end of a pipe is closed, also in a long call that lets no thread in."""
    fcntl.fcntl(sentinel, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(
        sentinel, fcntl.F_SETFL, fcntl.fcntl(sentinel, fcntl.F_GETFL) | os.O_ASYNC
    )  # SIGIO, whose default is it


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
