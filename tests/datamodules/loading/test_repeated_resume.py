"""Runs that are killed more than once: each checkpoint that a resumed run can leave is resumed from, too.

A kill anywhere leads back to the newest checkpoint, so that resuming from every checkpoint of every run covers kills
at all positions.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import pytest
import torch
from resume_run import Run, SmallModule, train

pytestmark = pytest.mark.filterwarnings("ignore:.*exists and is not empty", "ignore:.*LeafSpec", "ignore:.*dirpath has")


class Event(NamedTuple):
    """What happened, after how many steps, in which epoch, at which step of the loggers, and the loss of a step."""

    what: str
    step: int
    epoch: int
    logged: int
    loss: str = ""


class Events(pl.Callback):
    """Notes steps, validations and ends of epochs."""

    def __init__(self) -> None:
        self.seen: list[Event] = []

    def _note(self, what: str, trainer: pl.Trainer, loss: str = "") -> None:
        logged = trainer.fit_loop.epoch_loop._batches_that_stepped
        self.seen.append(Event(what, trainer.global_step, trainer.current_epoch, logged, loss))

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._note("step", trainer, float(outputs["loss"].detach()).hex())

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        self._note("validation", trainer)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        self._note("epoch", trainer)


class Result(NamedTuple):
    """What a run has seen, what its weights are in the end, and the checkpoints that it has left."""

    events: list[Event]
    weights: list[float]
    checkpoints: dict[int, Path]


def finish(run: Run) -> Result:
    """Train to the end."""
    events, module = Events(), SmallModule()
    train(run, events, module=module)
    weights = torch.cat([value.flatten() for value in module.state_dict().values()]).tolist()
    return Result(events.seen, weights, {step_of(path): path for path in run.folder.glob("*.ckpt")})


def step_of(path: Path) -> int:
    return int(path.stem.split("=")[1])


def resumed(run: Run, result: Result, resumptions: int) -> Iterator[tuple[Path, Result]]:
    """Resume from each checkpoint of a run, from each checkpoint of the resumed runs, and so on."""
    if resumptions == 0:
        return
    for step, path in sorted(result.checkpoints.items()):
        if run.checkpoint and step == step_of(run.checkpoint):
            continue  # written within the accumulation for the next step
        again = replace(run, checkpoint=path, folder=path.with_suffix(""))
        later = finish(again)
        yield path, later
        yield from resumed(again, later, resumptions - 1)


def loops(path: Path) -> dict[str, Any]:
    """Lightning's counters in a checkpoint, but for those of what is begun anew: validation and accumulation."""
    state: dict[str, Any] = torch.load(path, weights_only=True)["loops"]["fit_loop"]
    return {name: value for name, value in state.items() if "val_loop" not in name and "optim_progress" not in name}


def check(run: Run, resumptions: int) -> None:
    straight = finish(run)
    later_runs = list(resumed(run, straight, resumptions))
    assert len(later_runs) >= 3
    for path, result in later_runs:
        step = step_of(path)
        last = next(n for n, event in enumerate(straight.events) if event.what == "step" and event.step == step)
        done = step == run.trainer.get("max_steps")  # nothing is left to do, be it to end the epoch
        assert result.events == ([] if done else straight.events[last + 1 :]), path
        assert result.weights == straight.weights, path
        for later, saved in result.checkpoints.items():
            if later > step:
                assert loops(saved) == loops(straight.checkpoints[later]), saved


@pytest.mark.parametrize("save_every", [2, 3])
def test_two_kills_anywhere_change_nothing(shard_dir: Path, tmp_path: Path, save_every: int) -> None:
    run = Run(shard_dir, tmp_path / "run", epochs=3, save_every=save_every, data={"samples_per_epoch": 32})
    check(run, resumptions=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accumulate", "trainer"),
    [
        (1, {}),
        (2, {}),
        (2, {"max_steps": 11, "max_epochs": -1}),
        (2, {"val_check_interval": 0.5}),
        (2, {"check_val_every_n_epoch": 2}),
        (2, {"limit_train_batches": 4}),
        (2, {"limit_val_batches": 0}),
    ],
)
@pytest.mark.parametrize(("save_every", "epochs", "resumptions"), [(1, 2, 2), (2, 3, 3), (3, 4, 3)])
def test_three_kills_anywhere_change_nothing(
    shard_dir: Path,
    tmp_path: Path,
    trainer: dict[str, Any],
    accumulate: int,
    save_every: int,
    epochs: int,
    resumptions: int,
) -> None:
    run = Run(shard_dir, tmp_path / "run", batch_size=8 // accumulate, accumulate=accumulate, epochs=epochs)
    check(replace(run, save_every=save_every, trainer=trainer, data={"samples_per_epoch": 32}), resumptions)
