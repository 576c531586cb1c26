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
from datamodules.storage.sample_errors import SampleError
from ornament_lit.batch import TryOnBatch, check_batch
from ornament_lit.utils.categories import CATEGORIES

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


def test_training_sees_the_bundled_data_once() -> None:
    loader = OrnamentDataModule(resolution=8, batch_size=64).train_dataloader()
    assert len(loader) == 10 and len(set(keys(loader))) == 640


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


def test_validation_data_in_the_place_of_test_data_are_told(shard_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    drawn(shard_dir, test_shards=str(shard_dir / "train-000003.tar")).test_dataloader()
    assert "test_shards" not in caplog.text
    for loader in ("test_dataloader", "predict_dataloader"):
        caplog.clear()
        getattr(drawn(shard_dir), loader)()
        assert "there are no test_shards, so that the validation data take their place" in caplog.text


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


@pytest.mark.parametrize("samples", [1, 8])
def test_validation_of_a_trainer_sees_every_sample_once(
    tmp_path: Path, draw_entries: Draw, write_shard: Write, samples: int
) -> None:
    for name, count in (("train", 9), ("val", samples)):
        write_shard(tmp_path / f"{name}-0.tar", {f"{name}-{i}": draw_entries(i) for i in range(count)})
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        strategy="ddp_fork",
        devices=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(RankRecorder(tmp_path), drawn(tmp_path, batch_size=2))
    ranks = [(tmp_path / f"rank-{rank}").read_text().split("\n") for rank in range(3)]
    validated = sorted(row for rank in ranks for row in rank if row.startswith("val"))
    assert validated == sorted([f"val val-{i}" for i in range(samples)] * 2)
    assert [sum(row.startswith("train") for row in rank) for rank in ranks] == [2, 2, 2]


def test_several_ranks_share_a_pass(shard_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    found = []
    for rank in ("0", "1", "2"):
        monkeypatch.setenv("RANK", rank)
        found.append(keys(drawn(shard_dir, batch_size=3).train_dataloader()))
    assert [len(part) for part in found] == [9, 9, 9] and len(set().union(*found)) == 27
    with pytest.raises(ValueError, match=r"one step of 12 samples at least \(3 processes of batch_size 4"):
        drawn(shard_dir, samples_per_epoch=11).train_dataloader()


def test_the_dropped_tail_is_told(shard_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "datamodules"):
        loader = drawn(shard_dir, batch_size=5).train_dataloader()
    assert len(keys(loader)) == 30 and "32 samples an epoch are 30 in whole steps" in caplog.text


@pytest.mark.parametrize("world_size", [2, 3, 11])
@pytest.mark.parametrize("workers", [0, 2])
def test_validation_shares_every_sample_once(
    shard_dir: Path, monkeypatch: pytest.MonkeyPatch, world_size: int, workers: int
) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(world_size))
    found, lengths = [], set()
    for rank in range(world_size):
        monkeypatch.setenv("RANK", str(rank))
        loader = drawn(shard_dir, val_batch_size=2, num_workers=workers).val_dataloader()
        lengths.add(len(loader))
        found += keys(loader)
    assert sorted(found) == [f"val-{i:06d}" for i in range(8)] and lengths == {max(1, -(-8 // (2 * world_size)))}


def test_more_workers_than_shards_read_one_shard(shard_dir: Path) -> None:
    loader = drawn(shard_dir, num_workers=3, strict=True, batch_size=2).train_dataloader()
    one = OrnamentDataModule(str(shard_dir / "val-*.tar"), resolution=8, batch_size=2, num_workers=3)
    assert len(set(keys(loader))) == 32 and len(set(keys(one.train_dataloader()))) == 8


@pytest.mark.parametrize("workers", [0, 2])
def test_faults_are_reported_once_an_epoch(
    tmp_path: Path, draw_entries: Draw, write_shard: Write, caplog: pytest.LogCaptureFixture, workers: int
) -> None:
    for shard in range(2):
        samples = {f"{shard}{i}": draw_entries(i) for i in range(7)}
        samples[f"bad-{shard}"] = draw_entries(person__jpg=b"no image")
        samples[f"absent-{shard}"] = draw_entries(wearing_mask__png=None)
        write_shard(tmp_path / f"train-{shard}.tar", samples)
    with caplog.at_level(logging.WARNING):
        loader = drawn(tmp_path, num_workers=workers, samples_per_epoch=32).train_dataloader()
    assert "training data: 2 of 18 samples skipped: 2 missing_entry (first: " in caplog.text
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            iterator = iter(loader)
            batches = [next(iterator) for _ in range(len(loader))]
        (message,) = caplog.messages
        assert "training data, epoch 0: " in message and "undecodable (first: " in message and ".tar: bad-" in message
        assert [len(batch["key"]) for batch in batches] == [4] * 8


def test_only_bad_samples_are_an_error(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> None:
    for name in ("train", "val"):
        write_shard(tmp_path / f"{name}-0.tar", {"bad": draw_entries(json=None)})
    data = drawn(tmp_path)
    for loader in (data.train_dataloader, data.val_dataloader):
        with pytest.raises(ValueError, match=r"at least one sample, got none.*1 of 1 samples skipped: 1 missing_entry"):
            loader()


def test_only_pictures_that_cannot_be_decoded_are_an_error(
    tmp_path: Path, draw_entries: Draw, write_shard: Write
) -> None:
    for name in ("train", "val"):
        write_shard(tmp_path / f"{name}-0.tar", {f"k{i}": draw_entries(i, person__jpg=b"bad") for i in range(5)})
    data = drawn(tmp_path)
    with pytest.raises(ValueError, match=r"a sample and 32 substitutes cannot be used.*33 of 33 samples skipped"):
        list(data.train_dataloader())
    with pytest.raises(ValueError, match=r"validation data must give one batch at least.*5 of 5 samples skipped"):
        list(data.val_dataloader())


def test_fewer_samples_than_a_batch_are_an_error(shard_dir: Path) -> None:
    with pytest.raises(ValueError, match=r"one step of 33 samples at least .*, got 32"):
        drawn(shard_dir, batch_size=33).train_dataloader()


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
    light = "datamodules.storage.shard_paths, datamodules.samples.seeding, datamodules.samples.decoding"
    code = f"import sys, {light}; print('lightning' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_the_test_has_other_ornaments_counts_and_photographs_and_nothing_else_has(shard_dir: Path) -> None:
    data = drawn(shard_dir, whole_photographs=True)
    test, validation = next(iter(data.test_dataloader())), next(iter(data.val_dataloader()))
    check_batch(test)
    assert test["other_ornament"]["ornament_image"].shape == test["ornament_image"].shape
    assert all(other != key for other, key in zip(test["other_ornament"]["key"], test["key"], strict=True))
    assert [photograph.shape for photograph in test["photograph"]] == [(3, 48, 48)] * 4
    assert test["components"].tolist() == [-1] * 4
    assert not {"other_ornament", "photograph", "crop"} & set(validation)
    assert not {"photograph", "other_ornaments"} & set(next(iter(drawn(shard_dir).test_dataloader())))
    several = drawn(shard_dir, other_ornaments=3, test_shards=str(shard_dir / "train-*.tar"))
    assert len(next(iter(several.test_dataloader()))["other_ornaments"]) == 2


def test_recolouring_is_for_training_and_input_masks_for_all(shard_dir: Path) -> None:
    plain, changed = drawn(shard_dir), drawn(shard_dir, recolour=1.0, input_mask="convex_hull")
    for loader in ("val_dataloader", "test_dataloader", "calibration_dataloader"):
        first, second = (next(iter(getattr(data, loader)())) for data in (plain, changed))
        assert torch.equal(first["ornament_image"], second["ornament_image"])
        assert "input_mask" not in first and (second["input_mask"] <= second["box_mask"]).all()
    first, second = (next(iter(data.train_dataloader())) for data in (plain, changed))
    assert first["key"] == second["key"] and not torch.equal(first["person_image"], second["person_image"])
    assert torch.equal(first["wearing_mask"], second["wearing_mask"])


def test_warped_pairs_are_for_training_alone_and_fade(shard_dir: Path) -> None:
    plain, paired = drawn(shard_dir), drawn(shard_dir, warped_pairs=1.0, warped_pairs_epochs=1)
    for loader in ("val_dataloader", "test_dataloader", "predict_dataloader", "calibration_dataloader"):
        first, second = (next(iter(getattr(data, loader)())) for data in (plain, paired))
        assert torch.equal(first["person_image"], second["person_image"])
    for epoch, same in ((0, False), (1, True)):
        for data in (plain, paired):
            data._next_batch = lambda epoch=epoch: (epoch, 0)  # type: ignore[method-assign, misc]
        first, second = (next(iter(data.train_dataloader())) for data in (plain, paired))
        check_batch(second)
        assert first["key"] == second["key"] and first["category"] == second["category"]
        assert torch.equal(first["sample_seed"], second["sample_seed"])
        assert torch.equal(first["person_image"], second["person_image"]) == same


def test_warped_pairs_have_no_latents(shard_dir: Path) -> None:
    with pytest.raises(ValueError, match="warped_pairs makes new images"):
        drawn(shard_dir, warped_pairs=0.5, precomputed="require")


def test_the_checksum_is_that_of_the_test_data(shard_dir: Path) -> None:
    data = drawn(shard_dir)
    assert data.test_checksum == drawn(shard_dir, seed=5).test_checksum
    others = OrnamentDataModule(test_shards=str(shard_dir / "train-*.tar"))
    assert len(data.test_checksum) == 64 and data.test_checksum != others.test_checksum


@pytest.mark.parametrize(
    "options",
    [
        {"other_ornaments": 0},
        {"recolour": 1.5},
        {"warped_pairs": 2},
        {"warped_pairs_epochs": 0},
        {"reference_rotation": 200},
        {"reference_scale": (1.0, 0.5)},
        {"input_mask": "circle"},
    ],
)
def test_options_for_studies_out_of_range(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        OrnamentDataModule(**options)  # type: ignore[arg-type]
