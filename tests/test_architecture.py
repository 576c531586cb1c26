"""The house is as docs/architecture.md and its drawing say, and stays small enough to be held."""

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text()
LONGEST_FILE = 400


def layers() -> list[list[str]]:
    """Rooms of each layer of `make check`, from top to bottom, without their package."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    rows = config["importlinter:contract:layers"]["layers"].split("\n")
    return [[room.strip().removeprefix("ornament_lit.") for room in re.split("[|:]", row)] for row in rows if row]


def rooms() -> set[str]:
    """Packages and modules at the top of the code."""
    inside = [
        path for path in (ROOT / "ornament_lit").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    ]
    return {path.stem for path in inside if path.name != "__init__.py"} | {"callbacks", "datamodules"}


def test_every_room_is_in_a_layer_and_there_are_few_of_both() -> None:
    assert {room for layer in layers() for room in layer} == rooms()
    assert layers()[0] == ["__main__"] and len(layers()) - 1 <= 8
    modules = [path for path in (ROOT / "ornament_lit").glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= 4, "a module belongs into a room"


def test_the_drawing_shows_the_layers() -> None:
    drawn = re.findall(
        r'y="(\d+)"[^>]*font-weight="bold">([^<]+)<', (ROOT / "docs" / "images" / "rooms.svg").read_text()
    )
    rows = [[name.removesuffix(".py") for y, name in drawn if y == line] for line in dict.fromkeys(y for y, _ in drawn)]
    assert [sorted(row) for row in rows] == [sorted(row) for row in layers()[1:]]


def test_links_and_paths_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", PAGE)
    assert len(links) > 5 and all((ROOT / "docs" / link).exists() for link in links)
    paths = re.findall(r"`((?:ornament_lit|datamodules|callbacks)/[\w/]*(?:\.py)?)`", PAGE)
    assert len(paths) > 15 and all((ROOT / path).exists() for path in paths)


def test_no_file_grows_too_long() -> None:
    files = [
        path for package in ("ornament_lit", "datamodules", "callbacks") for path in (ROOT / package).rglob("*.py")
    ]
    lengths = {path: len(path.read_text().splitlines()) for path in files}
    assert {str(path): length for path, length in lengths.items() if length > LONGEST_FILE} == {}
