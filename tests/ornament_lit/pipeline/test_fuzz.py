"""Odd images and boxes: each is drawn, or refused in a line or two; nothing else happens.

``ORNAMENT_LIT_FUZZ=3000 python -m pytest -s tests/ornament_lit/pipeline/test_fuzz.py`` tries more of them, and counts.
"""

import os
import random
import re
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ornament_lit.imaging.reading import as_photograph, open_photograph
from ornament_lit.pipeline import OrnamentTryOnPipeline
from ornament_lit.pipeline.from_checkpoint import pipeline_of

CASES = int(os.environ.get("ORNAMENT_LIT_FUZZ", "40"))
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16", "CMYK", "YCbCr")
REFUSED = ("I", "F", "LAB", "HSV", "RGBX")
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
NUMBERS = (0, -1, 1e-9, 1e30, float("nan"), float("inf"), -float("inf"))


def odd_size(rng: random.Random) -> tuple[int, int]:
    small, usual, long = rng.randint(1, 20), rng.randint(16, 300), rng.randint(500, 4000)
    sizes = [(1, 1), (1, usual), (usual, 1), (small, small), (16, long), (long, 17), (17 * small, 4 * small)]
    if rng.random() < 0.005:
        return 4000, 3000
    return rng.choice(sizes) if rng.random() < 0.2 else (usual, rng.randint(16, 300))


def odd_image(rng: random.Random) -> Image.Image:
    """Smooth spots in any mode, of any size."""
    size, mode = odd_size(rng), rng.choice(MODES) if rng.random() < 0.95 else rng.choice(REFUSED)
    pixels = np.random.default_rng(rng.getrandbits(32)).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    if mode == "LAB":
        return Image.merge("LAB", image.split())
    if mode == "PA":
        return image.convert("P").convert("PA")
    converted = image.convert(mode)
    if "A" in converted.getbands():
        converted.putalpha(image.getchannel(0))
    if mode == "P" and rng.random() < 0.5:
        converted.info["transparency"] = rng.randint(0, 255)
    return converted


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Cut off, overwritten here and there, something else, nothing at all, or whole."""
    kind = rng.random()
    if kind < 0.06:
        return content[: rng.randrange(len(content))]
    if kind < 0.12:
        changed = bytearray(content)
        for _ in range(rng.randint(1, 20)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        return bytes(changed)
    return {0: b"", 1: b"no image at all", 2: content[4:]}.get(int((kind - 0.12) * 200), content)


def odd_picture(rng: random.Random, folder: Path) -> Any:
    """An image, its pixels, or a file, damaged or not."""
    image = odd_image(rng)
    kind = rng.random()
    if kind < 0.15:
        return image
    if kind < 0.25:
        return np.asarray(image)
    if kind < 0.27:
        return rng.choice([folder, folder / "nowhere.png", "", np.zeros((20, 20, 3))])
    path, exif = folder / "picture", Image.Exif()
    exif[274] = rng.choice([*range(10), 999])
    try:
        image.save(path, rng.choice(FORMATS), exif=exif, method=0, compress_level=1)  # fast
    except (OSError, ValueError, KeyError, TypeError):
        return image  # the format cannot hold it
    path = path.rename(folder / f"{rng.getrandbits(64)}.{rng.choice(['png', 'jpg', 'txt'])}")
    path.write_bytes(damaged(rng, path.read_bytes()))
    return path


def odd_box(rng: random.Random) -> Any:
    """Inside, across the border, outside, without an area, turned, no numbers."""
    x, y, kind = rng.uniform(-50, 300), rng.uniform(-50, 300), rng.random()
    if kind < 0.6:
        x, y = rng.uniform(0, 60), rng.uniform(0, 60)
    box: list[Any] = [x, y, x + rng.uniform(0.2, 250), y + rng.uniform(0.2, 250)]
    if kind > 0.9:
        box[rng.randrange(4)] = rng.choice(NUMBERS)
    elif kind > 0.85:
        box = rng.choice([[0, 0, 0, 0], [5, 5, 5, 9], [9, 9, 5, 5], [], [1, 2], ["a"] * 4, "box", None, [None] * 4])
    elif kind > 0.8:
        box = [-1e6, -1e6, 1e6, 1e6]
    if isinstance(box, list) and rng.random() < 0.25:
        box = [*box, rng.choice([rng.choice(NUMBERS), 30, -45, 90, 1e9])]
    return rng.choice([tuple, list, np.array])(box) if isinstance(box, list) and None not in box else box


@pytest.fixture
def pipelines(build_module: Callable[..., Any]) -> list[OrnamentTryOnPipeline]:
    """One with a mask head, whose drawing is pasted, and the warp that ships."""
    found = [pipeline_of(build_module(), resolution=32), OrnamentTryOnPipeline.from_pretrained("bundled:small")]
    for pipeline in found:
        pipeline.set_progress_bar_config(disable=True)
    return found


def check(output: Any, person: Any) -> None:
    """Outside of the mask, the photograph is as it was."""
    photograph = open_photograph(person).pixels if isinstance(person, Path) else as_photograph(person).pixels
    picture, outside = output.images[0], np.asarray(output.masks[0]) == 0
    assert picture.mode == photograph.mode and picture.size == photograph.size == output.masks[0].size
    before, after = np.asarray(photograph), np.asarray(picture)
    assert np.array_equal(before[outside], after[outside])


@pytest.mark.timeout(300 + CASES)
def test_odd_pictures_and_boxes(pipelines: list[OrnamentTryOnPipeline], tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    for number in range(CASES):
        rng = random.Random(number)
        pipeline = pipelines[number % 2]
        person, box = odd_picture(rng, tmp_path), odd_box(rng)
        ornament = odd_picture(rng, tmp_path)
        mask = odd_picture(rng, tmp_path) if rng.random() < 0.1 else None
        options = {"region": rng.choice(["mask", "box"]), "seed": number, "num_inference_steps": 1}
        if pipeline is pipelines[1]:
            options |= {"preview": True, "detail": rng.choice([None, None, False])}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                output = pipeline(ornament, person, box, mask, **options)
                if isinstance(person, Path | Image.Image):
                    check(output, person)
        except (ValueError, FileNotFoundError) as error:
            message = str(error)
            assert message and len(message.splitlines()) <= 2, f"case {number}: {message!r}"
            counts[re.sub(r"\S*/\S*|\d+x\d+", "...", message.partition(", got")[0])] += 1
        except Exception as error:
            raise AssertionError(f"case {number}: {person!r}, {box!r}, {ornament!r}, {mask!r}, {options}") from error
        else:
            counts["drawn"] += 1
        for path in tmp_path.iterdir():
            path.unlink()
    print(*(f"{count:5} {kind}" for kind, count in counts.most_common()), sep="\n")
    assert counts["drawn"] > CASES // 10 and counts.total() == CASES
