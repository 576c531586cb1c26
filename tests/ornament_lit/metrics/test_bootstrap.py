"""Intervals against known answers: coverage, the normal approximation, pairing."""

import math

import numpy as np
import pytest

from ornament_lit.metrics.bootstrap import Interval, Resampling, half_sample_interval, mean_interval


def test_mean_and_nearly_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, size=4000)
    interval = mean_interval(values)
    error = 1.96 * values.std() / math.sqrt(4000)
    assert interval.value == pytest.approx(values.mean())
    assert (interval.low, interval.high) == pytest.approx(
        (values.mean() - error, values.mean() + error), abs=0.1 * error
    )
    assert interval.n == 4000


def test_coverage_is_what_is_promised() -> None:
    """Of 400 samples of 40 skewed values each, nine tenths of the intervals hold the true mean, nearly."""
    draws = np.random.default_rng(1).gamma(4.0, size=(400, 40))
    intervals = [mean_interval(values, Resampling(resamples=400, confidence=0.9)) for values in draws]
    assert 0.85 <= np.mean([interval.low <= 4.0 <= interval.high for interval in intervals]) <= 0.94


def test_the_seed_decides() -> None:
    values = np.random.default_rng(0).normal(size=50)
    assert mean_interval(values, Resampling(seed=1)) == mean_interval(values, Resampling(seed=1))
    assert mean_interval(values, Resampling(seed=1)).low != mean_interval(values, Resampling(seed=2)).low


def test_resamples_beyond_the_memory_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=50)
    whole = mean_interval(values)
    monkeypatch.setattr("ornament_lit.metrics.bootstrap.CHUNK", 170)  # three resamples at once
    assert mean_interval(values) == whole


def test_what_is_not_a_number_does_not_count() -> None:
    assert mean_interval(np.array([np.nan, 2.0, 2.0])) == Interval(2.0, 2.0, 2.0, 2)
    one, none = mean_interval(np.array([np.nan, 2.0])), mean_interval(np.array([np.nan]))
    assert (one.value, one.n, math.isnan(one.low)) == (2.0, 1, True)
    assert (math.isnan(none.value), none.n) == (True, 0)


def test_halves_give_the_spread_of_the_statistic() -> None:
    """For a mean, the spread over halves is the standard error; the estimate lies in the middle."""
    values = np.random.default_rng(0).normal(size=400)
    interval = half_sample_interval(lambda rows: float(values[rows].mean()), 400, Resampling(halves=1000))
    error = 1.96 * values.std() / 20
    assert interval.value == pytest.approx(values.mean())
    assert (interval.high - interval.low) / 2 == pytest.approx(error, rel=0.1)
    assert (interval.high + interval.low) / 2 == pytest.approx(values.mean(), abs=0.1 * error)


def test_halves_do_not_repeat_samples() -> None:
    sizes: list[int] = []

    def count(rows: np.ndarray) -> float:
        sizes.append(len(np.unique(rows)))
        return 0.0

    half_sample_interval(count, 11, Resampling(halves=3))
    assert sizes == [11, 5, 5, 5]


def test_without_halves_only_the_estimate() -> None:
    interval = half_sample_interval(lambda rows: float(len(rows)), 7)
    assert (interval.value, interval.n, math.isnan(interval.low)) == (7.0, 7, True)
    assert math.isnan(half_sample_interval(lambda rows: 0.0, 1).value)


@pytest.mark.parametrize("wrong", [Resampling(resamples=0), Resampling(halves=-1), Resampling(confidence=1.0)])
def test_wrong_numbers_say_the_rule(wrong: Resampling) -> None:
    with pytest.raises(ValueError, match="must be"):
        mean_interval(np.ones(3), wrong)
