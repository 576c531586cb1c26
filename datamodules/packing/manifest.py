"""Manifests: one row a triplet, as CSV or as lines of JSON."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from datamodules.packing.rows import COLUMNS, Source
from datamodules.packing.rules import Problem

CSV = (".csv", ".tsv", ".txt")
JSONL = (".jsonl", ".ndjson")


def read_manifest(path: Path, default_type: str | None = None, masks_needed: bool = True) -> Source:
    """Read a manifest; its paths are relative to its folder, and columns that are not ours become metadata.

    Args:
        path: A CSV (comma, semicolon or tab; the first line names the columns) or a file with a JSON object a line.
        default_type: Type of rows that have none.
        masks_needed: Whether there must be columns with masks.

    Raises:
        ValueError: If it is of another kind, is not UTF-8, or a CSV lacks a column.
    """
    if path.suffix.lower() not in (*CSV, *JSONL):
        raise ValueError(f"a manifest must end in {', '.join((*CSV, *JSONL))}, got {path.name}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} must be UTF-8, got byte {error.start} of another encoding; save it as UTF-8"
        ) from error
    source = Source()
    if path.suffix.lower() in CSV:
        needed = [
            "ornament",
            "person",
            *(["wearing_mask"] if masks_needed else []),
            *([] if default_type else ["type"]),
        ]
        rows = _csv_rows(path, text, needed, source)
    else:
        rows = _json_rows(text, source)
    for number, values in rows:
        source.add(number, values, path.parent, default_type)
    return source


def _csv_rows(path: Path, text: str, needed: list[str], source: Source) -> Iterator[tuple[int, Mapping[str, Any]]]:
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns = [name.strip().lower() for name in next(reader, [])]
    _check_columns(path, columns, needed)
    for cells in reader:
        if not any(cells):
            continue
        if len(cells) != len(columns):
            value = f"{len(cells)} cells for {len(columns)} columns"
            source.problems.append(Problem(reader.line_num, "", "", "bad_row", value))
            continue
        yield reader.line_num, {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}


def _check_columns(path: Path, columns: list[str], needed: Iterable[str]) -> None:
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ValueError(f"{path} must name each column once, got {', '.join(twice)} twice")
    for name in needed:
        if name not in columns:
            close = get_close_matches(name, [column for column in columns if column not in COLUMNS], n=1)
            hint = f"rename {close[0]!r}" if close else "see datamodules/README.md"
            raise ValueError(f"{path} must have a column {name!r}, got {', '.join(columns) or 'nothing'}; {hint}")


def _json_rows(text: str, source: Source) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            source.problems.append(Problem(number, "", "", "bad_row", f"not JSON: {error}"))
            continue
        if isinstance(values, dict):
            yield number, values
        else:
            source.problems.append(Problem(number, "", "", "bad_row", f"no object but {type(values).__name__}"))
