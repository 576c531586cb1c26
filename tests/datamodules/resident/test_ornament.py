import io
from collections.abc import Callable, Mapping
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from PIL import Image, ImageFilter

from datamodules import OrnamentDataModule, ResidentDataModule
from datamodules.resident.rendering import supersampling
from datamodules.samples.correspondence import PixelCorrespondence
from datamodules.samples.correspondence_png import encode_correspondence
from ornament_lit.batch import TryOnBatch, check_batch

Draw = Callable[..., dict[str, bytes]]
Write = Callable[[Path, Mapping[str, dict[str, bytes]]], Path]
EXTRAS = {"correspondence": True, "wide_view": 1.8, "detail": 2}
AUGMENTED = {"horizontal_flip": True, "recolour": 0.5, "rotation": 40.0, "input_mask": "mixed"}


def known_points(size: int = 48) -> bytes:
    """A field that is turned, stretched and shifted, known in the ellipse's box and half of it seen."""
    y, x = np.mgrid[:size, :size].astype(np.float32) + 0.5
    known = ((abs(x - 24) < 12) & (abs(y - 24) < 8)).astype(np.float32)
    points = np.stack([24 + 0.8 * (x - 24) - 0.3 * (y - 24), 24 + 0.2 * (x - 24) + 0.9 * (y - 24)], -1)
    seen = known * (x > 24)
    return encode_correspondence(PixelCorrespondence(points * known[..., None], known, seen.astype(np.float32)))


def softened(entries: dict[str, bytes]) -> dict[str, bytes]:
    """Images without sharp edges, which no two ways of resampling show alike."""
    soft = dict(entries)
    for name, kind in (("ornament", "jpg"), ("person", "jpg"), ("ornament_mask", "png"), ("wearing_mask", "png")):
        image = Image.open(io.BytesIO(entries[f"{name}.{kind}"])).filter(ImageFilter.GaussianBlur(1.5))
        buffer = io.BytesIO()
        image.save(buffer, {"jpg": "JPEG", "png": "PNG"}[kind], quality=98)
        soft[f"{name}.{kind}"] = buffer.getvalue()
    return soft


@pytest.fixture
def folder(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> Path:
    entries = {f"t{i}": {**softened(draw_entries(i)), "correspondence.png": known_points()} for i in range(12)}
    del entries["t5"]["correspondence.png"]
    write_shard(tmp_path / "train-0.tar", entries)
    write_shard(tmp_path / "val-0.tar", {f"v{i}": draw_entries(i) for i in range(4)})
    return tmp_path


def build(kind: type[OrnamentDataModule], folder: Path, **options: object) -> OrnamentDataModule:
    shards = str(folder / "train-*.tar"), str(folder / "val-*.tar")
    return kind(*shards, **{"resolution": 48, "batch_size": 4, "box_growth": (0.1, 0.25), **options})  # type: ignore[arg-type]


def both(folder: Path, **options: object) -> list[tuple[TryOnBatch, TryOnBatch]]:
    kinds = (ResidentDataModule, OrnamentDataModule)
    loaders = [build(kind, folder, **options).train_dataloader() for kind in kinds]
    return list(zip(*loaders, strict=True))


def mean_difference(one: torch.Tensor, other: torch.Tensor) -> float:
    assert one.shape == other.shape and one.dtype == other.dtype
    return float((one - other).abs().mean())


def assert_alike(one: TryOnBatch, other: TryOnBatch, tolerance: float) -> None:
    check_batch(one)
    assert one.keys() == other.keys()
    for name in ("key", "category"):
        assert one[name] == other[name]  # type: ignore[literal-required]
    for name in ("sample_seed", "components", "box_mask"):
        assert torch.equal(one[name], other[name]), name  # type: ignore[literal-required]
    for name in ("ornament_image", "ornament_mask", "person_image", "wearing_mask"):
        assert mean_difference(one[name], other[name]) < tolerance, name  # type: ignore[literal-required]
    assert torch.equal(one["wide_view"]["box_mask"], other["wide_view"]["box_mask"])
    torch.testing.assert_close(one["wide_view"]["factor"], other["wide_view"]["factor"])
    assert mean_difference(one["wide_view"]["image"], other["wide_view"]["image"]) < tolerance
    for name in ("image", "mask"):
        details = one["ornament_detail"][name], other["ornament_detail"][name]  # type: ignore[literal-required]
        assert mean_difference(*details) < tolerance
    assert_same_points(one, other, tolerance)


def assert_same_points(one: TryOnBatch, other: TryOnBatch, tolerance: float) -> None:
    mine, theirs = one["correspondence"], other["correspondence"]
    for name in ("known", "seen"):
        assert mean_difference(mine[name], theirs[name]) < tolerance, name  # type: ignore[literal-required]
    surely = ((mine["known"] > 0.9) & (theirs["known"] > 0.9)).expand_as(mine["uv"])
    torch.testing.assert_close(mine["uv"][surely], theirs["uv"][surely], atol=0.03, rtol=0)
    assert (mine["uv"][(mine["known"] == 0).expand_as(mine["uv"])] == 0).all() and (mine["seen"] <= mine["known"]).all()


def test_without_augmentation_the_pictures_are_those_of_the_normal_loader(folder: Path) -> None:
    batches = both(folder, horizontal_flip=False, **EXTRAS)
    assert len(batches) == 3
    for one, other in batches:
        assert_alike(one, other, 0.01)


def test_with_augmentation_the_samples_are_the_same_up_to_resampling(folder: Path) -> None:
    batches = both(
        folder, samples_per_epoch=40, reference_rotation=25.0, reference_scale=(0.8, 1.2), **AUGMENTED, **EXTRAS
    )
    for one, other in batches:
        assert_alike(one, other, 0.015)
        assert ((one["input_mask"] == 0) | (one["input_mask"] == 1)).all()
        assert mean_difference(one["input_mask"], other["input_mask"]) < 0.02


def test_a_sample_without_correspondence_knows_nothing(folder: Path) -> None:
    for batch, _ in both(folder, **EXTRAS):
        for row, key in enumerate(batch["key"]):
            assert bool(batch["correspondence"]["known"][row].any()) == (key != "t5")


def test_no_sample_depends_on_its_batch(folder: Path) -> None:
    def samples(size: int) -> dict[str, torch.Tensor]:
        loader = build(ResidentDataModule, folder, batch_size=size, **AUGMENTED, **EXTRAS).train_dataloader()
        return {key: batch["person_image"][row] for batch in loader for row, key in enumerate(batch["key"])}

    one, other = samples(2), samples(6)
    assert one.keys() == other.keys()
    for key, image in one.items():
        torch.testing.assert_close(image, other[key])


def test_bad_samples_are_replaced_and_sizes_must_agree(folder: Path, draw_entries: Draw, write_shard: Write) -> None:
    entries = {f"t{i}": draw_entries(i) for i in range(4)}
    entries["t1"]["person.jpg"] = b"no image"
    write_shard(folder / "train-0.tar", entries)
    keys = [key for batch in build(ResidentDataModule, folder).train_dataloader() for key in batch["key"]]
    assert len(keys) == 4 and "t1" not in keys
    write_shard(folder / "train-0.tar", {**entries, "t9": draw_entries(1, size=32)})
    with pytest.raises(ValueError, match="must all have one size"):
        build(ResidentDataModule, folder).train_dataloader()


def test_views_come_from_workers(folder: Path) -> None:
    alone, helped = (
        list(build(ResidentDataModule, folder, num_workers=workers, **AUGMENTED).train_dataloader())
        for workers in (0, 1)
    )
    for one, other in zip(alone, helped, strict=True):
        assert one["key"] == other["key"] and torch.equal(one["input_mask"], other["input_mask"])


class Recorder(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[int, float]] = []

    def training_step(self, batch: TryOnBatch, batch_idx: int) -> torch.Tensor:
        self.seen.extend(
            zip(batch["sample_seed"].tolist(), batch["person_image"].mean((1, 2, 3)).tolist(), strict=True)
        )
        return self.weight * 1.0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(folder: Path, steps: int, resume: Path | None = None) -> Recorder:
    module = Recorder()
    trainer = pl.Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[ModelCheckpoint(folder, filename="{step}", save_top_k=-1, every_n_train_steps=1)],
    )
    trainer.fit(module, build(ResidentDataModule, folder, **AUGMENTED), ckpt_path=resume, weights_only=True)
    return module


def test_a_run_goes_on_in_the_middle_of_an_epoch(folder: Path) -> None:
    whole = fit(folder, 5)
    rest = fit(folder, 5, folder / "step=2.ckpt")
    assert len(whole.seen) == 20 and rest.seen == whole.seen[8:]


def test_large_pictures_are_averaged() -> None:
    assert (supersampling((128, 96), 128), supersampling((512, 96), 128), supersampling((128, 128), 128, 1.8)) == (
        1,
        4,
        2,
    )


def test_the_bare_person_is_shown_in_the_same_samples_and_crops(
    folder: Path, draw_entries: Draw, write_shard: Write
) -> None:
    entries = {f"t{i}": softened(draw_entries(i)) for i in range(12)}
    for name, entry in entries.items():
        entry["bare.jpg"] = softened(draw_entries(int(name[1:]) + 20))["person.jpg"]
    del entries["t7"]["bare.jpg"]
    write_shard(folder / "train-0.tar", entries)
    shown = 0.0
    for one, other in both(folder, bare=0.6, samples_per_epoch=40, **AUGMENTED, **EXTRAS):
        mine, theirs = one["bare_person"], other["bare_person"]
        assert torch.equal(mine["shown"], theirs["shown"]) and not mine["shown"][[k == "t7" for k in one["key"]]].any()
        assert mean_difference(mine["image"], theirs["image"]) < 0.015
        assert mean_difference(mine["wide_image"], theirs["wide_image"]) < 0.015
        assert not mine["image"][mine["shown"] == 0].any()
        shown += float(mine["shown"].mean())
    assert 0.3 < shown / 10 < 0.8


def test_tones_of_photographs_are_the_same_and_other_changes_are_for_the_other_module(folder: Path) -> None:
    tones = {"photographic": 0.7, "photographic_changes": ["white_balance", "exposure", "contrast"]}
    plain = next(iter(build(ResidentDataModule, folder, horizontal_flip=False, **EXTRAS).train_dataloader()))
    batches = both(folder, horizontal_flip=False, **tones, **EXTRAS)
    for one, other in batches:
        assert_alike(one, other, 0.015)
    assert mean_difference(batches[0][0]["person_image"], plain["person_image"]) > 0.03
    with pytest.raises(ValueError, match=r"can be white_balance, exposure, contrast, got texture, blur, noise, compre"):
        build(ResidentDataModule, folder, photographic=0.5).train_dataloader()
