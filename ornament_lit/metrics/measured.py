"""What a metric hands over: the values of each sample, or features of each, from which any average can be made.

Shape legend: n samples, D feature channels.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from ornament_lit.metrics.bootstrap import (
    DEFAULT,
    Floats,
    Interval,
    Resampling,
    Rows,
    half_sample_interval,
    mean_interval,
)

BoundName = Literal["floor", "ceiling"]
BOUNDS: tuple[BoundName, ...] = get_args(BoundName)


class Measured(ABC):
    """Samples, and what can be said of any set of them.

    Attributes:
        keys: Unique name of each sample, (n,).
        categories: Type of the ornament of each, (n,).
        columns: Name of each figure.
        higher_is_better: Whether a larger figure is a better one.
    """

    def __init__(
        self, keys: Sequence[str], categories: Sequence[str], columns: Sequence[str], higher_is_better: bool
    ) -> None:
        self.keys = tuple(keys)
        self.categories = tuple(categories)
        self.columns = tuple(columns)
        self.higher_is_better = higher_is_better

    @abstractmethod
    def interval(self, column: str, rows: Rows, resampling: Resampling = DEFAULT) -> Interval:
        """Figure over some samples, with its interval of confidence.

        Args:
            column: One of ``columns``.
            rows: Numbers of the samples.
            resampling: How the interval is made.
        """

    def ground_truth_interval(self, column: str, rows: Rows, resampling: Resampling = DEFAULT) -> Interval | None:
        """The same figure with the ground truth in place of the generated image; None where it says nothing."""
        return None

    def bound_interval(
        self, bound: BoundName, column: str, rows: Rows, resampling: Resampling = DEFAULT
    ) -> Interval | None:
        """The same figure with the floor or the ceiling in place of the generated image; None where it says nothing."""
        return None

    def rows(self, category: str | None = None) -> Rows:
        """Numbers of the samples of a type, or of all."""
        return np.array([row for row, name in enumerate(self.categories) if category in (None, name)], dtype=np.intp)


class SampleScores(Measured):
    """Values of each sample.

    Args:
        keys: Unique name of each sample.
        categories: Type of the ornament of each.
        values: (n,) by column; not a number where nothing could be measured.
        ground_truth: The same for the ground truth in place of the generated image, for the columns where that says
            something.
        higher_is_better: Whether a larger value is a better one.
        bounds: As ``ground_truth``, by bound, for the floor and the ceiling in place of the generated image.
    """

    def __init__(
        self,
        keys: Sequence[str],
        categories: Sequence[str],
        values: Mapping[str, Sequence[float] | Floats],
        ground_truth: Mapping[str, Sequence[float] | Floats],
        higher_is_better: bool,
        bounds: Mapping[BoundName, Mapping[str, Sequence[float] | Floats]] | None = None,
    ) -> None:
        super().__init__(keys, categories, tuple(values), higher_is_better)
        self.values, self.ground_truth = _arrays(values), _arrays(ground_truth)
        self.bounds = {name: _arrays(columns) for name, columns in (bounds or {}).items() if columns}

    def interval(self, column: str, rows: Rows, resampling: Resampling = DEFAULT) -> Interval:
        """Mean over some samples, with its percentile bootstrap interval."""
        return mean_interval(self.values[column][rows], resampling)

    def ground_truth_interval(self, column: str, rows: Rows, resampling: Resampling = DEFAULT) -> Interval | None:
        """The same mean for the ground truth in place of the generated image; None where it says nothing."""
        return mean_interval(self.ground_truth[column][rows], resampling) if column in self.ground_truth else None

    def bound_interval(
        self, bound: BoundName, column: str, rows: Rows, resampling: Resampling = DEFAULT
    ) -> Interval | None:
        """The same mean for the floor or the ceiling in place of the generated image; None where it says nothing."""
        found = self.bounds.get(bound, {})
        return mean_interval(found[column][rows], resampling) if column in found else None

    def to_dict(self) -> dict[str, Any]:
        """As a structure that JSON can hold, for :meth:`from_dict`; None where nothing could be measured."""
        return {
            "keys": list(self.keys),
            "categories": list(self.categories),
            "values": _lists(self.values),
            "ground_truth": _lists(self.ground_truth),
            "higher_is_better": self.higher_is_better,
            "bounds": {name: _lists(columns) for name, columns in self.bounds.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "SampleScores":
        """Read what :meth:`to_dict` wrote; reports from before there were bounds have none."""
        keys, categories, values, ground_truth = (
            data[name] for name in ("keys", "categories", "values", "ground_truth")
        )
        return cls(keys, categories, values, ground_truth, data["higher_is_better"], data.get("bounds"))


class FeatureSets(Measured):
    """Features of generated images and of the ground truth, compared as distributions.

    Args:
        keys: Unique name of each sample.
        categories: Type of the ornament of each.
        column: Name of the distance.
        generated: Features of the generated images, (n, D).
        ground_truth: Features of the ground truth, (n, D).
        distance: Function of two (m, D) arrays, m at least 2, that says how far apart they are.
    """

    def __init__(
        self,
        keys: Sequence[str],
        categories: Sequence[str],
        column: str,
        generated: Floats,
        ground_truth: Floats,
        distance: Callable[[Floats, Floats], float],
    ) -> None:
        super().__init__(keys, categories, (column,), higher_is_better=False)
        self.generated, self.ground_truth, self.distance = generated, ground_truth, distance

    def interval(self, column: str, rows: Rows, resampling: Resampling = DEFAULT) -> Interval:
        """Distance over some samples; its interval, if ``resampling.halves`` asks for one, is from random halves."""

        def distance(picked: Rows) -> float:
            return self.distance(self.generated[rows[picked]], self.ground_truth[rows[picked]])

        return half_sample_interval(distance, len(rows), resampling)


def paired_difference(
    first: SampleScores,
    second: SampleScores,
    column: str,
    category: str | None = None,
    resampling: Resampling = DEFAULT,
) -> Interval:
    """Mean of (second - first) over the samples that both have, with its paired bootstrap interval.

    Args:
        first: Scores of one run.
        second: Scores of the other.
        column: A column of both.
        category: Type of the ornament; None for all.
        resampling: How the interval is made.

    Returns:
        The difference; its ``n`` says how many samples are common to both.

    Raises:
        ValueError: If the column is not in both, or they have no sample in common.
    """
    for scores in (first, second):
        if column not in scores.values:
            raise ValueError(f"both runs need the column {column!r}; one has {', '.join(scores.columns) or 'none'}")
    pairs = _common(first, second, category)
    return mean_interval(second.values[column][pairs[:, 1]] - first.values[column][pairs[:, 0]], resampling)


def paired_distance_difference(
    first: FeatureSets, second: FeatureSets, category: str | None = None, resampling: Resampling = DEFAULT
) -> Interval:
    """Distance of the second run less that of the first, over the samples that both have.

    Args:
        first: Features of one run.
        second: Features of the other, of the same encoder.
        category: Type of the ornament; None for all.
        resampling: How the interval is made: both runs lose the same half of the samples each time.

    Returns:
        The difference; its ``n`` says how many samples are common to both.

    Raises:
        ValueError: If they measure different distances, or have no sample in common.
    """
    if first.columns != second.columns:
        raise ValueError(f"both runs need the same distance, got {first.columns[0]} and {second.columns[0]}")
    pairs = _common(first, second, category)

    def difference(picked: Rows) -> float:
        before, after = pairs[picked].T
        return second.distance(second.generated[after], second.ground_truth[after]) - first.distance(
            first.generated[before], first.ground_truth[before]
        )

    return half_sample_interval(difference, len(pairs), resampling)


def _common(first: Measured, second: Measured, category: str | None) -> Rows:
    """Numbers of the common samples in the first and in the second, (n, 2)."""
    before = {key: row for row, key in enumerate(first.keys)}
    pairs = [(before[second.keys[row]], row) for row in second.rows(category) if second.keys[row] in before]
    if not pairs:
        raise ValueError("the runs have no sample in common, so that they cannot be compared sample by sample")
    return np.array(pairs, dtype=np.intp)


def _arrays(columns: Mapping[str, Sequence[float] | Floats]) -> dict[str, Floats]:
    return {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}


def _lists(columns: Mapping[str, Floats]) -> dict[str, list[float | None]]:
    return {name: [None if np.isnan(value) else float(value) for value in column] for name, column in columns.items()}
