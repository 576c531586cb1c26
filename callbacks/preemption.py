"""Preemption: a run that is told to stop saves first, and is resumed later as if nothing had been."""

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from types import FrameType
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from lightning.pytorch.utilities.types import STEP_OUTPUT

from ornament_lit.checkpointing.resume import save_last

TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h


class Preempted(SystemExit):
    """Ends the process with the exit code that asks to be started again; raised after the checkpoint is written."""


class Preemption(Callback):
    """Save and end, when a cluster wants the machine back.

    A signal to any of the processes is noted at once, and answered at the end of the training batch that runs: all
    processes write ``last.ckpt`` together and end with an exit code that asks to be started again. The same command
    with ``--ckpt_path auto`` then resumes, and its losses are those of an undisturbed run. During validation the
    answer waits for the next training batch, so the warning has to come early enough before the end.

    It takes the place of Lightning's own handling of signals, auto-requeue on SLURM included, which saves within a
    step and waits for ever where one process alone gets the signal.

    Args:
        signals: Names of the signals.
        requeue: Put the job back into SLURM's queue, by ``scontrol requeue``. Outside of SLURM it does nothing.
        exit_code: What the process ends with; 75 is ``EX_TEMPFAIL``, "try again".

    Raises:
        ValueError: If a signal is unknown or cannot be caught, the exit code is not in 1 to 255, or the callback is
            there twice.
    """

    def __init__(
        self, signals: Sequence[str] = ("SIGTERM", "SIGUSR1"), requeue: bool = False, exit_code: int = TRY_AGAIN
    ) -> None:
        """Check the arguments."""
        unknown = [name for name in signals if name not in signal.Signals.__members__ or name in ("SIGKILL", "SIGSTOP")]
        if isinstance(signals, str) or not signals or unknown:
            raise ValueError(f"signals must list names of signals such as [SIGTERM, SIGUSR1], got {signals!r}")
        if not 1 <= exit_code <= 255:
            raise ValueError(f"exit_code must be in 1 to 255, so that it is no success, got {exit_code}")
        self.signals = [signal.Signals[name] for name in signals]
        self.requeue = requeue
        self.exit_code = exit_code
        self.received: signal.Signals | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the place of Lightning's handling of signals in a fit."""
        if sum(isinstance(one, Preemption) for one in trainer.callbacks) > 1:  # type: ignore[attr-defined]
            raise ValueError("Preemption is among the callbacks more than once; leave one of them out")
        if stage == "fit":
            self.received = None
            trainer._signal_connector = _Handlers(trainer, self)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: object, batch_idx: int
    ) -> None:
        """Save and end, if any process got a signal.

        Raises:
            Preempted: If so.
        """
        number = 0 if self.received is None else int(self.received)
        number = _greatest(trainer, number)
        if not number:
            return
        path = save_last(trainer)
        name = signal.Signals(number).name
        rank_zero_info(f"{name} at step {trainer.global_step}: saved {path}; resume with --ckpt_path auto")
        if self.requeue and trainer.is_global_zero:
            requeue(os.environ)
        # Lightning would kill the process that was started, where one that it started itself ends with an error.
        started_by_us = isinstance(_environment(trainer), LightningEnvironment) and trainer.local_rank > 0
        raise Preempted(0 if started_by_us else self.exit_code)


def _environment(trainer: Trainer) -> Any:  # noqa: ANN401
    return trainer._accelerator_connector.cluster_environment


def _greatest(trainer: Trainer, number: int) -> int:
    """The greatest number of all processes."""
    if trainer.world_size == 1:
        return number
    values = torch.tensor(number, device=trainer.strategy.root_device)
    torch.distributed.all_reduce(values, torch.distributed.ReduceOp.MAX)
    return int(values)


class _Handlers(_SignalConnector):
    """Notes signals; what was there before is put back by Lightning at the end of the fit."""

    def __init__(self, trainer: Trainer, owner: Preemption) -> None:
        super().__init__(trainer)
        self._owner = owner
        self._process = os.getpid()

    def register_signal_handlers(self) -> None:
        """Let the signals be noted."""
        self._original_handlers = {number: signal.getsignal(number) for number in self._owner.signals}
        for number in self._owner.signals:
            self._register_signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Note a signal; another process, which was forked from this one, obeys it."""
        if os.getpid() == self._process:
            self._owner.received = signal.Signals(number)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


def requeue(environment: "os._Environ[str] | dict[str, str]") -> None:
    """Put the SLURM job of an environment back into the queue.

    Args:
        environment: Variables of the environment; without ``SLURM_JOB_ID`` nothing is done.
    """
    array = environment.get("SLURM_ARRAY_JOB_ID")
    job = f"{array}_{environment.get('SLURM_ARRAY_TASK_ID')}" if array else environment.get("SLURM_JOB_ID", "")
    if not re.fullmatch(r"\d+(_\d+)?", job):
        return
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        reason = str(getattr(error, "stderr", None) or error).strip()
        rank_zero_warn(f"scontrol requeue {job} failed: {reason}; put the job back into the queue by hand")
    else:
        rank_zero_info(f"job {job} is back in the queue")
