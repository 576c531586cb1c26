"""Where training is in its data, and how a run goes on from there with other processes than before.

Lightning counts batches of one process, and a checkpoint has its counters. What they mean for the data (of which
order, with how many samples to a step) is kept beside them by the data module. On resuming, :func:`refuse_changes`
makes sure that it is the same order, and :func:`rewind` turns the counters of the checkpoint into those that the
new run would have there.
"""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from datamodules.plan import SHARDS, TrainingPlan

logger = logging.getLogger(__name__)

Progress = dict[str, Any]


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

    Between two epochs, that is the start of the next one.
    """
    loop = trainer.fit_loop
    epoch, done = loop.epoch_progress.current, loop.epoch_loop.batch_progress.current.processed  # type: ignore[attr-defined]
    if epoch.started == epoch.processed:  # type: ignore[attr-defined]
        return Position(epoch.processed, 0)  # type: ignore[attr-defined]
    if done >= trainer.num_training_batches:
        return Position(epoch.processed + 1, 0)  # type: ignore[attr-defined]
    return Position(epoch.processed, done)  # type: ignore[attr-defined]


def refuse_changes(epoch: int, done: int, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Check that a run can go on in the middle of an epoch.

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
            f"{details}; set it back, or go on from a checkpoint of an epoch's end"
        )


def rewind(fit_loop: Progress, was: int, now: int, end: int | None, by_steps: bool) -> None:
    """Turn Lightning's counters in a checkpoint into those of a run that accumulates over another number of batches.

    What was accumulated for a step that was not taken is lost, so its batches are counted as not done. A validation
    that was interrupted is begun again.

    Args:
        fit_loop: State of the fit loop in the checkpoint; it is changed.
        was: Batches of one process to a step, when the checkpoint was written.
        now: The same for this run.
        end: Batches of an epoch of this run, where the checkpoint is from between two epochs; else None.
        by_steps: Whether the run is limited by ``max_steps``.
    """
    batches, epochs = fit_loop["epoch_loop.batch_progress"], fit_loop["epoch_progress"]
    current, ended = batches["current"], epochs["current"]["started"] == epochs["current"]["processed"]
    earlier = batches["total"]["completed"] - current["completed"]
    if end is not None and ended and (by_steps or epochs["current"]["ready"] > epochs["current"]["started"]):
        # The batches are still those of the epoch before, and Lightning would take the next epoch to be done.
        earlier += current["completed"]
        batches.update(current=dict.fromkeys(current, 0), is_last_batch=False)
        for counts in (epochs["current"], epochs["total"]):
            counts.update(ready=counts["processed"] + 1, started=counts["processed"], completed=counts["processed"])
    elif end is not None and current["processed"]:
        late = current["processed"] - current["completed"]
        batches["current"] = dict.fromkeys(current, end) | {"completed": end - late}
    else:
        batches["current"] = _rescale(current, was, now)
    batches["total"] = {name: earlier * now // was + count for name, count in batches["current"].items()}
    fit_loop["epoch_loop.val_loop.batch_progress"]["current"] = dict.fromkeys(current, 0)


def _rescale(counts: dict[str, int], was: int, now: int) -> dict[str, int]:
    # Where a checkpoint is written at the end of a batch, `completed` is one behind; Lightning knows and adds it.
    late = counts["processed"] - counts["completed"] if counts["processed"] % was == 0 else 0
    done = counts | {"completed": counts["completed"] + late}
    scaled = {name: count // was * now for name, count in done.items()}
    return scaled | {"completed": scaled["completed"] - late}


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
        """Keep what a checkpoint has until it is known whether training goes on from it."""
        self._loaded, self._expected = state, None

    def resume(self, fit_loop: Progress, trainer: Trainer, plan: TrainingPlan) -> None:
        """Go on with training from the checkpoint that was loaded.

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
        end = None if batches else _limited(plan.batches, trainer.limit_train_batches)
        rewind(fit_loop, was, plan.accumulate, end, by_steps=trainer.max_steps != -1)
        self._expected = Position(epoch, steps * plan.accumulate)

    def next_batch(self, trainer: Trainer) -> Position:
        """Position of the next batch.

        Raises:
            ValueError: If a checkpoint was loaded and it is not the position there.
        """
        position = position_in_loop(trainer)
        expected, self._expected = self._expected, None
        if expected not in (None, position):
            raise ValueError(
                f"the trainer goes on at {position}, but the checkpoint is from {expected}; take another checkpoint"
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

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Pass the counters on, where training is resumed."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._resume(checkpoint["loops"]["fit_loop"])
