"""The table of a study, against figures known by hand."""

import numpy as np
import pytest

from ornament_lit.metrics.bootstrap import Resampling, mean_interval, two_level_interval
from ornament_lit.metrics.measured import SampleScores
from ornament_lit.reports import Report
from ornament_lit.reports.study import latex_study, markdown_study, tabulate_study

KEYS = [f"s{number}" for number in range(30)]


def report(values: np.ndarray, order: int = 1, name: str = "psnr") -> Report:
    """A report whose samples may come in the other order."""
    columns = {name: values[::order], "iou": values[::order] / 100}
    return Report({}, [SampleScores(KEYS[::order], ["ring"] * 30, columns, {}, True)])


def test_seeds_and_samples_are_averaged_and_paired_by_key() -> None:
    generator = np.random.default_rng(0)
    base = [generator.normal(20, 5, size=30) for _ in range(3)]
    reports = {"full": [report(one) for one in base], "less": [report(one - 1, order=-1) for one in base]}
    table = tabulate_study(reports, ["psnr", "absent"])
    full, less = table["full"]["psnr"], table["less"]["psnr"]
    assert full.change is None and full.value.value == pytest.approx(np.mean(base))
    assert full.seeds == pytest.approx([one.mean() for one in base])
    assert less.change is not None and less.change[:3] == pytest.approx((-1.0, -1.0, -1.0))
    assert list(table["full"]) == ["psnr"]


def test_as_tables() -> None:
    values = np.linspace(10, 20, 30)
    table = tabulate_study({"full": [report(values)], "no_head": [report(values + 2)]}, ["psnr", "iou"])
    text = markdown_study("Ablation", table, ["psnr", "iou", "absent"])
    assert text.startswith("# Ablation") and "| no_head | **2.000 [2.000, 2.000]** |" in text and "absent" not in text
    assert r"no\_head & 17.00 & 0.1700 \\" in latex_study(table, ["psnr", "iou"])


def test_a_figure_that_one_variant_lacks() -> None:
    values = np.linspace(10, 20, 30)
    table = tabulate_study({"full": [report(values)], "other": [report(values, name="ssim")]}, ["psnr"])
    assert table["other"] == {} and "| other | - |" in markdown_study("S", table, ["psnr"])


def test_runs_that_differ_widen_the_interval() -> None:
    samples = np.random.default_rng(1).normal(size=200)
    alike, unlike = (samples + np.array([[0.0], [0.0], [0.0]]) + shift for shift in (0.0, [[-1.0], [0.0], [1.0]]))
    narrow, wide = (two_level_interval(values) for values in (alike, unlike))
    assert narrow.value == pytest.approx(wide.value)
    assert narrow.high - narrow.low == pytest.approx(2 * 1.96 * samples.std() / np.sqrt(200), rel=0.15)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


EFFECTS = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.3, 0.0, 1.0), (0.5, 1.0, 1.0), (0.1, 1.0, 1.0), (0.0, 0.0, 1.0)]


@pytest.mark.parametrize(("of_runs", "of_samples", "of_both"), EFFECTS)
def test_nothing_is_found_where_nothing_is(of_runs: float, of_samples: float, of_both: float) -> None:
    """Three seeds whose true difference is 0: an interval of 95 % leaves it out in at most 5 % of the studies."""
    generator = np.random.default_rng(3)
    shapes = ((2000, 3, 1), (2000, 1, 64), (2000, 3, 64))
    effects = zip((of_runs, of_samples, of_both), shapes, strict=True)
    studies = sum(size * generator.normal(size=shape) for size, shape in effects)
    intervals = [two_level_interval(study) for study in studies]
    found = np.mean([interval.low > 0 or interval.high < 0 for interval in intervals])
    assert found < 0.065
    if of_both == 0:
        assert found > 0.035, "and not in fewer, where one thing alone differs"


def test_an_interval_of_two_seeds_by_hand() -> None:
    """Seeds' means 1 and 3: 2 +- 12.706 x 1, their standard error; each sample has the mean 2."""
    interval = two_level_interval(np.array([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0]]))
    assert interval == pytest.approx((2.0, 2 - 12.7062, 2 + 12.7062, 3), abs=1e-3)


def test_one_seed_is_as_its_samples() -> None:
    values = np.random.default_rng(2).normal(size=50)
    assert two_level_interval(values[None]) == mean_interval(values)


def test_unknown_values_do_not_count() -> None:
    values = np.array([[1.0, np.nan, 3.0, np.nan], [1.0, 2.0, 3.0, np.nan]])
    interval = two_level_interval(values, Resampling(50))
    assert interval.value == pytest.approx(2.0) and interval.n == 3
    assert np.isnan(two_level_interval(np.full((2, 3), np.nan)).value)
