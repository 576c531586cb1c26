"""Steps that are not finite leave no trace in the weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from callbacks import GradientGuard

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec", "ignore:.*does not have many workers", "ignore:.*exists and is not empty"
)
MakeTrainer = Callable[..., pl.Trainer]


class Slope(pl.LightningModule):
    """The gradient of its loss is the batch's ``gradient``, and a loss of the batch's kind."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2))

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        return (self.weight * batch["gradient"]).sum() + batch["extra"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.1)


def batch(number: int, gradient: tuple[float, float] = (3.0, 4.0), extra: float = 0.0) -> dict[str, Any]:
    return {"key": [f"sample-{number}"], "gradient": torch.tensor(gradient), "extra": torch.tensor(extra)}


class Trace(pl.Callback):
    """The weights and the optimizer's own count after each batch, and what was logged."""

    def __init__(self, folder: Path | None = None) -> None:
        self.weights: list[list[float]] = []
        self.counts: list[float] = []
        self.logged: list[dict[str, float]] = []
        self.folder = folder

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        self.weights.append(module.weight.tolist())
        self.counts.append(float(trainer.optimizers[0].state[module.weight].get("step", 0.0)))
        self.logged.append({name: float(value) for name, value in trainer.callback_metrics.items()})
        if self.folder:
            text = json.dumps([self.weights, self.logged])
            (self.folder / f"trace-{trainer.global_rank}").write_text(text)


def fit(make_trainer: MakeTrainer, batches: list[Any], guard: GradientGuard, **options: Any) -> Trace:
    trace = Trace()
    trainer = make_trainer(guard, trace, max_epochs=1, log_every_n_steps=1, **options)
    trainer.fit(Slope(), DataLoader(batches, batch_size=None))
    return trace


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("bad", [{"extra": NAN}, {"extra": INF}, {"gradient": (NAN, 1.0)}, {"gradient": (INF, 1.0)}])
def test_a_bad_step_changes_nothing_and_is_reported(make_trainer: MakeTrainer, bad: dict[str, Any]) -> None:
    clean = fit(make_trainer, [batch(0), batch(2)], GradientGuard())
    guard = GradientGuard()
    with pytest.warns(UserWarning, match=r"step 1: .* is not finite.*1 in a row, 1 in all.*samples: sample-1$"):
        trace = fit(make_trainer, [batch(0), batch(1, **bad), batch(2)], guard)
    assert trace.weights == [clean.weights[0], clean.weights[0], clean.weights[1]]
    assert trace.counts == [1.0, 1.0, 2.0]
    assert guard.state_dict() == {"skipped": 1}
    assert trace.logged[-1]["train/skipped_steps"] == 1.0


def test_a_bad_batch_spoils_the_step_that_it_is_added_to(make_trainer: MakeTrainer) -> None:
    batches = [batch(0), batch(1, extra=NAN), batch(2), batch(3)]
    with pytest.warns(UserWarning, match="samples: sample-0, sample-1$"):
        trace = fit(make_trainer, batches, GradientGuard(), accumulate_grad_batches=2)
    assert trace.weights[:3] == [[0.0, 0.0]] * 3 and trace.weights[3] != [0.0, 0.0]


@pytest.mark.filterwarnings("ignore:step")
def test_too_many_in_a_row_end_the_run_with_the_last_good_weights(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    numbers = [batch(0), batch(1, extra=NAN), batch(2), *(batch(n, extra=NAN) for n in (3, 4, 5))]
    trace = Trace()
    trainer = make_trainer(GradientGuard(stop_after=2), trace, max_epochs=1)
    with pytest.raises(ValueError, match=r"2 steps in a row, up to step 4 with the samples sample-4; .*last\.ckpt"):
        trainer.fit(Slope(), DataLoader(numbers, batch_size=None))
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 5
    assert saved["state_dict"]["weight"].tolist() == trace.weights[2] == trace.weights[-1] != trace.weights[1]
    assert saved["callbacks"]["GradientGuard"] == {"skipped": 3}


@pytest.mark.parametrize(("limit", "clipped"), [(None, 5.0), (1.0, 1.0), (10.0, 5.0)])
def test_clipping_clips(make_trainer: MakeTrainer, limit: float | None, clipped: float) -> None:
    trace = fit(make_trainer, [batch(0)], GradientGuard(), gradient_clip_val=limit)
    assert trace.logged[0]["train/grad_norm"] == pytest.approx(5.0)
    assert trace.logged[0]["train/grad_norm_clipped"] == pytest.approx(clipped, rel=1e-5)


class OfRank(torch.utils.data.Dataset[dict[str, Any]]):
    """Three batches; the second one is bad on the second process."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, number: int) -> dict[str, Any]:
        rank = torch.distributed.get_rank()
        return batch(10 * rank + number, extra=NAN if rank == 1 and number == 1 else 0.0)


@pytest.mark.filterwarnings("ignore:step", "ignore:.*multi-threaded", "ignore:.*fork", "ignore:.*sync_dist")
def test_all_processes_leave_the_step_out(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    parallel = {"strategy": "ddp_fork", "devices": 2, "use_distributed_sampler": False}
    trainer = make_trainer(GradientGuard(stop_after=1), Trace(tmp_path), max_epochs=1, log_every_n_steps=1, **parallel)
    with pytest.raises(Exception, match="up to step 1 with the samples sample-11;"):
        trainer.fit(Slope(), DataLoader(OfRank(), batch_size=None))
    traces = [json.loads((tmp_path / f"trace-{rank}").read_text()) for rank in (0, 1)]
    first, second = (weights for weights, _ in traces)
    assert first == second and len(first) == 1


def test_wrong_argument() -> None:
    with pytest.raises(ValueError, match="stop_after must be at least 1, got 0"):
        GradientGuard(stop_after=0)
