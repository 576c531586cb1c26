"""A study: variants, each trained with several seeds, in one table.

Shape legend: S seeds, n samples.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ornament_lit.metrics.bootstrap import DEFAULT, Floats, Interval, Resampling, two_level_interval
from ornament_lit.metrics.measured import SampleScores
from ornament_lit.reports.latex import escape, latex_tabular
from ornament_lit.reports.markdown import markdown_table
from ornament_lit.reports.numbers import ABSENT, format_interval, format_number
from ornament_lit.reports.report import Report

INTERVALS = (
    "In brackets intervals of confidence, for other seeds and other samples (Student's t, see docs/evaluation.md); "
    "with one seed, for other samples alone."
)


class StudyCell(NamedTuple):
    """A figure of a variant.

    Attributes:
        value: Mean over seeds and samples, with its interval.
        change: The same of the differences to the first variant; None for the first one itself.
        seeds: Mean over the samples for each seed, (S,).
        higher_is_better: Whether a larger value is a better one.
    """

    value: Interval
    change: Interval | None
    seeds: tuple[float, ...]
    higher_is_better: bool


StudyTable = dict[str, dict[str, StudyCell]]
"""Cells by variant and figure; figures that a variant has not are absent."""


def tabulate_study(
    reports: Mapping[str, Sequence[Report]], figures: Sequence[str], resampling: Resampling = DEFAULT
) -> StudyTable:
    """Make the table of a study.

    Args:
        reports: For each variant the reports of its seeds, in one order of seeds; all of the same test data.
        figures: Names of figures that have a value for each sample.
        resampling: How the intervals of seeds and samples are made, see :func:`two_level_interval`.
    """
    first = next(iter(reports))
    table: StudyTable = {variant: {} for variant in reports}
    for figure in figures:
        scores = {variant: _scores(found, figure) for variant, found in reports.items()}
        for variant, values in scores.items():
            if values is not None:
                table[variant][figure] = _cell(values, None if variant == first else scores[first], figure, resampling)
    return table


def markdown_study(title: str, table: StudyTable, figures: Sequence[str]) -> str:
    """Write a study: the figures, and their differences to the first variant."""
    known = _known(table, figures)
    first = next(iter(table))
    header = ["", *(f"{name} {_arrow(table, name)}" for name in known)]
    values = [[variant, *(_value(cells.get(name)) for name in known)] for variant, cells in table.items()]
    changes = [[v, *(_change(cells.get(name)) for name in known)] for v, cells in table.items() if v != first]
    seeds = [[variant, *(_seeds(cells.get(name)) for name in known)] for variant, cells in table.items()]
    parts = [f"# {title}", INTERVALS]
    parts += [markdown_table(header, values)]
    if changes:
        note = f"Differences to *{first}*, of the same samples; **bold** where the interval leaves 0 out."
        parts += [note, markdown_table(header, changes)]
    return "\n\n".join([*parts, "Each seed alone:", markdown_table(header, seeds), ""])


def latex_study(table: StudyTable, figures: Sequence[str]) -> str:
    """Write the figures of a study: variants down, figures across."""
    known = _known(table, figures)
    arrows = {"↑": r"$\uparrow$", "↓": r"$\downarrow$"}
    header = ["", *(f"{escape(name)} {arrows[_arrow(table, name)]}" for name in known)]
    rows = [[variant, *(_plain(cells.get(name)) for name in known)] for variant, cells in table.items()]
    return latex_tabular(header, [rows])


def _scores(reports: Sequence[Report], figure: str) -> list[SampleScores] | None:
    """The metric of each seed that has a figure; None where one has not."""
    found = [
        one for report in reports for one in report.measured if isinstance(one, SampleScores) and figure in one.columns
    ]
    return found if len(found) == len(reports) and found else None


def _cell(
    scores: list[SampleScores], others: list[SampleScores] | None, figure: str, resampling: Resampling
) -> StudyCell:
    keys = sorted(set.intersection(*(set(one.keys) for one in [*scores, *(others or [])])))
    values = _matrix(scores, figure, keys)
    change = None
    if others is not None and len(others) == len(scores):
        change = two_level_interval(values - _matrix(others, figure, keys), resampling)
    seeds = tuple(float(np.nanmean(row)) for row in values)
    return StudyCell(two_level_interval(values, resampling), change, seeds, scores[0].higher_is_better)


def _matrix(scores: list[SampleScores], figure: str, keys: list[str]) -> Floats:
    """Values of the samples, (S, n)."""
    rows = []
    for one in scores:
        places = {key: row for row, key in enumerate(one.keys)}
        rows.append(one.values[figure][[places[key] for key in keys]])
    return np.stack(rows)


def _known(table: StudyTable, figures: Sequence[str]) -> list[str]:
    return [name for name in figures if any(name in cells for cells in table.values())]


def _arrow(table: StudyTable, figure: str) -> str:
    cell = next(cells[figure] for cells in table.values() if figure in cells)
    return "↑" if cell.higher_is_better else "↓"


def _value(cell: StudyCell | None) -> str:
    return ABSENT if cell is None else format_interval(cell.value)


def _plain(cell: StudyCell | None) -> str:
    return ABSENT if cell is None else format_number(cell.value.value)


def _seeds(cell: StudyCell | None) -> str:
    return ABSENT if cell is None else ", ".join(format_number(value) for value in cell.seeds)


def _change(cell: StudyCell | None) -> str:
    if cell is None or cell.change is None:
        return ABSENT
    text = format_interval(cell.change)
    return f"**{text}**" if cell.change.low > 0 or cell.change.high < 0 else text
