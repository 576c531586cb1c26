"""TrainableEMA: known averages, what is averaged, where the average is used, and what checkpoints hold."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.utils.data import DataLoader

from callbacks import TrainableEMA


class Toy(LightningModule):
    """Trains one layer between a frozen one and an integer buffer; tied weights have two names."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.frozen = nn.Linear(3, 3).requires_grad_(False)
        self.trained = nn.Linear(3, 1)
        self.tied = self.trained
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)
        self.register_buffer("positions", torch.arange(257)[None])
        self.used: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.trained(self.frozen(x) + self.positions.sum() / 1e5)
        return output

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self(batch).square().mean()

    def look(self, batch: Tensor, batch_idx: int) -> None:
        self.used.append(self.trained.weight.detach().clone())

    validation_step = test_step = predict_step = look

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.trained.parameters(), lr=0.1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name in [name for name in checkpoint["state_dict"] if name.startswith("frozen")]:
            del checkpoint["state_dict"][name]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"].update({f"frozen.{k}": v for k, v in self.frozen.state_dict().items()})


class Watch(Callback):
    """Notes the raw weights after each optimizer step."""

    def __init__(self) -> None:
        self.raw: list[Tensor] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        if trainer.global_step > len(self.raw):
            self.raw.append(pl_module.trained.weight.detach().clone())


class SaveAt(Callback):
    """Saves a checkpoint in a hook, at a step."""

    def __init__(self, hook: str, step: int, path: Path) -> None:
        self.step, self.path = step, path
        setattr(self, hook, self.save)

    def save(self, trainer: Trainer, *_: object) -> None:
        if trainer.global_step == self.step and not trainer.sanity_checking:
            trainer.save_checkpoint(self.path)


class StopAt(Callback):
    """Breaks a validation off."""

    def on_validation_batch_end(self, trainer: Trainer, *_: object) -> None:
        if not trainer.sanity_checking:
            raise RuntimeError("stop")


def data(count: int = 8) -> DataLoader[Tensor]:
    return DataLoader(torch.randn(count, 3, generator=torch.Generator().manual_seed(1)), batch_size=2)


def trainer(path: Path, *callbacks: Callback, **options: object) -> Trainer:
    defaults = {"max_epochs": 2, "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    saves = any(isinstance(callback, ModelCheckpoint) for callback in callbacks)
    return Trainer(
        callbacks=list(callbacks),
        default_root_dir=path,
        accelerator="cpu",
        **{**defaults, "enable_checkpointing": saves, **options},
    )


def load(path: Path) -> dict[str, Any]:
    checkpoint: dict[str, Any] = torch.load(path, weights_only=True)
    return checkpoint


def expected(raw: list[Tensor], decay: float) -> Tensor:
    average = Toy().trained.weight.detach()
    for n, weight in enumerate(raw):
        average = torch.lerp(average, weight, 1 - min(decay, (1 + n) / (10 + n)))
    return average


@pytest.mark.parametrize("decay", [0.15, 0.9999])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_averages_once_per_optimizer_step(tmp_path: Path, decay: float, accumulate: int) -> None:
    module, watch = Toy(), Watch()
    fit = trainer(tmp_path, TrainableEMA(decay), watch, accumulate_grad_batches=accumulate)
    fit.fit(module, data())
    fit.save_checkpoint(tmp_path / "end.ckpt")
    assert len(watch.raw) == 8 // accumulate
    average = load(tmp_path / "end.ckpt")["state_dict"]["trained.weight"]
    assert torch.allclose(average, expected(watch.raw, decay), rtol=1e-6)
    assert torch.equal(module.trained.weight, watch.raw[-1])


def test_training_is_the_same_as_without(tmp_path: Path) -> None:
    plain, averaged = Toy(), Toy()
    trainer(tmp_path).fit(plain, data(), data(2))
    trainer(tmp_path, TrainableEMA()).fit(averaged, data(), data(2))
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, averaged.state_dict()[name]), name


def test_evaluation_sees_the_average_and_training_the_raw_weights(tmp_path: Path) -> None:
    module, watch, ema = Toy(), Watch(), TrainableEMA()
    fit = trainer(tmp_path, ema, watch)
    fit.fit(module, data(), data(2))
    sanity, first, last = module.used
    assert torch.equal(sanity, Toy().trained.weight)
    assert torch.allclose(first, expected(watch.raw[:4], 0.9999))
    assert torch.allclose(last, expected(watch.raw, 0.9999))
    module.used.clear()
    fit.test(module, data(2), verbose=False)
    fit.predict(module, data(2))
    fit.validate(module, data(2), verbose=False)
    assert all(torch.equal(used, last) for used in module.used) and len(module.used) == 3
    assert torch.equal(module.trained.weight, watch.raw[-1])


def test_a_checkpoint_holds_the_average_and_the_raw_weights(tmp_path: Path) -> None:
    module, watch = Toy(), Watch()
    save = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=3, save_top_k=-1)
    trainer(tmp_path, save, TrainableEMA(), watch).fit(module, data(), data(2))
    checkpoint = load(tmp_path / "step=3.ckpt")
    assert torch.allclose(checkpoint["state_dict"]["trained.weight"], expected(watch.raw[:3], 0.9999))
    assert torch.equal(checkpoint["state_dict"]["tied.weight"], checkpoint["state_dict"]["trained.weight"])
    state = checkpoint["callbacks"]["TrainableEMA"]
    assert sorted(state["raw_parameters"]) == ["trained.bias", "trained.weight"]
    assert torch.equal(state["raw_parameters"]["trained.weight"], watch.raw[2])


def test_buffers_and_frozen_parts_stay(tmp_path: Path) -> None:
    module, fresh = Toy(), Toy()
    save = ModelCheckpoint(tmp_path, filename="end")
    trainer(tmp_path, TrainableEMA(), save).fit(module, data(), data(2))
    state = load(tmp_path / "end.ckpt")["state_dict"]
    assert torch.equal(state["positions"], torch.arange(257)[None])
    assert torch.equal(module.positions, fresh.positions)
    assert not any(name.startswith("frozen") for name in state)
    assert torch.equal(module.frozen.weight, fresh.frozen.weight)


def test_a_file_alone_gives_the_average(tmp_path: Path) -> None:
    save = ModelCheckpoint(tmp_path, filename="end")
    trainer(tmp_path, TrainableEMA(), save).fit(Toy(), data(), data(2))
    average = load(tmp_path / "end.ckpt")["state_dict"]["trained.weight"]
    loaded = Toy.load_from_checkpoint(tmp_path / "end.ckpt", weights_only=True)
    assert torch.equal(loaded.trained.weight, average)
    for callbacks in ([], [TrainableEMA()]):
        module = Toy()
        trainer(tmp_path, *callbacks).test(module, data(2), tmp_path / "end.ckpt", verbose=False, weights_only=True)
        assert torch.equal(module.used[0], average)


@pytest.mark.parametrize("drop", [[], ["callbacks"]])
def test_an_older_file_is_not_overlaid_with_the_latest_average(tmp_path: Path, drop: list[str]) -> None:
    module = Toy()
    save = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=2, save_top_k=-1)
    fit = trainer(tmp_path, TrainableEMA(), save)
    fit.fit(module, data())
    older = {key: value for key, value in load(tmp_path / "step=2.ckpt").items() if key not in drop}
    torch.save(older, tmp_path / "step=2.ckpt")
    fit.test(module, data(2), tmp_path / "step=2.ckpt", verbose=False)
    assert torch.equal(module.used[-1], load(tmp_path / "step=2.ckpt")["state_dict"]["trained.weight"])
    fit.test(module, data(2), verbose=False)
    assert torch.equal(module.used[-1], module.used[-2])


HOOKS = ["on_train_batch_end", "on_validation_batch_end", "on_validation_start", "on_validation_end"]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("hook", HOOKS)
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, hook: str, first: bool) -> None:
    whole, parts = tmp_path / "whole.ckpt", tmp_path / "part.ckpt"
    save = SaveAt(hook, 4, parts)
    undisturbed, ema = Toy(), TrainableEMA()
    fit = trainer(tmp_path, *((save, ema) if first else (ema, save)))
    fit.fit(undisturbed, data(), data(2))
    fit.save_checkpoint(whole)

    resumed = Toy()
    again = trainer(tmp_path, TrainableEMA())
    again.fit(resumed, data(), data(2), ckpt_path=parts, weights_only=True)
    again.save_checkpoint(parts)
    assert again.global_step == fit.global_step == 8
    one, two = load(whole), load(parts)
    assert torch.equal(undisturbed.trained.weight, resumed.trained.weight)
    for name, tensor in one["state_dict"].items():
        assert torch.equal(tensor, two["state_dict"][name]), name
    assert one["callbacks"]["TrainableEMA"]["num_updates"] == two["callbacks"]["TrainableEMA"]["num_updates"] == 8
    for name, tensor in one["callbacks"]["TrainableEMA"]["raw_parameters"].items():
        assert torch.equal(tensor, two["callbacks"]["TrainableEMA"]["raw_parameters"][name]), name


def test_a_broken_off_validation_leaves_raw_weights(tmp_path: Path) -> None:
    module, watch = Toy(), Watch()
    with pytest.raises(RuntimeError, match="stop"):
        trainer(tmp_path, TrainableEMA(), watch, StopAt()).fit(module, data(), data(2))
    assert torch.equal(module.trained.weight, watch.raw[-1])


def test_half_precision_weights_have_a_float32_average(tmp_path: Path) -> None:
    module, watch = Toy(), Watch()
    save = ModelCheckpoint(tmp_path, filename="end")
    trainer(tmp_path, TrainableEMA(), watch, save, precision="bf16-true").fit(module, data(), data(2))
    checkpoint = load(tmp_path / "end.ckpt")
    assert module.trained.weight.dtype == torch.bfloat16
    assert checkpoint["state_dict"]["trained.weight"].dtype == torch.float32
    average = Toy().trained.weight.detach().bfloat16().float()
    for n, weight in enumerate(watch.raw):
        average = torch.lerp(average, weight.float(), 1 - (1 + n) / (10 + n))
    assert torch.allclose(checkpoint["state_dict"]["trained.weight"], average)
    again = trainer(tmp_path, TrainableEMA(), precision="bf16-true")
    again.fit(Toy(), data(), ckpt_path=tmp_path / "end.ckpt")
    again.save_checkpoint(tmp_path / "again.ckpt")
    state = load(tmp_path / "again.ckpt")["state_dict"]
    assert torch.equal(state["trained.weight"], checkpoint["state_dict"]["trained.weight"])


def test_a_checkpoint_without_averages_starts_them_anew(tmp_path: Path) -> None:
    plain = trainer(tmp_path, max_epochs=1)
    plain.fit(Toy(), data())
    plain.save_checkpoint(tmp_path / "plain.ckpt")
    module, watch = Toy(), Watch()
    fit = trainer(tmp_path, TrainableEMA(), watch, limit_train_batches=1, max_epochs=2)
    with pytest.warns(UserWarning, match="made without TrainableEMA"):
        fit.fit(module, data(), data(2), ckpt_path=tmp_path / "plain.ckpt")


class Report(Callback):
    """Writes each rank's raw and average weights to a file."""

    def __init__(self, ema: TrainableEMA, path: Path) -> None:
        self.ema, self.path = ema, path

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        raw = self.ema.state_dict()["raw_parameters"]["trained.weight"]
        torch.save({"average": pl_module.trained.weight, "raw": raw}, self.path / f"rank{trainer.global_rank}.pt")


def test_ranks_agree(tmp_path: Path) -> None:
    ema = TrainableEMA()
    options = {"strategy": "ddp_fork", "devices": 2, "num_sanity_val_steps": 0, "max_epochs": 1}
    trainer(tmp_path, ema, Report(ema, tmp_path), **options).fit(Toy(), data(16), data(4))
    one, two = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert torch.equal(one["average"], two["average"]) and torch.equal(one["raw"], two["raw"])
    assert not torch.equal(one["average"], one["raw"])


def test_refuses_checkpoints_of_weights_only(tmp_path: Path) -> None:
    save = ModelCheckpoint(tmp_path, save_weights_only=True)
    with pytest.raises(ValueError, match=r"save_weights_only=True .* set it to False"):
        trainer(tmp_path, TrainableEMA(), save).fit(Toy(), data())


def test_refuses_sharded_weights(tmp_path: Path) -> None:
    sharded = trainer(tmp_path, TrainableEMA(), strategy=ModelParallelStrategy(), devices=1)
    with pytest.raises(ValueError, match="ModelParallelStrategy shards them; use the strategy ddp"):
        TrainableEMA().setup(sharded, Toy(), "fit")


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_refuses_a_decay_out_of_range(decay: float) -> None:
    with pytest.raises(ValueError, match=r"decay must be in \[0, 1\)"):
        TrainableEMA(decay)
