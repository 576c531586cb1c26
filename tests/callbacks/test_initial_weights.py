"""A training begins from the weights of another one, and from nothing else of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import nn

from callbacks import InitialWeights, TrainableEMA


class Start(Callback):
    """Notes the weight, the step and the average at the start of the fit."""

    gain: float
    step: int

    def on_train_start(self, trainer: Trainer, pl_module: nn.Module) -> None:
        self.gain, self.step = pl_module.gain.item(), trainer.global_step


@pytest.fixture
def checkpoint(build_module, data, make_trainer: Callable[..., Trainer], tmp_path: Path) -> Path:
    trainer = make_trainer(TrainableEMA(0.9))
    trainer.fit(build_module(), data)
    path = tmp_path / "first.ckpt"
    trainer.save_checkpoint(path)
    return path


def average(checkpoint: Path) -> float:
    return torch.load(checkpoint, weights_only=True)["state_dict"]["gain"].item()


def test_a_fit_begins_at_step_0_with_the_averaged_weights(build_module, data, make_trainer, checkpoint: Path) -> None:
    start = Start()
    make_trainer(InitialWeights(checkpoint), start).fit(build_module(), data)
    assert (start.gain, start.step) == (average(checkpoint), 0)
    assert start.gain != 1.0


def test_the_average_begins_from_the_loaded_weights(build_module, data, make_trainer, checkpoint: Path) -> None:
    ema = TrainableEMA(0.9)
    seen: list[float] = []
    ema.on_train_start = lambda trainer, module: seen.append(ema._averages["gain"].item())  # type: ignore[method-assign]
    make_trainer(InitialWeights(checkpoint), ema).fit(build_module(), data)
    assert seen == [average(checkpoint)]


def test_a_resumed_fit_keeps_its_own_weights(
    build_module, data, make_trainer, checkpoint: Path, tmp_path: Path
) -> None:
    start = Start()
    trainer = make_trainer(InitialWeights(tmp_path / "gone.ckpt"), start, max_epochs=3)
    trainer.fit(build_module(), data, ckpt_path=checkpoint, weights_only=True)
    assert start.step == 4


def test_evaluation_needs_no_file(build_module, data, make_trainer, tmp_path: Path) -> None:
    make_trainer(InitialWeights(tmp_path / "gone.ckpt")).validate(build_module(), data, verbose=False)


def test_other_parts_are_refused_by_name(build_module, data, make_trainer, checkpoint: Path) -> None:
    module = build_module()
    module.more = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"these weights differ: more\.bias, more\.weight; train with the config.yaml"):
        make_trainer(InitialWeights(checkpoint)).fit(module, data)


def test_another_size_is_refused(build_module, data, make_trainer, checkpoint: Path) -> None:
    module = build_module()
    module.gain = nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match="these weights differ: gain;"):
        make_trainer(InitialWeights(checkpoint)).fit(module, data)


def test_a_missing_file_is_told(build_module, data, make_trainer, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.ckpt"):
        make_trainer(InitialWeights(tmp_path / "gone.ckpt")).fit(build_module(), data)
