"""Reports as Markdown."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ornament_lit.metrics.measured import BOUNDS
from ornament_lit.metrics.table import Source, Table, TableColumn, TableRow
from ornament_lit.reports.numbers import ABSENT, format_interval, format_number

OF_GROUND_TRUTH = "ground truth in place of the generated image"
BETWEEN: tuple[Source, ...] = ("floor", "generated", "ceiling")
BOUNDS_NOTE = (
    "Floor / generated / ceiling. The floor has the ornament's mean colour inside the true wearing mask in place of "
    "what was generated, the ceiling its image, warped by the true correspondence and not lit. A figure whose floor is "
    "as good as its ceiling cannot tell whether the ornament is recognised."
)


def markdown_report(protocol: Mapping[str, Any], table: Table, images: Mapping[str, str]) -> str:
    """Write a report: the protocol at its head, then the figures, then images.

    Args:
        protocol: Sections of entries.
        table: The figures.
        images: Titles by the name of a file beside the report.
    """
    confidence = f"{100 * table['resampling']['confidence']:g} %"
    return "\n\n".join(
        [
            "# Test report",
            "## Protocol",
            "Only figures of the same protocol can be compared.",
            markdown_protocol(protocol),
            "## Figures",
            f"In brackets the interval of {confidence} confidence, by resampling the samples. ↑: more is better, ↓: "
            "less is better.",
            markdown_figures(table),
            *_bounds_section(table),
            *(f"## {title}\n\n![{title}]({name})" for name, title in images.items()),
            "Compare it with another one, sample by sample: `python -m ornament_lit compare THIS OTHER`.\n",
        ]
    )


def markdown_protocol(protocol: Mapping[str, Any]) -> str:
    """A table of the protocol: section, entry, value."""
    rows = []
    for section, entries in protocol.items():
        listed = entries.items() if isinstance(entries, Mapping) else enumerate(entries, start=1)
        rows += [(section, str(name), _plain(value)) for name, value in listed]
    return markdown_table(("section", "entry", "value"), rows)


def markdown_figures(table: Table) -> str:
    """Figures down; all samples and the types across. Figures of the ground truth follow the others."""
    groups = [row for row in table["rows"] if row["of"] == "generated"]
    header = ["", *(f"{row['name']} (n = {row['n']})" for row in groups)]
    return markdown_table(header, figure_rows(table))


def figure_rows(table: Table) -> list[list[str]]:
    """Rows of :func:`markdown_figures`: name of the figure, and its text for all samples and each type."""
    rows = []
    for source in ("generated", "ground_truth"):
        groups = [row for row in table["rows"] if row["of"] == source]
        for column in table["columns"]:
            if any(column["name"] in row["cells"] for row in groups):
                name = column_title(column) if source == "generated" else f"{column_title(column)}, {OF_GROUND_TRUTH}"
                rows.append([name, *(_cell(row, column) for row in groups)])
    return rows


def markdown_bounds(table: Table) -> str:
    """Figures down, all samples and the types across: floor / generated / ceiling. Empty where there is no bound."""
    rows = {(row["of"], row["name"]): row for row in table["rows"]}
    groups = [row for row in table["rows"] if row["of"] == "generated"]
    bounded = {name for row in table["rows"] if row["of"] in BOUNDS for name in row["cells"]}
    lines = [
        [column_title(column), *(_between(rows, group["name"], column) for group in groups)]
        for column in table["columns"]
        if column["name"] in bounded
    ]
    return markdown_table(["", *(f"{row['name']} (n = {row['n']})" for row in groups)], lines) if lines else ""


def _between(rows: Mapping[tuple[Source, str], TableRow], group: str, column: TableColumn) -> str:
    """The figure of floor, generated image and ceiling, without intervals: ``16.01 / 15.20 / 15.10``."""
    found = [rows.get((source, group)) for source in BETWEEN]
    cells = [None if row is None else row["cells"].get(column["name"]) for row in found]
    return " / ".join(ABSENT if cell is None else format_number(cell.value) for cell in cells)


def _bounds_section(table: Table) -> list[str]:
    bounds = markdown_bounds(table)
    return ["## Between floor and ceiling", BOUNDS_NOTE, bounds] if bounds else []


def column_title(column: TableColumn) -> str:
    """Name of a figure with the direction that is better: ``lpips ↓``."""
    return f"{column['name']} {'↑' if column['higher_is_better'] else '↓'}"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table; bars in the texts are escaped."""
    lines = [list(header), ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(text.replace('|', '&#124;') for text in line)} |" for line in lines)


def _cell(row: TableRow, column: TableColumn) -> str:
    interval = row["cells"].get(column["name"])
    return ABSENT if interval is None else format_interval(interval)


def _plain(value: Any) -> str:  # noqa: ANN401
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
