"""Drawn triplets, shards and batches that all tests can use."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ornament_lit.batch import TryOnBatch

# Set before torch is imported: a forked process (strategy ddp_fork) would hang in threads that its parent had started.
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

sys.path.append(str(Path(__file__).parent))  # tiny_run, for the tests that resume

TYPES = ("bracelet", "ring", "earring", "necklace")

Entries = dict[str, bytes]


def encode(image: object, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)  # type: ignore[attr-defined]
    return buffer.getvalue()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as in a terminal, and afterwards as before: Lightning switches it off once it has seen one."""
    import sessions

    with sessions.interruptible():
        yield


@pytest.fixture
def draw_entries() -> Callable[..., Entries]:
    """Entries of one sample: a filled ellipse that is worn in the box (12, 16, 36, 32) of a 48-pixel image."""
    from PIL import Image, ImageDraw

    def draw(index: int = 0, size: int = 48, **replaced: bytes | None) -> Entries:
        box = [size // 4, size // 3, 3 * size // 4, 2 * size // 3]
        images = {}
        for name, background in (("ornament", (230, 230, 230)), ("person", (200, 150, 120))):
            image, mask = Image.new("RGB", (size, size), background), Image.new("L", (size, size))
            inner = (box[0], box[1], box[2] - 1, box[3] - 1)
            ImageDraw.Draw(image).ellipse(inner, fill=(200, 40 * (index % 5), 20))
            ImageDraw.Draw(mask).ellipse(inner, fill=255)
            images[name] = (encode(image, "JPEG"), encode(mask, "PNG"))
        entries = {
            "ornament.jpg": images["ornament"][0],
            "ornament_mask.png": images["ornament"][1],
            "person.jpg": images["person"][0],
            "wearing_mask.png": images["person"][1],
            "json": json.dumps({"type": TYPES[index % 4], "box": box}).encode(),
        }
        changes = {name.replace("__", "."): value for name, value in replaced.items()}
        return {name: value for name, value in (entries | changes).items() if value is not None}

    return draw


@pytest.fixture
def write_shard() -> Callable[[Path, Mapping[str, Entries]], Path]:
    """Write samples, by key, into a tar."""
    from webdataset import TarWriter

    def write(path: Path, samples: Mapping[str, Entries]) -> Path:
        with TarWriter(str(path), encoder=False) as writer:
            for key, entries in samples.items():
                writer.write({"__key__": key, **entries})
        return path

    return write


@pytest.fixture
def shard_dir(
    tmp_path: Path, draw_entries: Callable[..., Entries], write_shard: Callable[[Path, Mapping[str, Entries]], Path]
) -> Path:
    """Folder of four training shards (8 samples each) and one for validation (8), the four types in turn, 48 px."""
    folder = tmp_path / "shards"
    folder.mkdir()
    for shard in range(4):
        samples = {f"train-{8 * shard + i:06d}": draw_entries(i) for i in range(8)}
        write_shard(folder / f"train-{shard:06d}.tar", samples)
    write_shard(folder / "val-000000.tar", {f"val-{i:06d}": draw_entries(i) for i in range(8)})
    return folder


@pytest.fixture
def tiny_batch() -> Callable[..., "TryOnBatch"]:
    """Random valid batch, the same at each call."""
    import torch

    def build(batch_size: int = 2, resolution: int = 32) -> "TryOnBatch":
        generator = torch.Generator().manual_seed(0)
        quarter = resolution // 4
        box = torch.zeros(batch_size, 1, resolution, resolution)
        box[:, :, quarter : 3 * quarter, quarter : 3 * quarter] = 1.0

        def image() -> torch.Tensor:
            return torch.rand(batch_size, 3, resolution, resolution, generator=generator) * 2 - 1

        def mask() -> torch.Tensor:
            return box * torch.rand(box.shape, generator=generator).round()

        return {
            "ornament_image": image(),
            "ornament_mask": mask(),
            "person_image": image(),
            "wearing_mask": mask(),
            "box_mask": box,
            "category": [TYPES[index % 4] for index in range(batch_size)],
            "key": [f"sample-{index}" for index in range(batch_size)],
            "sample_seed": torch.arange(1, batch_size + 1),
        }

    return build
