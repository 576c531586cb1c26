"""Paired differences, and scores as JSON."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from ornament_lit.metrics.bootstrap import Resampling
from ornament_lit.metrics.kid import kernel_distance
from ornament_lit.metrics.measured import FeatureSets, SampleScores, paired_difference, paired_distance_difference


def test_pairing_takes_the_differences_between_samples_away(scores: Callable[..., SampleScores]) -> None:
    easy = {f"k{number}": float(number) for number in range(100)}
    first, second = scores(easy), scores({key: value + 0.5 for key, value in reversed(easy.items())})
    difference = paired_difference(first, second, "x")
    assert difference == pytest.approx((0.5, 0.5, 0.5, 100))
    assert paired_difference(second, first, "x").value == pytest.approx(-0.5)


def test_only_common_samples_and_one_type(scores: Callable[..., SampleScores]) -> None:
    first = scores({"a": 1.0, "b": 2.0, "c": np.nan})
    second = SampleScores(["c", "b", "a", "d"], ["ring", "ring", "necklace", "ring"], {"x": [1, 5, 2, 9]}, {}, True)
    assert paired_difference(first, second, "x")[::3] == (2.0, 2)
    assert paired_difference(first, second, "x", "ring")[::3] == (3.0, 1)


def test_runs_that_cannot_be_compared(scores: Callable[..., SampleScores]) -> None:
    with pytest.raises(ValueError, match="no sample in common"):
        paired_difference(scores({"a": 1.0}), scores({"b": 1.0}), "x")
    with pytest.raises(ValueError, match="both runs need the column 'y'; one has x"):
        paired_difference(scores({"a": 1.0}), scores({"a": 1.0}), "y")


def test_json_and_back() -> None:
    scores = SampleScores(["a", "b"], ["ring", "necklace"], {"x": [1.5, np.nan]}, {"x": [0.5, 1.0]}, False)
    text = json.dumps(scores.to_dict(), allow_nan=False)
    again = SampleScores.from_dict(json.loads(text))
    assert (again.keys, again.categories, again.columns) == (scores.keys, scores.categories, scores.columns)
    assert (again.values["x"][0], np.isnan(again.values["x"][1])) == (1.5, True)
    assert (again.ground_truth["x"].tolist(), again.higher_is_better) == ([0.5, 1.0], False)


def test_distances_of_two_runs_are_paired() -> None:
    generator = np.random.default_rng(0)
    truth = generator.normal(size=(60, 4))
    runs = [truth + shift + 0.1 * generator.normal(size=truth.shape) for shift in (1.0, 0.2)]
    keys, types = [f"k{number}" for number in range(60)], ["ring", "necklace"] * 30
    first = FeatureSets(keys, types, "kid", runs[0], truth, kernel_distance)
    second = FeatureSets(keys[::-1], types[::-1], "kid", runs[1][::-1], truth[::-1], kernel_distance)
    difference = paired_distance_difference(first, second, resampling=Resampling(halves=50))
    assert difference.value == pytest.approx(kernel_distance(runs[1], truth) - kernel_distance(runs[0], truth))
    assert difference.low < difference.value < difference.high < 0
    assert paired_distance_difference(first, second, "ring").n == 30
    other = FeatureSets(keys, types, "fid", runs[0], truth, kernel_distance)
    with pytest.raises(ValueError, match="same distance, got kid and fid"):
        paired_distance_difference(first, other)
