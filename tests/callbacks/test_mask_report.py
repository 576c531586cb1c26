"""MaskReport: where the threshold comes from, what is written, and what is printed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer

from callbacks import MaskReport, TrainableEMA

Build = Callable[..., Trainer]


def result(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((path / "result.json").read_text())
    return content


def test_threshold_comes_from_training_samples(
    make_trainer: Build, module: LightningModule, data: LightningDataModule, tmp_path: Path
) -> None:
    make_trainer(MaskReport()).fit(module, data)
    assert float(module.mask_threshold) == pytest.approx(0.55)
    report = result(tmp_path)
    assert (report["threshold"], report["threshold_from"]) == (0.55, "8 training samples")
    assert report["iou"] == {"box": 0.5, "1": 0.0, "2": 0.0}


def test_result_by_hand(
    make_trainer: Build, module: LightningModule, data: LightningDataModule, tmp_path: Path
) -> None:
    data.calibration_dataloader = data.val_dataloader
    make_trainer(MaskReport()).fit(module, data)
    report = result(tmp_path)
    assert report["threshold"] == pytest.approx(0.2, abs=0.051)
    assert report["iou"] == {"box": 0.5, "1": 0.5, "2": 1.0}
    assert report["iou_per_type"] == dict.fromkeys(("bracelet", "ring", "earring", "necklace"), report["iou"])
    assert report["attention_iou"] == 1.0
    assert report["attention_iou_per_type"]["ring"] == 1.0
    assert (report["num_samples"], report["step"]) == (8, 4)
    assert report["seconds"] >= 0


def test_uses_the_averaged_weights_whatever_the_order(
    make_trainer: Build, build_module: type[LightningModule], data: LightningDataModule
) -> None:
    ema = TrainableEMA()
    for callbacks in ([ema, MaskReport()], [MaskReport(), ema]):
        module = build_module()
        make_trainer(*callbacks, num_sanity_val_steps=0, max_epochs=1).fit(module, data)
        raw = [0.8, 0.64]
        average = 0.1 * 1.0 + 0.9 * raw[0]
        average += (1 - 2 / 11) * (raw[1] - average)
        assert module.gains == pytest.approx([average] * 4)
        assert module.gain.item() == pytest.approx(raw[1])


def test_limits_the_calibration(
    make_trainer: Build, module: LightningModule, data: LightningDataModule, tmp_path: Path
) -> None:
    make_trainer(MaskReport(calibration_batches=1)).fit(module, data)
    assert result(tmp_path)["threshold_from"] == "4 training samples"


def test_sanity_check_writes_nothing(
    make_trainer: Build, module: LightningModule, data: LightningDataModule, tmp_path: Path
) -> None:
    make_trainer(MaskReport(), limit_train_batches=0).fit(module, data)
    assert not (tmp_path / "result.json").exists()
    assert float(module.mask_threshold) == 0.5


def test_box_and_zero_attention_have_no_numbers(
    make_trainer: Build,
    build_module: type[LightningModule],
    data: LightningDataModule,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = build_module(num_iterations=0, mass=0.0)
    make_trainer(MaskReport()).fit(module, data)
    report = result(tmp_path)
    assert report["iou"] == {"box": 0.5}
    assert (report["attention_iou"], report["attention_iou_per_type"]) == (None, {})
    assert report["threshold_from"] == "nothing (no mask is predicted)"
    assert "iteration" not in capsys.readouterr().out


def test_prints_the_table_and_the_paths_at_the_end(
    make_trainer: Build,
    module: LightningModule,
    data: LightningDataModule,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "grid.png").touch()
    make_trainer(MaskReport()).fit(module, data)
    printed = capsys.readouterr().out
    lines = [line.split() for line in printed.replace("\u2502", " ").splitlines()]
    assert ["box", *["0.500"] * 5] in lines
    assert ["iteration", "2", *["0.000"] * 5] in lines
    assert ["attention", "mass", *["1.000"] * 5] in lines
    assert "mask threshold 0.55, fixed on 8 training samples\n" in printed
    assert str(tmp_path / "grid.png") in printed and str(tmp_path / "result.json") in printed


def test_a_validation_of_a_file_states_the_training(
    make_trainer: Build,
    module: LightningModule,
    build_module: type[LightningModule],
    data: LightningDataModule,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fit = make_trainer(MaskReport(), TrainableEMA())
    fit.fit(module, data)
    fit.save_checkpoint(tmp_path / "end.ckpt")
    seconds = result(tmp_path)["seconds"]
    capsys.readouterr()
    again = make_trainer(MaskReport(), TrainableEMA())
    again.validate(build_module(), data, tmp_path / "end.ckpt", verbose=False, weights_only=True)
    report = result(tmp_path)
    assert report["step"] == 4 and report["seconds"] >= seconds
    assert "iteration 1" in capsys.readouterr().out
    threshold = torch.load(tmp_path / "end.ckpt", weights_only=True)["state_dict"]["mask_threshold"]
    assert float(threshold) == pytest.approx(0.55)


def test_two_ranks_write_what_one_writes(
    make_trainer: Build, build_module: type[LightningModule], data: LightningDataModule, tmp_path: Path
) -> None:
    make_trainer(MaskReport(), max_epochs=1).fit(build_module(), data)
    one = result(tmp_path)
    (tmp_path / "result.json").unlink()
    make_trainer(MaskReport(), max_epochs=1, strategy="ddp_fork", devices=2).fit(build_module(), data)
    two = result(tmp_path)
    assert two["iou"] == one["iou"] and two["attention_iou"] == one["attention_iou"]
    assert two["num_samples"] == one["num_samples"]
    assert two["threshold_from"] == "16 training samples"


def test_needs_a_calibration_dataloader(
    make_trainer: Build, module: LightningModule, data: LightningDataModule
) -> None:
    with pytest.raises(ValueError, match=r"calibration_dataloader\(\).*got none; use OrnamentDataModule"):
        make_trainer(MaskReport()).fit(module, data.train_dataloader(), data.val_dataloader())


def test_refuses_less_than_one_batch() -> None:
    with pytest.raises(ValueError, match="at least 1, or null for all"):
        MaskReport(calibration_batches=0)
