"""The table: rows, columns, and the row of the ground truth."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from ornament_lit.metrics.bootstrap import Resampling
from ornament_lit.metrics.measured import FeatureSets, SampleScores
from ornament_lit.metrics.table import tabulate

KEYS, TYPES = ["a", "b", "c"], ["ring", "necklace", "ring"]


def similarities() -> SampleScores:
    values = {"clip_i": [80.0, 90.0, 100.0], "clip_i_reference": [50.0, 60.0, 70.0]}
    return SampleScores(KEYS, TYPES, values, {"clip_i_reference": [60.0, 60.0, 66.0]}, True)


def distances() -> FeatureSets:
    features = np.array([[0.0], [1.0], [2.0]])
    return FeatureSets(KEYS, TYPES, "fid", features, features + 3, lambda x, y: float((y - x).mean()))


def test_rows_and_columns() -> None:
    table = tabulate([similarities(), distances()], Resampling(resamples=100))
    assert [(row["name"], row["of"], row["n"]) for row in table["rows"]] == [
        ("overall", "generated", 3),
        ("ring", "generated", 2),
        ("necklace", "generated", 1),
        ("overall", "ground_truth", 3),
        ("ring", "ground_truth", 2),
        ("necklace", "ground_truth", 1),
    ]
    assert [tuple(column.values()) for column in table["columns"]] == [
        ("clip_i", True),
        ("clip_i_reference", True),
        ("fid", False),
    ]
    values = [{name: cell.value for name, cell in row["cells"].items()} for row in table["rows"]]
    assert values[0] == {"clip_i": 90.0, "clip_i_reference": 60.0, "fid": 3.0}
    assert values[1] == {"clip_i": 90.0, "clip_i_reference": 60.0, "fid": 3.0}
    assert values[3:] == [{"clip_i_reference": 62.0}, {"clip_i_reference": 63.0}, {"clip_i_reference": 60.0}]
    ring = table["rows"][1]["cells"]["clip_i"]
    assert (ring.low, ring.high, ring.n) == (80.0, 100.0, 2)
    assert np.isnan(values[2]["fid"])
    assert json.loads(json.dumps(table))["resampling"]["resamples"] == 100


def test_one_type_needs_no_rows_of_types() -> None:
    scores = SampleScores(["a"], ["ring"], {"x": [1.0]}, {}, True)
    assert [row["name"] for row in tabulate([scores])["rows"]] == ["overall"]


def test_columns_need_names_of_their_own() -> None:
    with pytest.raises(ValueError, match="two metrics have a column 'clip_i'"):
        tabulate([similarities(), similarities()])


def test_other_samples_make_no_table(scores: Callable[..., SampleScores]) -> None:
    with pytest.raises(ValueError, match="different samples"):
        tabulate([similarities(), scores({"a": 1.0})])
