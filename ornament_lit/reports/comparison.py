"""Two reports side by side: differences of the same samples, with paired intervals."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ornament_lit.metrics.bootstrap import DEFAULT, Interval, Resampling
from ornament_lit.metrics.measured import (
    FeatureSets,
    Measured,
    SampleScores,
    paired_difference,
    paired_distance_difference,
)
from ornament_lit.metrics.table import OVERALL
from ornament_lit.reports.markdown import markdown_table
from ornament_lit.reports.numbers import format_interval, format_number
from ornament_lit.reports.report import Report
from ornament_lit.utils.categories import CATEGORIES

EXPECTED_TO_DIFFER = ("checkpoint",)
HEADER = ("figure", "type", "n", "first", "second", "second - first", "better")


class Difference(NamedTuple):
    """A figure of two reports over the samples that both have.

    Attributes:
        column: Name of the figure.
        group: ``overall`` or a type of ornament.
        first: The figure in the first report, over all of its samples.
        second: The figure in the second.
        change: Second less first over the common samples, with its paired interval.
        better: The report that is better beyond the interval, ``first`` or ``second``; empty where neither is.
    """

    column: str
    group: str
    first: float
    second: float
    change: Interval
    better: str


def compare_reports(first: Report, second: Report, resampling: Resampling = DEFAULT) -> list[Difference]:
    """Compare all figures that two reports have in common, overall and for each type.

    Args:
        first: A report.
        second: Another one, of some of the same samples.
        resampling: How the intervals are made.

    Raises:
        ValueError: If they have no figure or no sample in common.
    """
    found = [difference for pair in _pairs(first, second) for difference in _differences(*pair, resampling)]
    if not found:
        raise ValueError("the reports have no figure in common; measure both with the same metrics")
    return found


def protocol_differences(first: Report, second: Report) -> list[str]:
    """Say what differs between two protocols, but for the model: whether the figures can be compared at all."""
    one, other = (dict(_flat(report.protocol)) for report in (first, second))
    names = [name for name in one | other if name.partition(".")[0] not in EXPECTED_TO_DIFFER]
    return [f"{name}: {one.get(name)} and {other.get(name)}" for name in names if one.get(name) != other.get(name)]


def comparison_rows(differences: list[Difference]) -> list[list[str]]:
    """Texts of :data:`HEADER` for each difference."""
    return [
        [
            difference.column,
            difference.group,
            str(difference.change.n),
            *(format_number(value) for value in (difference.first, difference.second)),
            format_interval(difference.change),
            difference.better or "neither",
        ]
        for difference in differences
    ]


def markdown_comparison(differences: list[Difference]) -> str:
    """A table of differences."""
    return markdown_table(HEADER, comparison_rows(differences))


def _pairs(first: Report, second: Report) -> Iterator[tuple[Measured, Measured, str]]:
    by_column = {column: one for one in second.measured for column in one.columns}
    for one in first.measured:
        for column in one.columns:
            other = by_column.get(column)
            if other is not None and type(one) is type(other):
                yield one, other, column


def _differences(one: Measured, other: Measured, column: str, resampling: Resampling) -> Iterator[Difference]:
    types = [name for name in CATEGORIES if name in one.categories and name in other.categories]
    for category in [None, *types] if len(types) > 1 else [None]:
        if isinstance(one, FeatureSets) and isinstance(other, FeatureSets):
            change = paired_distance_difference(one, other, category, resampling)
        else:
            assert isinstance(one, SampleScores) and isinstance(other, SampleScores)
            change = paired_difference(one, other, column, category, resampling)
        alone = resampling._replace(halves=0)
        before, after = (scores.interval(column, scores.rows(category), alone).value for scores in (one, other))
        yield Difference(column, category or OVERALL, before, after, change, _better(change, one.higher_is_better))


def _better(change: Interval, higher_is_better: bool) -> str:
    if math.isnan(change.low) or change.low <= 0 <= change.high:
        return ""
    return "second" if (change.value > 0) == higher_is_better else "first"


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    if isinstance(value, list):
        value = dict(enumerate(value, start=1))
    if not isinstance(value, Mapping):
        yield name, value
        return
    for key, entry in value.items():
        yield from _flat(entry, f"{name}.{key}" if name else str(key))
