"""How a command is stopped from outside: Ctrl-C, SIGTERM, or a reader of its output that has gone."""

import os
import signal
import sys
import time
from _thread import start_new_thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import current_thread, main_thread
from types import FrameType

INTERRUPTED = 128 + 2
OUTPUT_CLOSED = 128 + 13
TERMINATED = 128 + 15
SAID = {INTERRUPTED: "\ninterrupted", TERMINATED: "\nterminated"}


class Terminated(KeyboardInterrupt):
    """SIGTERM: what has begun is cleared away, as after Ctrl-C."""


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, by an exception; a second one ends the process at once.

    Python drops exceptions that are raised in a destructor, where a signal may come too: it is then sent once more.
    """
    if current_thread() is not main_thread():
        yield
        return
    handler, report = signal.signal(signal.SIGTERM, terminate), sys.unraisablehook
    sys.unraisablehook = partial(_report_dropped, report)
    try:
        yield
    finally:
        sys.unraisablehook = report
        signal.signal(signal.SIGTERM, handler)


def terminate(number: int, frame: FrameType | None) -> None:
    """Answer a signal by :class:`Terminated`, and the next one by the end of the process."""
    if _is_reporting(frame):
        _send_once_more(number)
        return
    signal.signal(number, signal.SIG_DFL)
    raise Terminated


def _report_dropped(report: Callable[["sys.UnraisableHookArgs"], object], dropped: "sys.UnraisableHookArgs") -> None:
    if isinstance(dropped.exc_value, Terminated):
        _send_once_more(signal.SIGTERM)
    elif isinstance(dropped.exc_value, KeyboardInterrupt):
        start_new_thread(_send, (signal.SIGINT,))
    else:
        report(dropped)


def _is_reporting(frame: FrameType | None) -> bool:
    """Whether what a signal has interrupted is the report of a dropped exception, which drops exceptions itself."""
    while frame is not None and frame.f_code is not _report_dropped.__code__:
        frame = frame.f_back
    return frame is not None


def _send_once_more(number: int) -> None:
    signal.signal(number, terminate)
    start_new_thread(_send, (number,))


def _send(number: int) -> None:
    """Signal this process when the destructor is likely to be over."""
    time.sleep(0.1)
    os.kill(os.getpid(), number)


def stopped_by(error: BaseException) -> int | None:
    """The exit code of a command that was stopped from outside; None where an error is its own.

    Args:
        error: What ended it. Libraries turn Ctrl-C and a closed output into SystemExit, and keep the cause.
    """
    causes = {Terminated: TERMINATED, KeyboardInterrupt: INTERRUPTED, BrokenPipeError: OUTPUT_CLOSED}
    causing = error.__context__ if isinstance(error, SystemExit) else error
    return next((code for kind, code in causes.items() if isinstance(causing, kind)), None)


def discard_output() -> None:
    """Let what is left to print go nowhere, since nobody reads it any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
