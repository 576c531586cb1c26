"""How a command is stopped from outside: Ctrl-C, SIGTERM, or a reader of its output that has gone."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
    """Let SIGTERM end the block as Ctrl-C does, by an exception; a second one ends the process at once."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def terminate(number: int, frame: FrameType | None) -> None:
    """Answer a signal by :class:`Terminated`, and the next one by the end of the process."""
    signal.signal(number, signal.SIG_DFL)
    raise Terminated


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
