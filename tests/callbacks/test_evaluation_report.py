"""EvaluationReport: what ``test`` draws, measures and writes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from PIL import Image
from torch.utils.data import DataLoader

from callbacks import EvaluationReport
from callbacks.correspondence_views import grid_points
from callbacks.evaluation_report import first_of_each, ranking
from callbacks.generation import generated_batch
from callbacks.sample_strips import draw_unpicked
from ornament_lit.batch import TryOnBatch
from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.losses import DiffusionLoss
from ornament_lit.metrics import (
    LPIPS,
    PCK,
    PSNR,
    SSIM,
    ColourError,
    CorrespondenceError,
    FeatureRetrieval,
    PixelRetrieval,
    WearingMaskIoU,
    WrongReferenceGap,
)
from ornament_lit.metrics.measured import SampleScores
from ornament_lit.reports import read_report
from ornament_lit.utils.categories import CATEGORIES

Build = Callable[..., Trainer]
SIZE = 32


class Painter(LightningModule):
    """Paints the worn part in the colour of the middle of the reference, darker by ``fault`` of the range."""

    def __init__(self, fault: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("mask_threshold", torch.tensor(0.5))
        self.sampler = Sampler(num_steps=4, guidance_scale=2.0)
        self.noise_scheduler = self.sampler.scheduler_for(_ddpm())
        self.model = torch.nn.ModuleDict({"brush": torch.nn.Linear(2, 3), "easel": torch.nn.LayerNorm(2)})
        self.model["easel"].requires_grad_(False)
        self.diffusion_loss = DiffusionLoss(condition_dropout=0.1)
        self.fault = fault
        self.references: list[float] = []

    def generate(self, batch: TryOnBatch) -> dict[str, Any]:
        colour = batch["ornament_image"][:, :, SIZE // 2, SIZE // 2, None, None] - 2 * self.fault
        self.references += batch["ornament_image"][:, 0, SIZE // 2, SIZE // 2].tolist()
        worn = batch["wearing_mask"]
        image = torch.where(worn > 0.5, colour, batch["person_image"])
        masks = torch.stack([batch["box_mask"], worn])
        return {"key": batch["key"], "image": image, "mask": worn, "mask_predictions": masks}

    def test_step(self, batch: TryOnBatch, batch_idx: int) -> dict[str, Any]:
        return {}


class Blind(Painter):
    """Paints the same whatever the reference is."""

    def generate(self, batch: TryOnBatch) -> dict[str, Any]:
        drawing = super().generate(batch)
        return {**drawing, "image": torch.full_like(drawing["image"], 0.3)}


def _ddpm() -> Any:
    from diffusers import DDPMScheduler

    return DDPMScheduler()


def make_batch(first: int, count: int = 4, others: bool = True) -> TryOnBatch:
    """Ornaments of shade key / 16, worn in half of the box; the wrong reference is 4 / 16 lighter."""
    box, worn = torch.zeros(2, count, 1, SIZE, SIZE)
    box[:, :, 8:24, 8:24] = worn[:, :, 8:24, 8:16] = 1
    shade = (torch.arange(first, first + count) / 16).view(-1, 1, 1, 1)
    ornament = shade.expand(-1, 3, SIZE, SIZE)
    batch = {
        "ornament_image": ornament,
        "ornament_mask": torch.ones(count, 1, SIZE, SIZE),
        "person_image": torch.where(worn > 0.5, ornament, torch.full((count, 3, SIZE, SIZE), -0.5)),
        "wearing_mask": worn,
        "box_mask": box,
        "category": [CATEGORIES[index % 2] for index in range(count)],
        "key": [f"sample/{first + index}" for index in range(count)],
        "sample_seed": torch.arange(first, first + count),
        "components": torch.full((count,), 9),
    }
    if others:
        other = {"ornament_image": ornament + 0.25, "ornament_mask": batch["ornament_mask"], "key": batch["key"]}
        batch["other_ornament"] = other
        lighter = {**other, "ornament_image": ornament + 0.5}
        batch["other_ornaments"] = [lighter]
    return batch  # type: ignore[return-value]


class Data(LightningDataModule):
    resolution, crop_factor, seed, test_checksum = SIZE, 1.5, 3, "c0ffee"

    def __init__(self, others: bool = True) -> None:
        super().__init__()
        self.others = others

    def test_dataloader(self) -> DataLoader[TryOnBatch]:
        return DataLoader([make_batch(0, others=self.others), make_batch(4, others=self.others)], batch_size=None)


def test_files_protocol_and_figures(make_trainer: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gap = WrongReferenceGap([PSNR()])
    callback = EvaluationReport([PSNR(), WearingMaskIoU(), gap], resamples=50, shown=2)
    module = Painter(fault=0.1)
    trainer = make_trainer(callback)
    (logged,) = trainer.test(module, Data(), verbose=False)
    report = read_report(tmp_path / "test")
    overall = report.table()["rows"][0]["cells"]
    assert overall["psnr_worn"].value == pytest.approx(20, abs=0.3)  # a tenth of the range, rounded to 8 bits
    assert overall["psnr_worn"].n == 8 and overall["iou_2"].value == 1
    assert overall["psnr_worn_gap"].value == pytest.approx(20 + 20 * torch.tensor(0.025).log10().item(), abs=0.6)
    assert logged["test/psnr_worn"] == pytest.approx(overall["psnr_worn"].value)
    protocol = report.protocol
    counted = {"trained_parameters": 9, "frozen_parameters": 4, "condition_dropout": 0.1}
    assert protocol["model"] == {"parts": {"brush": "Linear", "easel": "LayerNorm"}, **counted}
    assert protocol["data"]["checksum"] == "c0ffee" and protocol["data"]["n"] == 8 and protocol["data"]["seed"] == 3
    assert protocol["sampling"]["num_steps"] == 4 and protocol["sampling"]["guidance_scale"] == 2.0
    assert (
        protocol["checkpoint"]["file"].startswith("none")
        and protocol["versions"]["torch"] == torch.__version__.partition("+")[0]
    )
    assert {path.name for path in (tmp_path / "test" / "samples").iterdir()} == {f"sample%2F{i}.png" for i in range(8)}
    assert "report.md" in capsys.readouterr().out
    assert Image.open(tmp_path / "test" / "samples.png").size[0] > 6 * 128


def test_without_a_gap_nothing_is_drawn_twice(make_trainer: Build) -> None:
    module = Painter()
    make_trainer(EvaluationReport([PSNR()])).test(module, Data(others=False), verbose=False)
    assert module.references == pytest.approx([number / 16 for number in range(8)])


def test_a_second_test_begins_anew(make_trainer: Build, tmp_path: Path) -> None:
    callback = EvaluationReport([PSNR()])
    for fault in (0.2, 0.1):
        make_trainer(callback).test(Painter(fault), Data(), verbose=False)
    cells = read_report(tmp_path / "test").table()["rows"][0]["cells"]
    assert cells["psnr_worn"].n == 8 and cells["psnr_worn"].value == pytest.approx(20, abs=0.3)


def test_the_default_metrics_need_no_weights(make_trainer: Build, tmp_path: Path) -> None:
    make_trainer(EvaluationReport(folder=tmp_path / "elsewhere")).test(Painter(0.1), Data(), verbose=False)
    columns = {column["name"] for column in read_report(tmp_path / "elsewhere").table()["columns"]}
    assert {"iou_box", "boundary_f_2", "ssim_inside", "psnr_worn", "colour_error", "count_error"} <= columns
    assert {"ssim_inside_gap", "psnr_worn_gap", "colour_error_gap"} <= columns


def test_references_are_retrieved_by_a_painter_who_looks_at_them(make_trainer: Build, tmp_path: Path) -> None:
    figures = ("retrieval_features", "retrieval_pixels")
    for name, painter, expected in (("seeing", Painter(), 1), ("blind", Blind(), pytest.approx(1 / 3))):
        callback = EvaluationReport(retrieval_references=2, folder=tmp_path / name, resamples=20)
        make_trainer(callback).test(painter, Data(), verbose=False)
        report = read_report(tmp_path / name)
        overall = {row["of"]: row["cells"] for row in report.table()["rows"] if row["name"] == "overall"}
        assert [overall["generated"][figure].value for figure in figures] == [expected] * 2
        assert [overall["floor"][figure].value for figure in figures] == [1, 1]  # ornaments of one colour
        assert "ceiling" not in overall and len(painter.references) == 3 * 8
        assert report.protocol["sampling"]["retrieval_references"] == 2 and "left out" not in report.protocol


def test_without_the_extra_the_rest_goes_on(
    make_trainer: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ornament_lit.metrics.encoders.efficientnet_lite.find_spec", lambda name: None)
    listed = [FeatureRetrieval(), PixelRetrieval()]
    for options in ({}, {"metrics": listed, "skip_absent": True}):
        with pytest.warns(UserWarning, match=r"leaves FeatureRetrieval out: .*pip install -e '\.\[retrieval\]'"):
            callback = EvaluationReport(retrieval_references=2, resamples=20, **options)  # type: ignore[arg-type]
            make_trainer(callback).test(Painter(), Data(), verbose=False)
        report = read_report(tmp_path / "test")
        names = {column["name"] for column in report.table()["columns"]}
        assert "retrieval_pixels" in names and "retrieval_features" not in names
        assert "pip install" in report.protocol["left out"]["FeatureRetrieval"]
    with pytest.raises(FileNotFoundError, match="pip install"):
        make_trainer(EvaluationReport(listed, retrieval_references=2)).test(Painter(), Data(), verbose=False)


def test_retrieval_needs_references(make_trainer: Build) -> None:
    with pytest.raises(ValueError, match=r"--report\.retrieval_references=7"):
        make_trainer(EvaluationReport([PixelRetrieval()])).test(Painter(), Data(), verbose=False)
    with pytest.raises(ValueError, match=r"it has 2; set --data\.other_ornaments=3"):
        make_trainer(EvaluationReport([PixelRetrieval()], retrieval_references=3)).test(
            Painter(), Data(), verbose=False
        )


class Warping(Painter):
    """Predicts that each pixel shows the ornament's point at the same place, a tenth of the side to the right."""

    def generate(self, batch: TryOnBatch) -> dict[str, Any]:
        points = grid_points(batch["person_image"]) + torch.tensor([0.2, 0.0]).view(1, 2, 1, 1)
        return {**super().generate(batch), "correspondence": points}


class Corresponding(Data):
    """Each worn pixel shows the ornament's point at the same place."""

    def test_dataloader(self) -> DataLoader[TryOnBatch]:
        batches = [make_batch(0), make_batch(4)]
        for batch in batches:
            worn = batch["wearing_mask"]
            uv = grid_points(worn) * worn
            batch["correspondence"] = {"uv": uv, "known": worn, "seen": worn}
        return DataLoader(batches, batch_size=None)


def test_a_warp_has_errors_a_ceiling_and_pictures(make_trainer: Build, tmp_path: Path) -> None:
    metrics = [CorrespondenceError(), PCK([0.09, 0.11]), PSNR(), PixelRetrieval()]
    callback = EvaluationReport(metrics, retrieval_references=2, resamples=20)
    make_trainer(callback).test(Warping(), Corresponding(), verbose=False)
    rows = read_report(tmp_path / "test").table()["rows"]
    cells = {row["of"]: row["cells"] for row in rows if row["name"] == "overall"}
    assert cells["generated"]["correspondence_error"].value == pytest.approx(0.1)
    assert (cells["generated"]["pck_0.09"].value, cells["generated"]["pck_0.11"].value) == (0, 1)
    assert cells["ceiling"]["psnr_worn"].value > 50 and cells["ceiling"]["retrieval_pixels"].value == 1
    width, height = Image.open(tmp_path / "test" / "samples" / "sample%2F0.png").size
    assert width == 10 * height


def test_a_model_without_a_warp_says_nothing_of_it(make_trainer: Build, tmp_path: Path) -> None:
    make_trainer(EvaluationReport([CorrespondenceError(), PSNR()], rank_by="correspondence_error")).test(
        Painter(0.1), Data(), verbose=False
    )
    assert "| correspondence_error ↓ | - | - | - |" in (tmp_path / "test" / "report.md").read_text(encoding="utf-8")


def test_an_empty_list_measures_nothing(make_trainer: Build, tmp_path: Path) -> None:
    module = Painter()
    make_trainer(EvaluationReport([])).test(module, Data(), verbose=False)
    assert module.references == [] and not (tmp_path / "test").exists()


def test_absent_weights_are_told_before_anything_is_drawn(make_trainer: Build, tmp_path: Path) -> None:
    module = Painter()
    with pytest.raises(FileNotFoundError, match=r"absent\.pth"):
        make_trainer(EvaluationReport([LPIPS(path=str(tmp_path / "absent.pth"))])).test(module, Data(), verbose=False)
    assert module.references == []


def test_a_gap_without_other_ornaments_is_told(make_trainer: Build) -> None:
    with pytest.raises(ValueError, match="other_ornament"):
        make_trainer(EvaluationReport([WrongReferenceGap([SSIM()])])).test(Painter(), Data(others=False), verbose=False)


def test_whole_photographs_get_the_drawing_pasted_back() -> None:
    batch = make_batch(4, count=1)
    photograph = torch.full((3, 40, 50), 64, dtype=torch.uint8)
    whole = {
        "photograph": [photograph],
        "crop": torch.tensor([[10, 4, SIZE]]),
        "box": torch.tensor([[18.0, 12, 34, 28]]),
    }
    drawn = generated_batch(Painter(), {**batch, **whole})  # type: ignore[typeddict-item]
    (before,), (after,) = drawn["person_photograph"], drawn["generated_photograph"]
    assert before.shape == after.shape == (3, 40, 50)
    changed = (before != after).any(0).nonzero()
    assert len(changed) and changed.min(0).values.tolist() >= [12, 18] and changed.max(0).values.tolist() <= [27, 33]


def scores(values: list[float], higher_is_better: bool = True) -> SampleScores:
    keys = [f"s{number}" for number in range(len(values))]
    return SampleScores(keys, ["ring"] * len(values), {"x": values}, {}, higher_is_better)


def test_ranking_shows_each_sample_once() -> None:
    column, ranked = ranking([scores([3.0, 1.0, float("nan"), 5.0, 4.0, 2.0])], "x", 1)
    assert column == "x" and ranked == [("best", "s3", 5.0), ("median", "s0", 3.0), ("worst", "s1", 1.0)]
    assert [place for place, *_ in ranking([scores([1.0, 2.0], False)], "other", 4)[1]] == ["best", "best"]
    assert ranking([scores([1.0, 2.0], False)], "x", 4)[1][0] == ("best", "s0", 1.0)
    five = ranking([scores([1.0, 2.0, 3.0])], "x", 2)[1]
    assert [key for _, key, _ in five] == ["s2", "s1", "s0"]


def test_the_first_samples_of_each_type_are_shown_type_by_type() -> None:
    keys, categories = ["a", "b", "c", "d", "e"], ["ring", "earring", "ring", "ring", "earring"]
    measured = SampleScores(keys, categories, {"psnr": [1.0] * 5}, {}, True)
    assert first_of_each(measured, 2) == [("ring", "a"), ("ring", "c"), ("earring", "b"), ("earring", "e")]
    assert first_of_each(measured, 0) == []


def test_unpicked_samples_stand_in_two_halves() -> None:
    strips = [(str(number), [torch.full((3, 128, 128), number / 4)] * 4) for number in range(3)]
    table = draw_unpicked(strips)
    alone = draw_unpicked(strips[:2])
    assert table.height == alone.height + 132 and table.width == alone.width


def test_shown_must_be_positive() -> None:
    with pytest.raises(ValueError, match="shown"):
        EvaluationReport(shown=0)
    with pytest.raises(ValueError, match="retrieval_references must be at least 0"):
        EvaluationReport(retrieval_references=-1)


def test_the_protocol_is_json(make_trainer: Build, tmp_path: Path) -> None:
    make_trainer(EvaluationReport([ColourError()])).test(Painter(), Data(), verbose=False)
    document = json.loads((tmp_path / "test" / "report.json").read_text(encoding="utf-8"))
    assert document["protocol"]["metrics"] == {
        "colour_error": {"metric": "ColourError", "colors": "CIE L*a*b*, D65", "region": "wearing mask"}
    }


class Dealt(Data):
    """Each process gets its share of the batches; one gets two and the other one."""

    def test_dataloader(self) -> DataLoader[TryOnBatch]:
        assert self.trainer is not None
        rank, world = self.trainer.global_rank, self.trainer.world_size
        batches = [make_batch(first, count=2) for first in (0, 2, 4)]
        return DataLoader(batches[rank::world], batch_size=None)


def test_two_processes_write_the_report_of_one(make_trainer: Build, tmp_path: Path) -> None:
    two = {"strategy": "ddp_fork", "devices": 2, "use_distributed_sampler": False}
    for name, options in (("one", {}), ("two", two)):
        callback = EvaluationReport([PSNR(), WrongReferenceGap([PSNR()])], folder=tmp_path / name, resamples=50)
        make_trainer(callback, **options).test(Painter(0.1), Dealt(), verbose=False)
    one, other = (read_report(tmp_path / name) for name in ("one", "two"))
    assert one.protocol == other.protocol
    for first, second in zip(one.measured, other.measured, strict=True):
        assert isinstance(first, SampleScores) and isinstance(second, SampleScores)
        for name in first.columns:
            ours, theirs = (dict(zip(s.keys, s.values[name].tolist(), strict=True)) for s in (first, second))
            assert ours == theirs and len(ours) == 6
