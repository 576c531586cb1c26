"""What can be wrong with a row, and what to do about it."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ornament_lit.utils.files import write_file

REPORT = "report.csv"

RULES = {
    "bad_row": "give a row as many cells as there are columns, and a line of JSONL one object",
    "missing_value": "fill in this column",
    "unknown_type": "write bracelet, ring, earring or necklace",
    "unknown_split": "write train, val or test",
    "bad_key": "use at most 80 letters, digits, - and _",
    "duplicate_key": "give each row a key of its own",
    "ornament_in_two_splits": "put all rows of an ornament into one split",
    "bad_box": "write x0 y0 x1 y1 in pixels with x0 < x1 and y0 < y1 (not width and height), and an angle if turned",
    "missing_file": "bring the file, or correct the path (it is relative to the manifest)",
    "unreadable": "export it again as JPEG, PNG, WebP or TIFF",
    "too_large": "scale it down to less than 160 megapixels",
    "unsupported_mode": "export it as 8-bit RGB",
    "no_mask": "give a mask, an ornament with a transparent background, or --auto-mask",
    "no_box": "give a box (x0 y0 x1 y1): a mask can only be made where one is given",
    "mask_size": "draw the mask on the upright photograph, at its full size",
    "coloured_mask": "save the mask as grey: white is the ornament, black the rest",
    "transparent_mask": "save the mask as grey without transparency",
    "empty_mask": "paint the ornament white (above 127 of 255)",
    "inverted_mask": "swap black and white: white is the ornament, black the rest",
    "mask_area": "draw the mask around the ornament alone, and photograph it from nearby",
    "too_small": "photograph from nearby: the ornament has too few pixels (--min-extent)",
    "thin_mask": "store larger images (--size): scaled down, nothing of the mask is left",
    "box_outside": "give the box in pixels of the upright photograph, and inside of it",
    "box_without_mask": "draw the box around the whole mask, or leave it out",
    "loose_box": "draw the box close around the ornament, or leave it out",
}


class Problem(NamedTuple):
    """A row that is left out.

    Attributes:
        row: Its number.
        key: Its key, empty where it has none.
        file: The file that is wrong, empty where it is the row itself.
        rule: One of :data:`RULES`.
        value: What was found.
    """

    row: int
    key: str
    file: str
    rule: str
    value: str

    def __str__(self) -> str:
        """One line: row, file, rule, value, way out."""
        name = f" ({self.key})" if self.key else ""
        place = f" {self.file}:" if self.file else ""
        return f"row {self.row}{name}:{place} {self.rule}: {self.value}; {RULES[self.rule]}"


class RowError(ValueError):
    """A rule that a row breaks.

    Args:
        rule: One of :data:`RULES`.
        value: What was found.
        file: The file that is wrong.
    """

    def __init__(self, rule: str, value: str, file: Path | str = "") -> None:
        """Keep the parts."""
        assert rule in RULES
        super().__init__(f"{rule}: {value}")
        self.rule = rule
        self.value = value
        self.file = str(file)


def write_report(folder: Path, problems: Iterable[Problem]) -> Path | None:
    """Write the problems as CSV, in the order of the rows, or take an old report away where there are none.

    Returns:
        The report's path.
    """
    path = folder / REPORT
    rows = sorted(problems)
    if not rows:
        path.unlink(missing_ok=True)
        return None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*Problem._fields, "what to do"))
    writer.writerows((*row, RULES[row.rule]) for row in rows)
    write_file(path, text.getvalue().encode())
    return path
