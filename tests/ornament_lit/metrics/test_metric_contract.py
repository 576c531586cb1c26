"""What every metric must do, whoever wrote it."""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser

from ornament_lit.metrics import (
    FID,
    KID,
    LPIPS,
    PSNR,
    SSIM,
    CLIPSimilarity,
    DINOSimilarity,
    EmbeddingSimilarity,
    GeneratedBatch,
    TryOnMetric,
    WrongReferenceGap,
)
from ornament_lit.metrics.encoders import CLIPEncoder
from ornament_lit.metrics.measured import Measured, SampleScores
from ornament_lit.metrics.table import tabulate


def members(family: type) -> list[type]:
    """Every concrete class of a family in this package."""
    found = [cls for child in family.__subclasses__() for cls in [child, *members(child)]]
    return [cls for cls in found if cls.__module__.startswith("ornament_lit") and not cls.__abstractmethods__]


ALL = members(TryOnMetric)


@pytest.fixture
def construct(clip_path: str, lpips: LPIPS) -> Callable[[type], Any]:
    """Construct a metric with its defaults, but for those that need weights or other metrics."""

    def build(cls: type) -> Any:
        clip = CLIPEncoder(clip_path, image_size=32)
        options: dict[type, dict[str, Any]] = {
            CLIPSimilarity: {"path": clip_path, "image_size": 32},
            DINOSimilarity: {"path": clip_path, "image_size": 32},
            EmbeddingSimilarity: {"encoder": clip},
            FID: {"encoder": clip},
            KID: {"encoder": clip},
            WrongReferenceGap: {"metrics": [SSIM(), PSNR()]},
        }
        return copy.deepcopy(lpips) if cls is LPIPS else cls(**options.get(cls, {}))

    return build


@pytest.fixture(autouse=True)
def dino_of_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the DINO metric take the tiny CLIP folder here: its own folders are tested where encoders are."""
    monkeypatch.setattr("ornament_lit.metrics.encoders.dino.DINOEncoder.load", CLIPEncoder.load)
    monkeypatch.setattr("ornament_lit.metrics.encoders.dino.DINOEncoder.features", CLIPEncoder.features)


def figures(measured: Measured) -> dict[str, list[float]]:
    """Everything that was measured, by key: values of samples, or features."""
    if isinstance(measured, SampleScores):
        columns = {
            **measured.values,
            **{f"ground truth {name}": column for name, column in measured.ground_truth.items()},
        }
        rows = np.stack(list(columns.values()), axis=1)
    else:
        rows = np.concatenate([measured.generated, measured.ground_truth], axis=1)  # type: ignore[attr-defined]
    return {key: rows[number].tolist() for number, key in enumerate(measured.keys)}


def assert_same(one: Measured, other: Measured) -> None:
    assert one.columns == other.columns
    assert dict(zip(one.keys, one.categories, strict=True)) == dict(zip(other.keys, other.categories, strict=True))
    ours, theirs = figures(one), figures(other)
    assert ours.keys() == theirs.keys()
    for key, values in ours.items():
        assert values == pytest.approx(theirs[key], rel=1e-4, abs=1e-4, nan_ok=True)


def test_the_family_is_complete() -> None:
    assert {cls.__name__ for cls in ALL} == {
        *("SSIM", "PSNR", "LPIPS", "CLIPSimilarity", "DINOSimilarity", "EmbeddingSimilarity", "FID", "KID"),
        *("WearingMaskIoU", "BoundaryF", "ColourError", "ComponentCountError", "WrongReferenceGap"),
        *("FeatureRetrieval", "PixelRetrieval", "CorrespondenceError", "PCK"),
    }


@pytest.mark.parametrize("cls", ALL)
def test_batches_do_not_matter_and_a_key_counts_once(
    cls: type,
    construct: Callable[[type], Any],
    build_generated: Callable[..., GeneratedBatch],
    part: Callable[..., GeneratedBatch],
) -> None:
    batch, whole, parts = build_generated(), construct(cls), construct(cls)
    whole.update(batch)
    for rows in (slice(3, 5), slice(0, 3), slice(3, 4)):
        parts.update(part(batch, rows))
    assert len(whole.compute().keys) == 5
    assert_same(whole.compute(), parts.compute())


@pytest.mark.parametrize("cls", ALL)
def test_two_merged_are_one(
    cls: type,
    construct: Callable[[type], Any],
    build_generated: Callable[..., GeneratedBatch],
    part: Callable[..., GeneratedBatch],
) -> None:
    batch, whole, one, other = build_generated(), *(construct(cls) for _ in range(3))
    whole.update(batch)
    one.update(part(batch, slice(0, 3)))
    other.update(part(batch, slice(2, 5)))
    one.merge_state(other)
    assert_same(whole.compute(), one.compute())


@pytest.mark.parametrize("cls", ALL)
def test_reset_forgets(
    cls: type,
    construct: Callable[[type], Any],
    build_generated: Callable[..., GeneratedBatch],
    part: Callable[..., GeneratedBatch],
) -> None:
    metric, fresh, batch = construct(cls), construct(cls), build_generated()
    metric.update(part(batch, slice(0, 2)))
    metric.reset()
    for one in (metric, fresh):
        one.update(part(batch, slice(3, 5)))
    assert list(metric.compute().keys) == ["sample-3", "sample-4"]
    assert_same(metric.compute(), fresh.compute())


@pytest.mark.parametrize("cls", ALL)
def test_the_truth_is_the_best_drawing(
    cls: type, construct: Callable[[type], Any], build_generated: Callable[..., GeneratedBatch]
) -> None:
    noise = build_generated()
    truth = {
        "generated_image": noise["person_image"],
        "mask_predictions": noise["wearing_mask"].expand(2, -1, -1, -1, -1),
    }
    perfect = build_generated(**truth, generated_correspondence=noise["correspondence"]["uv"])
    poor = build_generated(wrong_reference=truth, wrong_references=[truth] * 2)  # a reference that harms
    rows = []
    for batch in (perfect, poor):
        metric = construct(cls)
        metric.update(batch)
        measured = metric.compute()
        rows.append({name: measured.interval(name, measured.rows()).value for name in measured.columns})
    for name in rows[0]:
        better, worse = rows[0][name], rows[1][name]
        if name.endswith(("_box", "_reference")):
            continue  # the box is the same; an encoder of random weights knows no ornaments
        assert better > worse if measured.higher_is_better else better < worse, name


@pytest.mark.parametrize("cls", ALL)
def test_half_precision_changes_nothing(
    cls: type, construct: Callable[[type], Any], build_generated: Callable[..., GeneratedBatch]
) -> None:
    exact, mixed, batch = construct(cls), construct(cls), build_generated()
    exact.update(batch)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        mixed.update(batch)
    assert_same(exact.compute(), mixed.compute())


@pytest.mark.parametrize("cls", ALL)
def test_nothing_goes_into_checkpoints_and_nothing_trains(
    cls: type, construct: Callable[[type], Any], build_generated: Callable[..., GeneratedBatch]
) -> None:
    metric = construct(cls)
    metric.setup()
    metric.update(build_generated())
    assert metric.state_dict() == {}
    assert list(metric.parameters()) == []


@pytest.mark.parametrize("cls", ALL)
def test_protocol_and_table_are_plain_data(
    cls: type, construct: Callable[[type], Any], build_generated: Callable[..., GeneratedBatch]
) -> None:
    metric = construct(cls)
    metric.update(build_generated())
    protocol = json.loads(json.dumps(metric.protocol()))
    assert protocol == metric.protocol()
    assert protocol["metric"] == cls.__name__
    table = tabulate([metric.compute()])
    assert [row["name"] for row in table["rows"]][:3] == ["overall", "bracelet", "ring"]
    assert [row["n"] for row in table["rows"]][:3] == [5, 3, 2]
    assert not any(math.isnan(cell.value) for row in table["rows"] for cell in row["cells"].values())


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize("cls", ALL)
def test_no_samples_make_an_empty_table(cls: type, construct: Callable[[type], Any]) -> None:
    measured = construct(cls).compute()
    assert measured.keys == ()
    assert all(math.isnan(cell.value) for row in tabulate([measured])["rows"] for cell in row["cells"].values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generated_image": torch.zeros(5, 3, 8, 8)}, r"generated_image must be \(5, 3, 64, 64\)"),
        ({"mask_predictions": torch.zeros(5, 1, 64, 64)}, "mask_predictions must be"),
        ({"key": ["a"]}, "category must|key must|must have one entry a sample"),
        ({"category": ["hat"] * 5}, "bracelet, ring, earring, necklace, got hat"),
        ({"components": torch.ones(2)}, "components must have one entry"),
    ],
)
def test_wrong_batches_say_the_rule(
    change: dict[str, Any], message: str, build_generated: Callable[..., GeneratedBatch]
) -> None:
    with pytest.raises(ValueError, match=message):
        PSNR().update(build_generated(**change))


def test_an_absent_entry_is_named(build_generated: Callable[..., GeneratedBatch]) -> None:
    batch = build_generated()
    del batch["wearing_mask"]  # type: ignore[misc]
    with pytest.raises(ValueError, match="wearing_mask absent"):
        PSNR().update(batch)


def test_short_names_in_yaml(clip_path: str) -> None:
    parser = ArgumentParser()
    parser.add_argument("--metrics", type=list[TryOnMetric])
    encoder = {"class_path": "CLIPEncoder", "init_args": {"path": clip_path}}
    listed = [
        {"class_path": "SSIM"},
        {"class_path": "CLIPSimilarity", "init_args": {"path": clip_path, "region": "box", "name": "b32"}},
        {"class_path": "FID", "init_args": {"encoder": encoder}},
        {"class_path": "WrongReferenceGap", "init_args": {"metrics": [{"class_path": "PSNR"}]}},
    ]
    metrics = parser.instantiate_classes(parser.parse_object({"metrics": listed})).metrics
    assert [type(metric).__name__ for metric in metrics] == ["SSIM", "CLIPSimilarity", "FID", "WrongReferenceGap"]
    assert metrics[1].protocol()["region"] == "box"


def _rank(rank: int, folder: Path, metrics: list[Any], batch: GeneratedBatch) -> None:
    store = torch.distributed.FileStore(str(folder / "store"), 2)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    if rank == 1:  # rank 0 has no sample of its own
        for metric in metrics:
            metric.update(batch)
    gathered = [figures(metric.compute()) for metric in metrics]
    (folder / f"{rank}.json").write_text(json.dumps(gathered))
    torch.distributed.destroy_process_group()


def test_a_rank_without_samples_takes_part(
    tmp_path: Path, construct: Callable[[type], Any], build_generated: Callable[..., GeneratedBatch]
) -> None:
    metrics = [construct(cls) for cls in (SSIM, FID)]
    for metric in metrics:
        metric.setup()
    batch = build_generated()
    torch.multiprocessing.start_processes(_rank, (tmp_path, metrics, batch), nprocs=2, start_method="fork")
    for metric in metrics:
        metric.update(batch)
    expected = [figures(metric.compute()) for metric in metrics]
    for rank in range(2):
        for ours, theirs in zip(json.loads((tmp_path / f"{rank}.json").read_text()), expected, strict=True):
            assert ours == {key: pytest.approx(values, rel=1e-5) for key, values in theirs.items()}


def _uneven_rank(rank: int, folder: Path, metrics: list[Any], batches: list[GeneratedBatch]) -> None:
    store = torch.distributed.FileStore(str(folder / "store"), 2)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    for metric in metrics:
        metric.update(batches[rank])
    (folder / f"{rank}.json").write_text(json.dumps([figures(metric.compute()) for metric in metrics]))
    torch.distributed.destroy_process_group()


def test_two_ranks_give_what_one_gives(
    tmp_path: Path,
    construct: Callable[[type], Any],
    build_generated: Callable[..., GeneratedBatch],
    part: Callable[..., GeneratedBatch],
) -> None:
    metrics = [construct(cls) for cls in ALL]
    for metric in metrics:
        metric.setup()
    batch = build_generated()
    batches = [part(batch, slice(0, 3)), part(batch, slice(2, 5))]  # sample-2 comes on both
    torch.multiprocessing.start_processes(_uneven_rank, (tmp_path, metrics, batches), nprocs=2, start_method="fork")
    for metric in metrics:
        metric.update(batch)
    expected = [figures(metric.compute()) for metric in metrics]
    for rank in range(2):
        for ours, theirs in zip(json.loads((tmp_path / f"{rank}.json").read_text()), expected, strict=True):
            assert ours == {key: pytest.approx(values, rel=1e-4, abs=1e-4) for key, values in theirs.items()}
