"""LossWeightDecay: the weights at known steps, the length of the run, and resuming."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from callbacks import LossWeightDecay


class Weighted(LightningModule):
    """Notes the weights that each training step reads."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.initial_loss_weights = {"noise": 1.0, "mask": 2.0, "attention": 0.5, "warp": 1.5}
        self.loss_weights = dict(self.initial_loss_weights)
        self.seen: list[tuple[int, dict[str, float]]] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.seen.append((self.global_step, dict(self.loss_weights)))
        loss: Tensor = self.layer(batch).sum() * self.loss_weights["mask"]
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Endless(IterableDataset[Tensor]):
    def __iter__(self) -> Iterator[Tensor]:
        while True:
            yield torch.ones(2)


def run(
    path: Path,
    decay: LossWeightDecay,
    data: DataLoader[Tensor] | None = None,
    ckpt: Path | None = None,
    **trainer: object,
) -> Weighted:
    module = Weighted()
    options = {"max_epochs": 2, "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    fitting = Trainer(
        callbacks=[decay],
        default_root_dir=path,
        accelerator="cpu",
        enable_checkpointing=False,
        **{**options, **trainer},
    )
    fitting.fit(module, DataLoader(torch.ones(8, 2), batch_size=2) if data is None else data, ckpt_path=ckpt)
    fitting.save_checkpoint(path / "end.ckpt")
    module.metrics = fitting.callback_metrics
    return module


def weights(module: Weighted, name: str) -> list[float]:
    return [seen[name] for _, seen in module.seen]


def test_linear_over_the_whole_run(tmp_path: Path) -> None:
    module = run(tmp_path, LossWeightDecay())
    assert weights(module, "mask") == pytest.approx([2.0 * (1 - step / 8) for step in range(8)])
    assert weights(module, "attention") == pytest.approx([0.5 * (1 - step / 8) for step in range(8)])
    assert weights(module, "noise") == [1.0] * 8
    assert weights(module, "warp") == [1.5] * 8


def test_max_steps_is_the_whole_run(tmp_path: Path) -> None:
    module = run(tmp_path, LossWeightDecay(), max_epochs=-1, max_steps=10)
    assert weights(module, "mask") == pytest.approx([2.0 * (1 - step / 10) for step in range(10)])


def test_stays_at_its_end(tmp_path: Path) -> None:
    module = run(tmp_path, LossWeightDecay(num_steps=2, final={"mask": 0.25, "attention": 1.0}))
    assert weights(module, "mask") == pytest.approx([2.0, 1.25, *[0.5] * 6])
    assert weights(module, "attention") == [0.5] * 8


def test_length_in_epochs_counts_optimizer_steps(tmp_path: Path) -> None:
    module = run(tmp_path, LossWeightDecay(num_epochs=1), accumulate_grad_batches=3)
    assert [step for step, _ in module.seen] == [0, 0, 0, 1, 2, 2, 2, 3]
    assert weights(module, "mask") == pytest.approx([2.0, 2.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0])


def test_only_the_named_weights_fall(tmp_path: Path) -> None:
    module = run(tmp_path, LossWeightDecay(names=["attention"], schedule="cosine", num_steps=8))
    assert weights(module, "mask") == [2.0] * 8
    assert weights(module, "attention")[4] == pytest.approx(0.25)


def test_constant_never_falls(tmp_path: Path) -> None:
    module = run(tmp_path, LossWeightDecay(schedule="constant"))
    assert weights(module, "mask") == [2.0] * 8


def test_two_callbacks_give_two_schedules(tmp_path: Path) -> None:
    first, second = LossWeightDecay(names=["mask"], num_steps=4), LossWeightDecay(names=["attention"], num_steps=2)
    module = Weighted()
    trainer = Trainer(
        callbacks=[first, second],
        max_epochs=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=tmp_path,
        accelerator="cpu",
    )
    trainer.fit(module, DataLoader(torch.ones(8, 2), batch_size=2))
    assert weights(module, "mask") == pytest.approx([2.0, 1.5, 1.0, 0.5])
    assert weights(module, "attention") == pytest.approx([0.5, 0.25, 0.0, 0.0])


def test_is_logged(tmp_path: Path) -> None:
    module = run(tmp_path, LossWeightDecay(num_steps=14))
    assert float(module.metrics["train/weight_mask"]) == pytest.approx(1.0)
    assert float(module.metrics["train/weight_attention"]) == pytest.approx(0.25)


def test_a_resumed_run_goes_on_exactly(tmp_path: Path) -> None:
    whole = run(tmp_path, LossWeightDecay(num_steps=8))
    run(tmp_path, LossWeightDecay(num_steps=8), max_epochs=1)
    rest = run(tmp_path, LossWeightDecay(num_steps=8), ckpt=tmp_path / "end.ckpt")
    assert rest.seen == whole.seen[4:]


def test_a_run_without_length_needs_num_steps(tmp_path: Path) -> None:
    endless = DataLoader(Endless(), batch_size=2)
    for decay in (LossWeightDecay(), LossWeightDecay(num_epochs=1)):
        with pytest.raises(ValueError, match="set num_steps"):
            run(tmp_path, decay, data=endless)
    module = run(tmp_path, LossWeightDecay(), data=endless, max_epochs=-1, max_steps=4)
    assert weights(module, "mask") == pytest.approx([2.0, 1.5, 1.0, 0.5])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": []}, "at least one loss"),
        ({"names": "mask"}, "must list"),
        ({"num_steps": 2, "num_epochs": 1}, "not both"),
        ({"num_steps": 0}, "num_steps must be at least 1"),
        ({"num_epochs": 0}, "num_epochs must be at least 1"),
        ({"schedule": "stairs"}, "a schedule is one of constant, linear, cosine"),
        ({"final": 1.5}, r"in \[0, 1\]"),
        ({"final": {"mask": 0.5}}, "one for each of mask, attention"),
    ],
)
def test_wrong_arguments_say_the_rule(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LossWeightDecay(**options)


def test_an_unknown_loss_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"attention, mask, noise, warp\), got shape"):
        run(tmp_path, LossWeightDecay(names=["shape"]))


def test_can_be_written_in_yaml() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(LossWeightDecay, "decay")
    config = parser.parse_string("decay: {names: [mask], final: {mask: 0.1}, num_epochs: 3}")
    again = parser.parse_string(parser.dump(config))
    decay = parser.instantiate(again).decay
    assert (decay.names, decay.final, decay.num_epochs) == (("mask",), {"mask": 0.1}, 3)
    default = parser.instantiate(parser.parse_string(parser.dump(parser.get_defaults()))).decay
    assert default.names == ("mask", "attention")
