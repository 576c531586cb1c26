import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from datamodules import OrnamentDataModule
from datamodules.faults import SampleError
from ornament_lit.batch import CATEGORIES, TryOnBatch, check_batch

Draw = Callable[..., dict[str, bytes]]
Write = Callable[[Path, Mapping[str, dict[str, bytes]]], Path]


def drawn(folder: Path, **options: object) -> OrnamentDataModule:
    return OrnamentDataModule(
        str(folder / "train-*.tar"),
        str(folder / "val-*.tar"),
        **{"resolution": 8, "batch_size": 4, **options},  # type: ignore[arg-type]
    )


def keys(batches: object) -> list[str]:
    return [key for batch in batches for key in batch["key"]]  # type: ignore[attr-defined]


class Recorder(pl.LightningModule):
    """Records what it is given, by epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: dict[int, list[tuple[str, int]]] = {}
        self.validated: list[str] = []

    def training_step(self, batch: TryOnBatch, batch_idx: int) -> torch.Tensor:
        rows = zip(batch["key"], batch["sample_seed"].tolist(), strict=True)
        self.seen.setdefault(self.current_epoch, []).extend(rows)
        return self.weight * 1.0

    def validation_step(self, batch: TryOnBatch, batch_idx: int) -> None:
        self.validated.extend(batch["key"])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(data: OrnamentDataModule, folder: Path, epochs: int, resume: Path | None = None, **options: object) -> Recorder:
    module = Recorder()
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[ModelCheckpoint(folder, filename="{epoch}", save_top_k=-1, **options)],  # type: ignore[arg-type]
    )
    trainer.fit(module, data, ckpt_path=resume)
    return module


def test_bundled_data() -> None:
    data = OrnamentDataModule(resolution=32, batch_size=16)
    shares = []
    for loader, count in ((data.calibration_dataloader(), 640), (data.val_dataloader(), 64)):
        names, types = set(), Counter()
        for batch in loader:
            check_batch(batch)
            names.update(batch["key"])
            types.update(batch["category"])
            box, mask = batch["box_mask"] > 0, batch["wearing_mask"] > 0.5
            shares.append((box & mask).sum((1, 2, 3)) / (box | mask).sum((1, 2, 3)))
        assert len(names) == count and types == dict.fromkeys(CATEGORIES, count // 4)
    assert 0.1 < torch.cat(shares).mean() < 0.3


def test_training_sees_the_bundled_data_once_without_a_length() -> None:
    loader = OrnamentDataModule(resolution=8, batch_size=64).train_dataloader()
    assert len(set(keys(loader))) == 640
    with pytest.raises(TypeError, match="no length"):
        len(loader)


def test_nothing_is_drawn_from_global_random_state(shard_dir: Path) -> None:
    state = torch.get_rng_state()
    keys(drawn(shard_dir).train_dataloader())
    keys(drawn(shard_dir).val_dataloader())
    assert torch.equal(state, torch.get_rng_state())


def test_validation_is_always_the_same(shard_dir: Path) -> None:
    loader = drawn(shard_dir).val_dataloader()
    first, second = list(loader), list(loader)
    assert keys(first) == [f"val-{i:06d}" for i in range(8)]
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one["box_mask"], other["box_mask"])
        assert torch.equal(one["sample_seed"], other["sample_seed"])


def test_calibration_sees_training_samples_as_validation_does(shard_dir: Path) -> None:
    data = drawn(shard_dir, type_weights={"ring": 0.0})
    found = keys(data.calibration_dataloader())
    assert found == [f"train-{i:06d}" for i in range(32) if i % 4 != 1] == keys(data.calibration_dataloader())


def test_test_and_prediction_fall_back_to_validation(shard_dir: Path) -> None:
    data = drawn(shard_dir)
    assert keys(data.test_dataloader()) == keys(data.predict_dataloader()) == keys(data.val_dataloader())
    other = drawn(shard_dir, test_shards=str(shard_dir / "train-000003.tar"))
    assert keys(other.test_dataloader()) == [f"train-{i:06d}" for i in range(24, 32)]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_an_epoch_has_the_samples_that_were_asked_for(shard_dir: Path, workers: int) -> None:
    loader = drawn(shard_dir, samples_per_epoch=43, num_workers=workers).train_dataloader()
    batches = list(loader)
    assert len(batches) == len(loader) == 10 and all(len(batch["key"]) == 4 for batch in batches)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("samples", [None, 24])
def test_epochs_differ_and_a_resumed_run_goes_on_with_the_next(
    shard_dir: Path, tmp_path: Path, workers: int, samples: int | None
) -> None:
    data = {"num_workers": workers, "samples_per_epoch": samples}
    straight = fit(drawn(shard_dir, **data), tmp_path, 3)
    resumed = fit(drawn(shard_dir, **data), tmp_path, 3, tmp_path / "epoch=0.ckpt")
    assert [len(straight.seen[epoch]) for epoch in range(3)] == [samples or 32] * 3
    assert straight.seen[0] != straight.seen[1] != straight.seen[2]
    assert resumed.seen == {epoch: straight.seen[epoch] for epoch in (1, 2)}
    assert straight.validated == [f"val-{i:06d}" for i in range(8)] * 3 or workers


def test_a_checkpoint_of_the_training_epochs_end_resumes_too(shard_dir: Path, tmp_path: Path) -> None:
    straight = fit(drawn(shard_dir), tmp_path, 2, save_on_train_epoch_end=True)
    resumed = fit(drawn(shard_dir), tmp_path, 2, tmp_path / "epoch=0.ckpt")
    assert resumed.seen == {1: straight.seen[1]}


def test_ranks_have_equally_many_batches_of_different_samples(shard_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    found = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        data = drawn(shard_dir, samples_per_epoch=32, num_workers=2)
        found.append(keys(data.train_dataloader()))
    assert sorted(found[0] + found[1]) == [f"train-{i:06d}" for i in range(32)]
    assert len(found[0]) == len(found[1]) == 16


class RankRecorder(Recorder):
    """Writes what each rank is given to a file of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_fit_end(self) -> None:
        rows = [f"train {key}" for key, _ in self.seen[0]] + [f"val {key}" for key in self.validated]
        (self.folder / f"rank-{self.global_rank}").write_text("\n".join(rows))


def test_two_processes_of_a_trainer_share_the_data(shard_dir: Path, tmp_path: Path) -> None:
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        strategy="ddp_fork",
        devices=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(RankRecorder(tmp_path), drawn(shard_dir, samples_per_epoch=32, num_workers=1))
    ranks = [(tmp_path / f"rank-{rank}").read_text().split("\n") for rank in (0, 1)]
    expected = [f"train train-{i:06d}" for i in range(32)] + [f"val val-{i:06d}" for i in range(8)]
    assert sorted(ranks[0] + ranks[1]) == sorted(expected) and len(ranks[0]) == len(ranks[1])


def test_several_ranks_need_a_number_of_samples(shard_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ValueError, match=r"set data\.samples_per_epoch"):
        drawn(shard_dir).train_dataloader()
    with pytest.raises(ValueError, match=r"2 x 4 samples"):
        drawn(shard_dir, samples_per_epoch=7).train_dataloader()


def test_too_few_shards_name_both_numbers(shard_dir: Path) -> None:
    with pytest.raises(ValueError, match=r"got 4 shards for 5 workers"):
        drawn(shard_dir, num_workers=5).train_dataloader()


@pytest.mark.parametrize("workers", [0, 2])
def test_skipped_samples_are_reported_once_an_epoch(
    tmp_path: Path, draw_entries: Draw, write_shard: Write, caplog: pytest.LogCaptureFixture, workers: int
) -> None:
    for shard in range(2):
        samples = {f"{shard}{i}": draw_entries(i) for i in range(8)}
        samples["bad"] = draw_entries(wearing_mask__png=None)
        write_shard(tmp_path / f"train-{shard}.tar", samples)
    loader = drawn(tmp_path, num_workers=workers, samples_per_epoch=32).train_dataloader()
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            iterator = iter(loader)
            for _ in range(len(loader)):
                next(iterator)
        (message,) = caplog.messages
        assert "samples skipped: " in message and "missing_entry (first: " in message and ".tar: bad: " in message


def test_only_bad_samples_are_an_error(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> None:
    write_shard(tmp_path / "train-0.tar", {"bad": draw_entries(json=None)})
    write_shard(tmp_path / "val-0.tar", {"bad": draw_entries(json=None)})
    data = drawn(tmp_path)
    for loader in (data.train_dataloader(), data.val_dataloader()):
        with pytest.raises(ValueError, match="1 of 1 samples skipped: 1 missing_entry"):
            list(loader)


def test_fewer_samples_than_a_batch_are_an_error(shard_dir: Path) -> None:
    with pytest.raises(ValueError, match="training data must give at least one batch of 33"):
        list(drawn(shard_dir, batch_size=33).train_dataloader())


def test_strict_raises(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> None:
    write_shard(tmp_path / "val-0.tar", {"bad": draw_entries(json=None)})
    with pytest.raises(SampleError, match=r"val-0\.tar: bad: no entry json"):
        list(drawn(tmp_path, strict=True).val_dataloader())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 0}, "resolution must be at least 1, got 0"),
        ({"num_workers": -1}, "num_workers must be at least 0, got -1"),
        ({"samples_per_epoch": 0}, "samples_per_epoch"),
        ({"box_growth": (0.3, 0.1)}, "box_growth"),
        ({"crop_factor": 0.5}, "crop_factor"),
        ({"type_weights": {"tiara": 1.0}}, "tiara"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OrnamentDataModule(**options)  # type: ignore[arg-type]


def test_shards_are_looked_for_when_they_are_needed(tmp_path: Path) -> None:
    data = drawn(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        data.val_dataloader()


def test_light_parts_load_no_lightning() -> None:
    code = (
        "import sys, datamodules.shards, datamodules.seeding, datamodules.decoding; print('lightning' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
