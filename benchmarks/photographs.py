"""Test triplets as bad cameras take them: each set is made worse in one way, by more than training draws, or nearly so.

One folder of shards a way, with the same samples in the same order, so that figures of one checkpoint can be compared
in pairs. Run ``python -m benchmarks.photographs``, and then the study ``photographs``; ``--help`` tells the options.
"""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jsonargparse import auto_cli
from PIL import Image

from datamodules.samples.photographs import Camera, take
from datamodules.samples.schema import BARE
from datamodules.samples.seeding import hash_seed
from datamodules.shards.index import raise_sample_error, write_index
from datamodules.shards.reading import RawSample, is_image, read_shard
from datamodules.shards.writing import write_shard
from datamodules.storage.shard_paths import resolve_shards
from ornament_lit.imaging.writing import encode_jpeg

SHARD = "test-000000.tar"
PERSONS = ("person.jpg", BARE)
ORNAMENT, ORNAMENT_MASK = "ornament.jpg", "ornament_mask.png"
QUALITY = 95
SQUARES = 8
"""Of the patterned table, along each side of the ornament's image."""
RED, WHITE = (176, 58, 46), (236, 232, 220)
WARM, COLD, DARK = (1.4, 1.0, 0.7), (0.7, 1.0, 1.4), (0.4, 0.4, 0.4)


class Way(NamedTuple):
    """How triplets are made worse.

    Attributes:
        person: Camera of the person, with and without the ornament.
        ornament: Camera of the ornament's image.
        patterned: Whether the ornament lies on a table of coloured squares.
    """

    person: Camera = Camera()
    ornament: Camera = Camera()
    patterned: bool = False


WAYS = {
    "as_rendered": Way(),
    "jpeg_10": Way(Camera(quality=10), Camera(quality=10)),
    "noise": Way(Camera(noise=0.1), Camera(noise=0.1)),
    "blur": Way(Camera(blur=2 / 128), Camera(blur=2 / 128)),
    "dark": Way(Camera(DARK)),
    "contrast": Way(Camera(exponent=2.0), Camera(exponent=0.6)),
    "warm_and_cold": Way(Camera(WARM), Camera(COLD)),
    "patterned_table": Way(patterned=True),
    "all": Way(Camera(WARM, 1.5, 1 / 128, 0.06, 25), Camera(COLD, 0.7, 1 / 128, 0.06, 25), patterned=True),
}


def make(out: Path = Path("runs/photographs"), shards: str = "bundled:rendered_128/test-*.tar") -> None:
    """Write a folder of shards for each way.

    Args:
        out: Where to.
        shards: The triplets as they are rendered.
    """
    samples = [sample for shard in resolve_shards(shards) for sample in read_shard(shard, raise_sample_error, is_image)]
    for name, way in WAYS.items():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        worse = ((sample["__key__"], make_worse(sample, way)) for sample in samples)
        write_index(folder, [write_shard(folder / SHARD, worse)])
        print(folder)


def make_worse(sample: RawSample, way: Way) -> dict[str, bytes]:
    """The entries of a sample, its images made worse; masks, correspondence and metadata stay."""
    noise = np.random.default_rng(hash_seed(sample["__key__"], "worse"))
    entries = {name: content for name, content in sample.items() if not name.startswith("__")}
    if way.patterned:
        patterned = laid_on_squares(open_image(entries[ORNAMENT]), open_image(entries[ORNAMENT_MASK]))
        entries[ORNAMENT] = encode_jpeg(patterned, QUALITY)
    cameras = {ORNAMENT: way.ornament, **dict.fromkeys(PERSONS, way.person)}
    for name, camera in cameras.items():
        if name in entries and camera != Camera():
            entries[name] = encode_jpeg(take(open_image(entries[name]).convert("RGB"), camera, noise), QUALITY)
    return entries


def laid_on_squares(ornament: Image.Image, mask: Image.Image) -> Image.Image:
    """The ornament on a table of coloured squares, without its shadow."""
    y, x = np.indices((ornament.height, ornament.width)) * SQUARES // max(ornament.size)
    squares = np.where(((x + y) % 2 == 0)[..., None], RED, WHITE).astype(np.uint8)
    return Image.composite(ornament.convert("RGB"), Image.fromarray(squares), mask.convert("L"))


def open_image(content: bytes) -> Image.Image:
    """An image from its file."""
    return Image.open(io.BytesIO(content))


if __name__ == "__main__":
    auto_cli(make, as_positional=False)
