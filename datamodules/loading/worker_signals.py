"""What the processes of a loader do with signals."""

import os
import signal
from threading import Thread

PASSED = ("SIGTERM", "SIGUSR1", "SIGUSR2")


def outlive_signals(worker: int) -> None:
    """Let the signals of a cluster pass, in a process of a ``DataLoader``; its ``worker_init_fn``.

    A cluster that wants a machine back signals all processes of a job. The one that trains answers when its step is
    done, and needs the loader until then. SIGTERM from that process itself ends this one, as torch has it; without
    that process, torch ends it within seconds.

    Args:
        worker: Number of the process; not used.
    """
    if not hasattr(signal, "sigwaitinfo"):
        return  # macOS and Windows
    numbers = {signal.Signals[name] for name in PASSED}
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    Thread(target=_take, args=(numbers, os.getppid()), daemon=True).start()


def _take(numbers: set[signal.Signals], parent: int) -> None:
    """Take the signals, until the parent says to end."""
    while True:
        received = signal.sigwaitinfo(numbers)
        if received.si_signo == signal.SIGTERM and received.si_pid == parent:
            os._exit(0)
