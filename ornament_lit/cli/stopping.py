"""How a command of Lightning's trainer is stopped by SIGTERM: at once, with all of its processes."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lightning.pytorch import Trainer
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector

from ornament_lit.cli.signals import terminate


class Stopping(_SignalConnector):
    """Passes SIGTERM on to the processes that Lightning has started, and lets it end this one as Ctrl-C does.

    Lightning would note it, and look at the note in a training alone, between two steps. With `Preemption` a fit saves
    first.
    """

    def register_signal_handlers(self) -> None:
        """Take SIGTERM over; what was there before is put back by Lightning at the end."""
        self._original_handlers = {signal.SIGTERM: signal.getsignal(signal.SIGTERM)}
        self._register_signal(signal.SIGTERM, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        pass_on(self.trainer, number)
        terminate(number, frame)


def pass_on(trainer: Trainer, number: int) -> None:
    """Send a signal to the processes that Lightning has started from this one, if any still run."""
    launcher = trainer.strategy.launcher
    if launcher is not None:
        launcher.kill(number)


@contextmanager
def none_left(trainer: Trainer) -> Iterator[None]:
    """When the block is stopped from outside, stop the processes that Lightning has started in it."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        if isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt):
            pass_on(trainer, signal.SIGTERM)
        raise
