"""Where training is in its data, and how a run resumes from there with other processes than before.

Lightning counts batches of one process, and a checkpoint has its counters. What they mean for the data (of which
order, with how many samples to a step) is kept beside them by the data module. On resuming, :func:`refuse_changes`
makes sure that it is the same order, and :func:`write_counters` turns the counters of the checkpoint into those that
the new run would have there.
"""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from datamodules.loading.epoch_plan import SHARDS, TrainingPlan

logger = logging.getLogger(__name__)

Progress = dict[str, Any]
COUNTS = ("ready", "started", "processed", "completed")


class Position(NamedTuple):
    """Where training is in its data.

    Attributes:
        epoch: Epoch, from 0.
        batches: Batches of one process that are done in it.
    """

    epoch: int
    batches: int


def position_in_loop(trainer: Trainer) -> Position:
    """Position of the next batch, within an epoch; the start of an epoch where nothing is being trained."""
    loop = trainer.fit_loop
    done = loop.epoch_loop.batch_progress.current.ready if trainer.training else 0
    return Position(loop.epoch_progress.current.processed, done)  # type: ignore[attr-defined]


def position_to_save(trainer: Trainer) -> Position:
    """Position after the last batch that is done, wherever in the loop a checkpoint is written.

    Between two epochs, that is the start of the next one. An epoch that ``max_steps`` has cut short is not done.
    """
    loop = trainer.fit_loop
    epoch, done = loop.epoch_progress.current, loop.epoch_loop.batch_progress.current.processed  # type: ignore[attr-defined]
    whole = done >= trainer.num_training_batches
    ended = epoch.started == epoch.processed  # type: ignore[attr-defined]
    if ended and (whole or not done):
        return Position(epoch.processed, 0)  # type: ignore[attr-defined]
    number = epoch.processed - ended  # type: ignore[attr-defined]
    return Position(number + 1, 0) if whole else Position(number, done)


def refuse_changes(epoch: int, done: int, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Check that a run can resume in the middle of an epoch.

    Args:
        epoch: Epoch of the checkpoint.
        done: Its steps in the epoch.
        before: What the order and the steps depended on, by a name that tells a user.
        now: The same for this run.

    Raises:
        ValueError: If anything is different.
    """
    changed = [name for name in now if before.get(name) != now[name]]
    if changed:
        details = "; ".join(
            name if name == SHARDS else f"{name} was {before.get(name)}, is {now[name]}" for name in changed
        )
        raise ValueError(
            f"the checkpoint is from the middle of epoch {epoch} ({done} steps), whose order of samples has changed: "
            f"{details}; set it back, or resume from a checkpoint of an epoch's end"
        )


def write_counters(fit_loop: Progress, position: Position, end: int, was: int, now: int) -> None:
    """Write Lightning's counters for a resumed run, from scratch, in one of two forms that Lightning resumes from.

    Either an epoch begins, or some of its batches are done and the next thing is the validation, where one is due
    after them and has not ended. Taken as they are, counters of a checkpoint that was written within a step go wrong:
    after the last batch of an epoch Lightning counts one epoch too few from there on.

    What was accumulated for a step that was not taken is lost, so its batches are counted as not done.

    Args:
        fit_loop: State of the fit loop in the checkpoint; it is changed.
        position: Where the run resumes; after the last batch of an epoch the start of the next one.
        end: Batches of an epoch of one process of this run.
        was: Batches of one process to a step, when the checkpoint was written.
        now: The same for this run.
    """
    epochs, batches = fit_loop["epoch_progress"], fit_loop["epoch_loop.batch_progress"]
    validation = fit_loop["epoch_loop.val_loop.batch_progress"]
    ended = epochs["current"]["started"] == epochs["current"]["processed"]
    after_last = not ended and position.epoch > epochs["current"]["processed"]
    within, done = after_last or position.batches > 0, end if after_last else position.batches
    validated = batches["current"]["completed"] == batches["current"]["processed"] and _has_ended(validation)

    earlier = batches["total"]["completed"] - batches["current"]["completed"]
    if not within:  # the batches are still those of the epoch before
        earlier += batches["current"]["completed"]
    batches["current"] = dict.fromkeys(COUNTS, done)
    batches["total"] = dict.fromkeys(COUNTS, earlier * now // was + done)
    batches["is_last_batch"] = within and done >= end

    begun = position.epoch - after_last
    before = epochs["total"]["completed"] - epochs["current"]["completed"]
    for name, offset in (("current", 0), ("total", before)):
        epochs[name] = dict.fromkeys(COUNTS, begun + offset)
        if within:
            epochs[name].update(ready=begun + offset + 1, started=begun + offset + 1)

    begins = int(within and not validated)
    validation["total"] = {"ready": begins, "started": begins, "processed": 0, "completed": 0}
    validation["current"] = dict.fromkeys(COUNTS, 0)
    if within:  # it is counted up after the validation
        steps = fit_loop["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"]["total"]["completed"]
        fit_loop["epoch_loop.state_dict"]["_batches_that_stepped"] = steps - 1


def _has_ended(validation: Progress) -> bool:
    """Whether the last validation that began has ended."""
    return (
        bool(validation["is_last_batch"]) and validation["current"]["completed"] == validation["current"]["ready"] > 0
    )


class TrainingPosition:
    """The position in the training data, as checkpoints keep it."""

    def __init__(self) -> None:
        """Start without a checkpoint."""
        self._loaded: dict[str, Any] = {}
        self._expected: Position | None = None

    def to_dict(self, trainer: Trainer, plan: TrainingPlan) -> dict[str, Any]:
        """What a checkpoint keeps: epoch, batches, and what they depend on."""
        return {**position_to_save(trainer)._asdict(), "accumulate": plan.accumulate, "plan": plan.to_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Keep what a checkpoint has until it is known whether training resumes from it."""
        self._loaded, self._expected = state, None

    def resume(self, fit_loop: Progress, trainer: Trainer, plan: TrainingPlan) -> None:
        """Resume training from the checkpoint that was loaded.

        Args:
            fit_loop: State of the fit loop in the checkpoint; it is changed.
            trainer: The trainer, which has not seen that state yet.
            plan: The plan of this run.

        Raises:
            ValueError: If the checkpoint is from the middle of an epoch that this run would order differently.
        """
        if not self._loaded:
            logger.warning("the checkpoint holds no position in the training data: their order may not be the same")
            return
        epoch, batches, was = (self._loaded[name] for name in ("epoch", "batches", "accumulate"))
        steps = batches // was
        if steps:
            refuse_changes(epoch, steps, self._loaded["plan"], plan.to_dict())
        self._expected = Position(epoch, steps * plan.accumulate)
        end = _limited(plan.batches, trainer.limit_train_batches)
        write_counters(fit_loop, self._expected, end, was, plan.accumulate)

    def next_batch(self, trainer: Trainer) -> Position:
        """Position of the next batch.

        Raises:
            ValueError: If a checkpoint was loaded and it is not the position there.
        """
        position = position_in_loop(trainer)
        whole = position.batches >= trainer.num_training_batches
        expected, self._expected = self._expected, None
        if expected not in (None, Position(position.epoch + 1, 0) if whole else position):
            raise ValueError(
                f"the trainer resumes at {position}, but the checkpoint is from {expected}; take another checkpoint"
            )
        return position


def _limited(batches: int, limit: int | float) -> int:
    """Batches of an epoch within ``limit_train_batches``."""
    return min(limit, batches) if isinstance(limit, int) else int(limit * batches)


class ResumeData(Callback):
    """Shows a data module the counters in a checkpoint before Lightning takes them; a data module has no such hook.

    Args:
        resume: Called with the state of the fit loop when a training run is resumed.
    """

    def __init__(self, resume: Callable[[Progress], None]) -> None:
        """Store the callable."""
        self._resume = resume
        self._resumed = False

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Pass the counters on, where training is resumed."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._resume(checkpoint["loops"]["fit_loop"])
            self._resumed = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let an epoch that begins begin as any other: Lightning would take its first batch for one to be repeated."""
        if self._resumed and trainer.fit_loop.epoch_loop.batch_progress.current.ready == 0:
            trainer.fit_loop.epoch_loop.restarting = False

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        """Set the step that loggers write down: Lightning counts it up after a validation, if there was one."""
        self._count_steps(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Do so where the epoch had no batch left."""
        self._count_steps(trainer)

    def _count_steps(self, trainer: Trainer) -> None:
        if self._resumed:
            trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step
            self._resumed = False
