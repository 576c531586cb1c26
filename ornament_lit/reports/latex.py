"""Figures as a LaTeX table (package booktabs)."""

from collections.abc import Sequence

from ornament_lit.metrics.table import Table, TableColumn
from ornament_lit.reports.numbers import ABSENT, format_number

SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    character: f"\\{character}" for character in "&%$#_{}"
}


def latex_table(table: Table) -> str:
    """Write the figures of a test: all samples and the types down, figures across; intervals are left to the report.

    Rows of the ground truth in place of the drawing come last, below a line.
    """
    header = ["", *map(_title, table["columns"])]
    blocks = [
        [
            [row["name"], *(_number(row["cells"].get(column["name"])) for column in table["columns"])]
            for row in table["rows"]
            if row["of_truth"] == of_truth
        ]
        for of_truth in (False, True)
    ]
    blocks[1] = [[f"ground truth, {name}", *cells] for name, *cells in blocks[1]]
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
