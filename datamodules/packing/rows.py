"""A row: what a manifest or a folder says about one triplet, before any file is opened."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from datamodules.packing.rules import Problem, RowError
from ornament_lit.imaging.geometry import AnyBox, read_box
from ornament_lit.utils.categories import CATEGORIES

SPLITS = ("train", "val", "test")
KEY = re.compile(r"[A-Za-z0-9_-]{1,80}")
FILES = ("ornament", "ornament_mask", "person", "wearing_mask")
OTHERS = ("key", "type", "box", "split", "ornament_id")
COLUMNS = (*FILES, *OTHERS)


@dataclass(frozen=True)
class Row:
    """One triplet to pack.

    Attributes:
        number: Line in the manifest, or position in the folder, from 1.
        key: Unique name.
        category: One of the four types.
        ornament: Photograph of the ornament.
        person: Photograph of the person wearing it.
        ornament_mask: Where the ornament is in ``ornament``; None to make it.
        wearing_mask: Its visible part in ``person``; None to make it.
        box: Where it is worn, in pixels of the upright photograph, turned or not; None to take it from the mask.
        split: ``train``, ``val``, ``test``, or None where nothing is said.
        ornament_id: Rows of the same ornament have the same; None where nothing is said.
        labels: Indices of a label map that are the ornament, where ``wearing_mask`` is a label map.
        metadata: What else is known; it goes into the sample's json.
    """

    number: int
    key: str
    category: str
    ornament: Path
    person: Path
    ornament_mask: Path | None = None
    wearing_mask: Path | None = None
    box: AnyBox | None = None
    split: str | None = None
    ornament_id: str | None = None
    labels: tuple[int, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that the row names."""
        paths = (self.ornament, self.ornament_mask, self.person, self.wearing_mask)
        return tuple(path for path in paths if path is not None)


@dataclass
class Source:
    """What was read from a manifest or a folder.

    Attributes:
        rows: The usable rows.
        problems: What is wrong with the others.
    """

    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(
        self,
        number: int,
        values: Mapping[str, Any],
        folder: Path,
        default_type: str | None = None,
        labels: tuple[int, ...] = (),
    ) -> None:
        """Take a row, or note what is wrong with it.

        Args:
            number: See :class:`Row`.
            values: Value by column; None and empty texts count as not given.
            folder: Where relative paths start.
            default_type: Type of rows that have none.
            labels: See :class:`Row`.
        """
        given = {name: value for name, value in values.items() if value not in (None, "")}
        given.setdefault("type", default_type)
        try:
            self.rows.append(replace(parse_row(number, given, folder), labels=labels))
        except RowError as error:
            self.problems.append(Problem(number, str(given.get("key", "")), error.file, error.rule, error.value))


def parse_row(number: int, given: Mapping[str, Any], folder: Path) -> Row:
    """Check the values of a row.

    Args:
        number: See :class:`Row`.
        given: The values that are not empty, by column.
        folder: Where relative paths start.

    Raises:
        RowError: If one of them breaks a rule.
    """
    paths = {name: folder / str(given[name]).replace("\\", "/") if name in given else None for name in FILES}
    ornament, person = paths["ornament"], paths["person"]
    if ornament is None or person is None:
        raise RowError("missing_value", "person" if ornament else "ornament")
    key = str(given.get("key", f"row-{number:06d}"))
    if not KEY.fullmatch(key):
        raise RowError("bad_key", key)
    category = str(given["type"]).strip().lower() if given["type"] is not None else ""
    if category not in CATEGORIES:
        raise RowError("unknown_type" if category else "missing_value", category or "type")
    split = str(given["split"]).strip().lower() if "split" in given else None
    if split is not None and split not in SPLITS:
        raise RowError("unknown_split", split)
    return Row(
        number,
        key,
        category,
        ornament,
        person,
        paths["ornament_mask"],
        paths["wearing_mask"],
        box=_parse_box(given["box"]) if "box" in given else None,
        split=split,
        ornament_id=str(given["ornament_id"]) if "ornament_id" in given else None,
        metadata={name: value for name, value in given.items() if name not in COLUMNS},
    )


def _parse_box(value: object) -> AnyBox:
    words = re.split(r"[\s,;]+", value.strip(" []()")) if isinstance(value, str) else value
    try:
        box = read_box(words if isinstance(words, list | tuple) else ())
    except ValueError as error:
        raise RowError("bad_box", str(value)) from error
    if max(map(abs, box)) > 1e6:
        raise RowError("bad_box", str(value))
    return box


def with_all_columns(source: Source) -> Source:
    """Give each row all columns that any row has, None where it is empty: all samples have the same keys."""
    columns = dict.fromkeys(name for row in source.rows for name in row.metadata)
    rows = [replace(row, metadata={**dict.fromkeys(columns), **row.metadata}) for row in source.rows]
    return Source(rows, source.problems)


def without_duplicates(source: Source) -> Source:
    """Leave out every row whose key an earlier one has."""
    first: dict[str, Row] = {}
    problems = list(source.problems)
    for row in source.rows:
        earlier = first.setdefault(row.key, row)
        if earlier is not row:
            problems.append(Problem(row.number, row.key, "", "duplicate_key", f"as row {earlier.number}"))
    return Source(list(first.values()), problems)
