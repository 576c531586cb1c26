"""Two reports side by side, against figures known by hand."""

import numpy as np
import pytest

from ornament_lit.metrics import KID
from ornament_lit.metrics.bootstrap import Resampling
from ornament_lit.metrics.measured import FeatureSets, SampleScores
from ornament_lit.reports import Report, compare_reports
from ornament_lit.reports.comparison import markdown_comparison, protocol_differences

GENERATOR = np.random.default_rng(0)
KEYS = [f"s{number}" for number in range(40)]
TYPES = ["ring", "earring"] * 20


def scores(values: np.ndarray, higher_is_better: bool, keys: list[str] = KEYS, name: str = "x") -> Report:
    measured = SampleScores(keys, TYPES[: len(keys)], {name: values}, {}, higher_is_better)
    return Report({"checkpoint": {"sha256": "1"}, "data": {"checksum": "a", "n": len(keys)}}, [measured])


def test_a_small_change_of_every_sample_is_found_below_large_differences_between_samples() -> None:
    values = GENERATOR.normal(scale=10.0, size=40)
    shifted = values + 0.5 + GENERATOR.normal(scale=0.1, size=40)
    for higher_is_better, better in ((True, "second"), (False, "first")):
        overall, *types = compare_reports(scores(values, higher_is_better), scores(shifted, higher_is_better))
        assert overall.change.value == pytest.approx((shifted - values).mean())
        assert overall.better == better and overall.first == pytest.approx(values.mean())
        assert [(one.group, one.change.n) for one in types] == [("ring", 20), ("earring", 20)]


def test_noise_is_no_difference() -> None:
    values = GENERATOR.normal(size=40)
    noise = GENERATOR.normal(size=40)
    (overall, *_) = compare_reports(scores(values, True), scores(values + noise - noise.mean(), True))
    assert overall.better == ""


def test_only_common_samples_are_compared() -> None:
    first, second = scores(np.arange(40.0), True), scores(np.arange(10.0, 30.0), True, KEYS[10:30])
    overall = compare_reports(first, second)[0]
    assert overall.change == (0, 0, 0, 20) and overall.first == 19.5 and overall.second == 19.5


def test_distances_of_features() -> None:
    features = GENERATOR.normal(size=(40, 3))
    reports = [
        Report({}, [FeatureSets(KEYS, TYPES, "kid", features + shift, features, KID.distance)]) for shift in (0.0, 2.0)
    ]
    overall = compare_reports(*reports, Resampling(halves=20))[0]
    assert overall.change.value > 0 and overall.better == "first"


def test_nothing_in_common() -> None:
    with pytest.raises(ValueError, match="no figure in common"):
        compare_reports(scores(np.zeros(40), True), scores(np.zeros(40), True, name="y"))
    with pytest.raises(ValueError, match="no sample in common"):
        compare_reports(scores(np.zeros(20), True, KEYS[:20]), scores(np.zeros(20), True, KEYS[20:]))


def test_protocols_may_differ_in_the_checkpoint_alone() -> None:
    first, second = scores(np.zeros(40), True), scores(np.zeros(20), True, KEYS[:20])
    first.protocol["checkpoint"]["sha256"] = "2"
    assert protocol_differences(first, second) == ["data.n: 40 and 20"]
    assert protocol_differences(first, first) == []


def test_as_markdown() -> None:
    text = markdown_comparison(compare_reports(scores(np.zeros(40), True), scores(np.ones(40), True)))
    assert "| x | overall | 40 | 0.0000 | 1.000 | 1.000 [1.000, 1.000] | second |" in text
