"""The wheel holds what it needs, and works where there is no checkout."""

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
FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy so that nothing appears in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
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


def run(installed: Path, folder: Path, *words: str) -> str:
    """A command of the installed package, away from the checkout."""
    done = subprocess.run(
        [sys.executable, "-m", "ornament_lit", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_holds_code_data_weights_and_the_page(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    tracked = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()]
    needed = {str(path.relative_to(ROOT)) for path in tracked if "__pycache__" not in path.parts}
    assert needed - held <= {"datamodules/rendered_128/contact_sheet.png"}
    assert any(name.endswith("licenses/LICENSE") for name in held)
    assert not any(name.startswith(("tests", "docs", "benchmarks")) for name in held)


def test_it_works_without_a_checkout(installed: Path, tmp_path: Path) -> None:
    assert run(installed, tmp_path, "--version").strip() == f"ornament_lit {VERSION}"
    examples = installed / "ornament_lit" / "demo" / "examples"
    files = ["--ornament", str(examples / "earring.webp"), "--person", str(examples / "earring_person.jpg")]
    run(installed, tmp_path, "try-on", *files, "--box=157,231,323,466", "--output=worn.png")
    assert Image.open(tmp_path / "worn.png").size == (512, 512)
    assert "768 samples" in run(installed, tmp_path, "data", "stats", str(installed / "datamodules" / "rendered_128"))
