"""Pipelines, photographs and odd files for the tests of the page."""

import io
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ornament_lit.demo.generating import Generator, NamedFile, warnings_by_thread
from ornament_lit.module import TryOnModule
from ornament_lit.pipeline import OrnamentTryOnPipeline
from ornament_lit.pipeline.from_checkpoint import pipeline_of
from ornament_lit.utils.bundled import DEFAULT_WEIGHTS

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def shipped() -> OrnamentTryOnPipeline:
    """The weights that ship: a warp alone."""
    return OrnamentTryOnPipeline.from_pretrained(DEFAULT_WEIGHTS)


@pytest.fixture
def warping(shipped: OrnamentTryOnPipeline, tmp_path: Path) -> Iterator[Generator]:
    """What serves the weights that ship."""
    with warnings_by_thread():
        yield Generator(shipped, tmp_path / "worn")


@pytest.fixture
def denoising(build_module: Callable[..., TryOnModule], tmp_path: Path) -> Iterator[Generator]:
    """What serves a small model without a warp, of three steps."""
    module = build_module()
    module.sampler.num_steps = 3
    with warnings_by_thread():
        yield Generator(pipeline_of(module, resolution=32, source={"checkpoint": "tiny.ckpt"}), tmp_path / "worn")


@pytest.fixture
def ring(tmp_path: Path) -> NamedFile:
    """A drawn ring, cut out."""
    image = Image.new("RGBA", (90, 80), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((12, 8, 78, 72), outline=(212, 160, 23, 255), width=11)
    image.save(tmp_path / "ring.png")
    return NamedFile(str(tmp_path / "ring.png"), "my ring.png")


@pytest.fixture
def hand(tmp_path: Path) -> NamedFile:
    """Noise that stands for a photograph."""
    pixels = np.random.default_rng(0).integers(60, 200, (120, 160, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "hand.png")
    return NamedFile(str(tmp_path / "hand.png"), "hand.png")


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def odd_files() -> dict[str, bytes]:
    """Fourteen files that people choose by mistake or by malice."""
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (200, 200, 3), dtype=np.uint8))
    jpeg, png = _encoded(noise, "JPEG"), _encoded(noise, "PNG")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("photograph.jpg", jpeg)
    return {
        "empty.jpg": b"",
        "words.jpg": b"not an image",
        "cut off.jpg": jpeg[: len(jpeg) // 2],
        "cut off.png": png[: len(png) // 2],
        "phone.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200),
        "page.pdf": b"%PDF-1.7\n%%EOF\n",
        "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "page.html": b"<html><script>alert(1)</script></html>",
        "archive.png": archive.getvalue(),
        "huge.png": _encoded(Image.new("1", (9000, 9000)), "PNG"),
        "bomb.png": _encoded(Image.new("1", (20000, 20000)), "PNG"),
        "tiny.png": _encoded(Image.new("RGB", (8, 8)), "PNG"),
        "floats.tiff": _encoded(Image.new("F", (50, 50)), "TIFF"),
        "<img src=x onerror=alert(1)>.png": b"RIFF....WEBPVP8 ",
    }


@pytest.fixture(scope="session")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> list[NamedFile]:
    """The odd files, under names as the server gives them."""
    folder = tmp_path_factory.mktemp("odd")
    found = []
    for number, (name, content) in enumerate(odd_files().items()):
        path = folder / f"{number}{Path(name).suffix}"
        path.write_bytes(content)
        found.append(NamedFile(str(path), name))
    return found
