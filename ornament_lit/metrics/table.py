"""The table of a test as plain data: rows for all samples and each type, columns for figures with their intervals."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, TypedDict, get_args

from ornament_lit.metrics.bootstrap import DEFAULT, Interval, Resampling, Rows
from ornament_lit.metrics.measured import Measured
from ornament_lit.utils.categories import CATEGORIES

OVERALL = "overall"
Source = Literal["generated", "ground_truth", "floor", "ceiling"]
SOURCES: tuple[Source, ...] = get_args(Source)


class TableColumn(TypedDict):
    """A column: its name, and whether larger figures are better."""

    name: str
    higher_is_better: bool


class TableRow(TypedDict):
    """A row.

    Attributes:
        name: ``overall`` or a type of ornament.
        of: What is measured: the ``generated`` image; or in its place the ``ground_truth``, what a perfect image would
            reach, the ``floor`` or the ``ceiling``.
        n: Number of samples.
        cells: Figure by column; columns that say nothing here are absent.
    """

    name: str
    of: Source
    n: int
    cells: dict[str, Interval]


class Table(TypedDict):
    """A table; JSON can hold it (not-a-number apart)."""

    columns: list[TableColumn]
    rows: list[TableRow]
    resampling: dict[str, float]


def tabulate(measured: Sequence[Measured], resampling: Resampling = DEFAULT) -> Table:
    """Make the table of what was measured on one set of samples.

    Args:
        measured: What ``compute`` of each metric gave.
        resampling: How the intervals are made.

    Returns:
        Columns in the order of the metrics. Rows: all samples, each type that occurs (if there are several), then the
        same rows for the ground truth, the floor and the ceiling in place of the generated image, as far as a metric
        has figures of them.

    Raises:
        ValueError: If two columns have the same name, or the metrics saw different samples.
    """
    columns = [TableColumn(name=name, higher_is_better=m.higher_is_better) for m in measured for name in m.columns]
    twice = [name for name, count in Counter(column["name"] for column in columns).items() if count > 1]
    if twice:
        raise ValueError(f"two metrics have a column {twice[0]!r}; give one of them another name (option name)")
    if len({frozenset(m.keys) for m in measured}) > 1:
        raise ValueError("the metrics saw different samples, so that they make no table")
    found = {category for m in measured for category in m.categories}
    types = [category for category in CATEGORIES if category in found]
    groups = [None, *types] if len(types) > 1 else [None]
    rows = [_row(measured, group, resampling, source) for source in SOURCES for group in groups]
    return Table(columns=columns, rows=[row for row in rows if row["cells"]], resampling=resampling._asdict())


def _row(measured: Sequence[Measured], category: str | None, resampling: Resampling, source: Source) -> TableRow:
    cells: dict[str, Interval] = {}
    for one in measured:
        rows = one.rows(category)
        for column in one.columns:
            interval = _interval(one, source, column, rows, resampling)
            if interval is not None:
                cells[column] = interval
    n = len(measured[0].rows(category)) if measured else 0
    return TableRow(name=category or OVERALL, of=source, n=n, cells=cells)


def _interval(one: Measured, source: Source, column: str, rows: Rows, resampling: Resampling) -> Interval | None:
    if source == "generated":
        return one.interval(column, rows, resampling)
    if source == "ground_truth":
        return one.ground_truth_interval(column, rows, resampling)
    return one.bound_interval(source, column, rows, resampling)
