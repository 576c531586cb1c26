"""PredictionWriter: which files ``predict`` leaves, and that a second run goes on where the first one stopped."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from PIL import Image
from torch.utils.data import DataLoader

from callbacks import PredictionWriter
from callbacks.prediction_writer import RESULTS, read_results, safe_name
from ornament_lit.batch import TryOnBatch, select_rows
from ornament_lit.cli.trainer import build, main
from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.utils.categories import CATEGORIES

Build = Callable[..., Trainer]
SIZE = 4


class Drawer(LightningModule):
    """Draws each sample in grey by its seed; stops with an error at one key, if it is told to."""

    def __init__(self, fail_at: str = "", num_steps: int = 5) -> None:
        super().__init__()
        self.completed_keys: set[str] = set()
        self.sampler = Sampler(num_steps)
        self.fail_at = fail_at
        self.drawn: list[str] = []

    def predict_step(self, batch: TryOnBatch, batch_idx: int) -> dict[str, object]:
        rows = [row for row, key in enumerate(batch["key"]) if key not in self.completed_keys]
        batch = select_rows(batch, rows)
        if self.fail_at in batch["key"]:
            raise RuntimeError("the power went out")
        self.drawn += batch["key"]
        grey = (batch["sample_seed"].view(-1, 1, 1, 1) / 127.5 - 1).expand(-1, 3, SIZE, SIZE)
        return {"key": batch["key"], "image": grey, "mask": torch.full((len(rows), 1, SIZE, SIZE), 0.4)}


class Data(LightningDataModule):
    """Three batches of two samples; each process takes its share."""

    def predict_dataloader(self) -> DataLoader[TryOnBatch]:
        rank, world = self.trainer.global_rank, self.trainer.world_size
        return DataLoader([make_batch(first) for first in range(0, 6, 2)][rank::world], batch_size=None)


def make_batch(first: int) -> TryOnBatch:
    pictures, masks = torch.zeros(2, 3, SIZE, SIZE), torch.zeros(2, 1, SIZE, SIZE)
    return {
        "ornament_image": pictures,
        "ornament_mask": masks,
        "person_image": pictures,
        "wearing_mask": masks,
        "box_mask": masks,
        "category": [CATEGORIES[first % 4], CATEGORIES[(first + 1) % 4]],
        "key": [f"a/{first}", f"a/{first + 1}"],
        "sample_seed": torch.tensor([first, first + 1]),
    }


def predict(make_trainer: Build, module: LightningModule, folder: Path, **options: object) -> list[dict[str, object]]:
    make_trainer(PredictionWriter(folder), **options).predict(module, Data(), return_predictions=False)
    return [json.loads(line) for line in (folder / RESULTS).read_text().splitlines()]


def test_writes_images_masks_and_a_line_a_sample(make_trainer: Build, tmp_path: Path) -> None:
    folder = tmp_path / "predictions"
    lines = predict(make_trainer, Drawer(), folder)
    assert [line["key"] for line in lines] == [f"a/{number}" for number in range(6)]
    assert lines[3] == {
        "key": "a/3",
        "category": "necklace",
        "seed": 3,
        "image": "images/a%2F3.png",
        "mask": "masks/a%2F3.png",
    }
    assert np.asarray(Image.open(folder / "images/a%2F3.png")).tolist() == [[[3, 3, 3]] * SIZE] * SIZE
    assert np.asarray(Image.open(folder / "masks/a%2F3.png")).tolist() == [[102] * SIZE] * SIZE
    assert sorted(path.name for path in folder.iterdir()) == ["images", "masks", "predict.json", RESULTS]


def test_goes_on_where_a_run_was_broken_off(make_trainer: Build, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the power went out"):
        predict(make_trainer, Drawer(fail_at="a/4"), tmp_path)
    part = tmp_path / "results.rank-0.jsonl"
    part.write_text(part.read_text()[:-20])  # the last line was cut off
    (tmp_path / "images/a%2F0.png").unlink()
    module = Drawer()
    lines = predict(make_trainer, module, tmp_path)
    assert module.drawn == ["a/0", "a/3", "a/4", "a/5"]
    assert [line["key"] for line in lines] == [f"a/{number}" for number in range(6)]
    again = Drawer()
    assert predict(make_trainer, again, tmp_path) == lines
    assert again.drawn == [] and again.completed_keys == set()


def test_a_folder_that_cannot_be_written_is_told_before_the_drawing(make_trainer: Build, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    module = Drawer()
    with pytest.raises(ValueError, match=r"cannot be a folder: .* is a file"):
        predict(make_trainer, module, tmp_path / "file")
    assert module.drawn == []


def test_two_processes_write_one_list(make_trainer: Build, tmp_path: Path) -> None:
    lines = predict(make_trainer, Drawer(), tmp_path, strategy="ddp_fork", devices=2, use_distributed_sampler=False)
    assert [line["key"] for line in lines] == [f"a/{number}" for number in range(6)]
    assert not list(tmp_path.glob("results.rank*"))


def test_other_settings_need_another_folder(make_trainer: Build, tmp_path: Path) -> None:
    predict(make_trainer, Drawer(), tmp_path)
    with pytest.raises(ValueError, match="made with another sampler; choose another folder"):
        predict(make_trainer, Drawer(num_steps=6), tmp_path)


def test_a_line_that_was_cut_off_is_ended_before_the_next(tmp_path: Path) -> None:
    from callbacks.prediction_writer import _append

    (tmp_path / "x.png").touch()
    path = tmp_path / "results.rank-0.jsonl"
    path.write_text('{"key": "a", "ima')
    _append(path, [{"key": "b", "image": "x.png", "mask": "x.png"}])
    assert list(read_results(tmp_path)) == ["b"]


def test_names_of_files_are_safe_and_differ() -> None:
    keys = ["val-000001", "a/b", "../../etc/passwd", "..", ".hidden", "ä ö", "x" * 300, "x" * 299 + "y", "a\\b", "%2F"]
    names = [safe_name(key) for key in keys]
    assert names[:5] == ["val-000001", "a%2Fb", "%2E.%2F..%2Fetc%2Fpasswd", "%2E.", "%2Ehidden"]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 120 and "/" not in name and not name.startswith(".") for name in names)


def test_rows_of_a_batch_can_be_chosen() -> None:
    batch = make_batch(2)
    batch["encoded"] = {"person_latents": torch.arange(2.0).view(2, 1, 1, 1)}
    chosen = select_rows(batch, [1])
    assert chosen["key"] == ["a/3"] and chosen["sample_seed"].tolist() == [3]
    assert chosen["encoded"]["person_latents"].flatten().tolist() == [1.0]
    assert chosen["person_image"].shape == (1, 3, SIZE, SIZE)


def test_predict_has_the_writer_and_the_other_commands_do_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    assert "--prediction_writer.folder" in capsys.readouterr().out
    assert main(["validate", "--config=configs/quickstart.yaml", "--prediction_writer.folder=x"]) == 2
    assert not hasattr(build(["--config=configs/quickstart.yaml"]).config, "prediction_writer")
