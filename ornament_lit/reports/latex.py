"""Figures as a LaTeX table (package booktabs)."""

from collections.abc import Sequence

from ornament_lit.metrics.table import SOURCES, Source, Table, TableColumn
from ornament_lit.reports.numbers import ABSENT, format_number

SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    character: f"\\{character}" for character in "&%$#_{}"
}


PREFIXES: dict[Source, str] = {
    "generated": "",
    "ground_truth": "ground truth, ",
    "floor": "mean colour, ",
    "ceiling": "true warp, ",
}


def latex_table(table: Table) -> str:
    """Write the figures of a test: all samples and the types down, figures across; intervals are left to the report.

    Rows of the ground truth, the floor and the ceiling in place of the generated image come last, each below a line.
    """
    header = ["", *map(_title, table["columns"])]
    blocks = [
        [
            [
                f"{PREFIXES[source]}{row['name']}",
                *(_number(row["cells"].get(column["name"])) for column in table["columns"]),
            ]
            for row in table["rows"]
            if row["of"] == source
        ]
        for source in SOURCES
    ]
    return latex_tabular(header, [block for block in blocks if block])


def latex_tabular(header: Sequence[str], blocks: Sequence[Sequence[Sequence[str]]]) -> str:
    """Lay out blocks of rows with a line between them.

    Args:
        header: LaTeX, taken as it is.
        blocks: Rows whose first entry is a name, which is escaped; the others are taken as they are.
    """
    lines = [r"\begin{tabular}{l" + "r" * (len(header) - 1) + "}", r"\toprule", " & ".join(header) + r" \\"]
    for block in blocks:
        lines += [r"\midrule", *(" & ".join([escape(name), *cells]) + r" \\" for name, *cells in block)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def escape(text: str) -> str:
    """Text with LaTeX's special characters written out."""
    return "".join(SPECIAL.get(character, character) for character in text)


def _title(column: TableColumn) -> str:
    arrow = r"\uparrow" if column["higher_is_better"] else r"\downarrow"
    return f"{escape(column['name'])} ${arrow}$"


def _number(interval: Sequence[float] | None) -> str:
    return ABSENT if interval is None else format_number(interval[0])
