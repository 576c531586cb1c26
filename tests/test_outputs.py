"""Each command says before its work that its output cannot be written; tried with a file where a folder is meant."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ornament_lit.__main__ import main

ROOT = Path(__file__).resolve().parents[1]
QUICKSTART = ["--config", str(ROOT / "configs" / "quickstart.yaml")]
PICTURES = ["--ornament", "nowhere.png", "--person", "nowhere.png", "--box", "1,1,9,9"]
COMMANDS = {
    "try-on": ["try-on", "--pipeline=nowhere", "--batch=LIST", "--output=FILE"],
    "export": ["export", "--checkpoint=nowhere.ckpt", "--output=FILE/new"],
    "pack": ["data", "pack", "--source=nowhere.csv", "--out=FILE"],
    "render": ["data", "render", "--num=1", "--size=16", "--out=FILE"],
    "correspondence": ["data", "correspondence", "nowhere", "--out=FILE"],
    "latents": ["data", "latents", *QUICKSTART, "--shards=nowhere.tar", "--out=FILE"],
    "stats": ["data", "stats", "nowhere", "--out=FILE"],
    "check": ["data", "check", "nowhere", "--sheet=FOLDER/dir.png"],
    "bench": ["bench", *QUICKSTART, "--output=FILE/new.json"],
    "bench into a folder": ["bench", *QUICKSTART, "--output=FOLDER"],
    "compare": ["compare", "nowhere", "nowhere", "--output=FOLDER"],
    "study": ["study", str(ROOT / "configs" / "studies" / "ablation.yaml"), "--out=FILE"],
}


@pytest.fixture
def fill(tmp_path: Path) -> Callable[[list[str]], list[str]]:
    """Put paths into the words of a command line."""
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder" / "dir.png").mkdir(parents=True)
    (tmp_path / "list.csv").write_text("person,ornament,box\nb.png,a.png,1 1 9 9\n")
    places = {"FILE": "file", "FOLDER": "folder", "LIST": "list.csv"}

    def call(words: list[str]) -> list[str]:
        for name, place in places.items():
            words = [word.replace(name, str(tmp_path / place)) for word in words]
        return words

    return call


@pytest.mark.parametrize("name", COMMANDS)
def test_an_output_that_cannot_be_written_is_told_first(
    name: str, fill: Callable[[list[str]], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(fill(COMMANDS[name])) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 2 and "Traceback" not in err
    assert "cannot be a folder: " in err or "is a folder, and shall be a file" in err
    assert (tmp_path / "file").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "list.csv"]


@pytest.mark.parametrize("slash", ["dir.png/", "new.png/"])
def test_a_folder_is_no_picture(slash: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["try-on", "--pipeline=nowhere", *PICTURES, f"--output={tmp_path}/{slash}"]) == 2
    assert "--output must be an image's file, got the folder" in capsys.readouterr().err


def test_a_contact_sheet_is_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(ROOT / "datamodules" / "rendered_128" / "val-000000.tar", tmp_path)
    assert main(["data", "check", str(tmp_path), f"--sheet={tmp_path}/x.foo"]) == 2
    assert "an image is written as .png" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["val-000000.tar"]
