"""The wheel holds what it needs, and works where there is no checkout."""

import fnmatch
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from ornament_lit.utils.versions import VERSION

ROOT = Path(__file__).parent.parent
PACKAGES = ("ornament_lit", "datamodules", "callbacks")
PATTERNS = (
    "datamodules/rendered_128/*.tar",
    "ornament_lit/weights/small/*",
    "ornament_lit/demo/box_picker.html",
    "ornament_lit/demo/box_picker.css",
    "ornament_lit/demo/box_picker.js",
    "ornament_lit/demo/examples/*.webp",
    "ornament_lit/py.typed",
    "callbacks/py.typed",
    "datamodules/py.typed",
    "ornament_lit-*.dist-info/licenses/LICENSE",
)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def tracked() -> list[str]:
    """The files of the sources, without what was built or left in the checkout."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in names.split("\0") if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy of the sources so that nothing appears in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in tracked():
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "source" / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), "."]
    done = subprocess.run(command, cwd=folder / "source", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    [built] = folder.glob("*.whl")
    assert VERSION in built.name
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it is installed; what it depends on comes from this environment."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(folder)]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    return folder


def python(installed: Path, folder: Path, *words: str) -> str:
    """What Python prints with the installed package, away from the checkout."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(installed: Path, folder: Path, *words: str) -> str:
    """What a command of the installed package prints."""
    return python(installed, folder, "-m", "ornament_lit", *words)


def test_it_holds_code_data_weights_and_the_page(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    assert [pattern for pattern in PATTERNS if not fnmatch.filter(held, pattern)] == []
    needed = {name for name in tracked() if name.split("/")[0] in PACKAGES}
    assert needed - held <= {"datamodules/rendered_128/contact_sheet.png"}
    assert {name.split("/")[0] for name in held} == {*PACKAGES, f"ornament_lit-{VERSION}.dist-info"}


def test_it_works_without_a_checkout(installed: Path, tmp_path: Path) -> None:
    for package in PACKAGES:
        where = python(installed, tmp_path, "-c", f"import {package}; print({package}.__file__)")
        assert Path(where.strip()).is_relative_to(installed)
    assert run(installed, tmp_path, "--version").strip() == f"ornament_lit {VERSION}"
    examples = installed / "ornament_lit" / "demo" / "examples"
    files = ["--ornament", str(examples / "earring.webp"), "--person", str(examples / "earring_person.jpg")]
    run(installed, tmp_path, "try-on", *files, "--box=157,231,323,466", "--output=worn.png")
    with Image.open(tmp_path / "worn.png") as worn, Image.open(examples / "earring_person.jpg") as person:
        assert worn.format == "PNG" and worn.size == person.size == (512, 512)
    assert "768 samples" in run(installed, tmp_path, "data", "stats", str(installed / "datamodules" / "rendered_128"))
