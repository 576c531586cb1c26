"""Which browser's work is running, and stopping it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ornament_lit.demo.generating import Stopped


class Jobs:
    """Work by session: one browser tab has one."""

    def __init__(self) -> None:
        self._stops: dict[str, threading.Event] = {}
        self._closing = threading.Event()

    @contextmanager
    def running(self, session: str) -> Iterator[threading.Event]:
        """Have work that can be stopped.

        Args:
            session: Whose.

        Yields:
            What is set when it shall stop; :meth:`check` asks it.
        """
        stop = self._stops[session] = threading.Event()
        try:
            yield stop
        finally:
            if self._stops.get(session) is stop:
                del self._stops[session]

    def check(self, stop: threading.Event) -> None:
        """Ask whether to go on.

        Raises:
            Stopped: If not.
        """
        if stop.is_set() or self._closing.is_set():
            raise Stopped

    def stop(self, session: str) -> bool:
        """Stop a session's work; whether there was any."""
        stop = self._stops.get(session)
        if stop is not None:
            stop.set()
        return stop is not None

    def stop_all(self) -> None:
        """Stop all work, and begin none any more."""
        self._closing.set()
