"""What ``try-on`` is asked to generate: from options or from a list, checked before anything is generated."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ornament_lit.cli.commands.try_on_options import TryOnOptions, WornOptions
from ornament_lit.imaging.geometry import AnyBox, read_box
from ornament_lit.imaging.writing import SUFFIXES
from ornament_lit.utils.categories import CATEGORIES

NEEDED = ("person", "ornament", "box")
KNOWN = (*NEEDED, "type", "ornament_mask", "output", "seed")


@dataclass(frozen=True)
class Worn:
    """An ornament and where it is worn.

    Attributes:
        ornament: File of its image.
        box: The box in the photograph, turned or not.
        kind: Its type, if it was said.
        mask: File of its mask, if there is one.
    """

    ornament: Path
    box: AnyBox
    kind: str | None = None
    mask: Path | None = None


@dataclass(frozen=True)
class Request:
    """One image to generate.

    Attributes:
        name: What messages call it.
        person: File of the photograph.
        worn: The ornaments, in the order in which they are put on.
        output: File to write.
        seed: Seed of the noise.
    """

    name: str
    person: Path
    worn: tuple[Worn, ...]
    output: Path
    seed: int


def request_of(options: TryOnOptions, worn: Sequence[WornOptions]) -> Request:
    """The one image that options ask for.

    Raises:
        ValueError: If an option is missing or wrong.
        FileNotFoundError: If the output's folder does not exist.
    """
    assert options.person is not None and options.output is not None
    ornaments = []
    for number, each in enumerate(worn, start=1):
        of_which = f" of ornament {number}" if len(worn) > 1 else ""
        absent = [f"--{name}" for name in ("ornament", "box") if getattr(each, name) is None]
        if absent or each.ornament is None or each.box is None:
            raise ValueError(f"missing: {', '.join(absent)}{of_which}")
        mask = Path(each.ornament_mask) if each.ornament_mask else None
        ornaments.append(Worn(Path(each.ornament), parse_box(each.box), each.type, mask))
    return Request(options.person, Path(options.person), tuple(ornaments), Path(options.output), options.seed)


def read_list(path: Path, folder: Path, seed: int) -> list[Request]:
    """Read a list of images to generate.

    Args:
        path: A CSV with a row of column names; rows with the same output are worn together.
        folder: Where the outputs go.
        seed: Seed of the rows that say none.

    Returns:
        The images, in the order of their first rows.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column is missing or unknown, or a cell is wrong.
    """
    if not path.is_file():
        raise FileNotFoundError(f"--batch must be a CSV file, got {str(path)!r}; check the path")
    requests: dict[Path, Request] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, skipinitialspace=True)
            _check_columns(path, list(table.fieldnames or []))
            for row in table:
                request = _read_row(row, f"{path.name}, line {table.line_num}", path, folder, seed)
                _add(requests, request)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as CSV in UTF-8: {error}") from error
    if not requests:
        raise ValueError(f"{path} lists no image; add a row")
    return list(requests.values())


def parse_box(text: str) -> AnyBox:
    """Read a box from four or five numbers, separated by commas or spaces.

    Raises:
        ValueError: If they are none.
    """
    return read_box(text.strip("[]() ").replace(",", " ").split())


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    foreign = next((mark for mark in (";", "\t") if len(columns) == 1 and mark in columns[0]), None)
    if foreign:
        raise ValueError(f"the columns of {path} must be separated by commas, got {foreign!r}; save it with commas")
    absent, unknown = [c for c in NEEDED if c not in columns], [c for c in columns if c not in KNOWN]
    if absent or unknown:
        found = f"lacks {', '.join(absent)}" if absent else f"has the unknown {', '.join(map(str, unknown))}"
        raise ValueError(
            f"{path} must have the columns {', '.join(NEEDED)} and may have {', '.join(KNOWN[3:])}; it {found}"
        )


def _read_row(row: Mapping[str, str | None], name: str, path: Path, folder: Path, seed: int) -> Request:
    cells = {column: (value or "").strip() for column, value in row.items() if column is not None}
    if None in row or any(not cells[column] for column in NEEDED):
        raise ValueError(f"{name}: {', '.join(NEEDED)} must all have a value, and boxes with commas stand in quotes")
    if cells.get("type") and cells["type"] not in CATEGORIES:
        raise ValueError(f"{name}: type must be one of {', '.join(CATEGORIES)}, got {cells['type']!r}")
    if cells.get("seed") and not cells["seed"].isdecimal():
        raise ValueError(f"{name}: seed must be a number from 0, got {cells['seed']!r}")
    try:
        box = parse_box(cells["box"])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    mask = path.parent / cells["ornament_mask"] if cells.get("ornament_mask") else None
    worn = Worn(path.parent / cells["ornament"], box, cells.get("type") or None, mask)
    output = _output(cells.get("output") or f"{Path(cells['person']).stem}-{Path(cells['ornament']).stem}.png", name)
    number = int(cells["seed"]) if cells.get("seed") else seed
    return Request(name, path.parent / cells["person"], (worn,), folder / output, number)


def _output(text: str, name: str) -> Path:
    output = Path(text)
    if output.is_absolute() or ".." in output.parts or output.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{name}: output must be a name in the folder, with {', '.join(SUFFIXES)}, got {text!r}")
    return output


def _add(requests: dict[Path, Request], request: Request) -> None:
    """Add a row, or let the person of an earlier row wear its ornament, too."""
    earlier = requests.get(request.output)
    if earlier is None:
        requests[request.output] = request
        return
    if (earlier.person, earlier.seed) != (request.person, request.seed):
        raise ValueError(f"{request.name}: {request.output.name} is the output of another person or seed; rename it")
    worn = (*earlier.worn, *request.worn)
    requests[request.output] = Request(earlier.name, earlier.person, worn, earlier.output, earlier.seed)
