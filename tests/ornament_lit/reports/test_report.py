"""Reports: what is written is read again, and says what was measured."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from ornament_lit.metrics import FID
from ornament_lit.metrics.bootstrap import Resampling
from ornament_lit.metrics.measured import FeatureSets, SampleScores
from ornament_lit.reports import Report, read_report, write_report
from ornament_lit.reports.latex import escape
from ornament_lit.reports.numbers import format_interval, format_number

KEYS = [f"s{number}" for number in range(8)]
TYPES = ["ring", "bracelet"] * 4
PROTOCOL = {"checkpoint": {"sha256": "abc", "step": 7}, "data": {"n": 8, "box_growth": [0.1, 0.25]}}


@pytest.fixture
def report() -> Report:
    """Eight samples: LPIPS of 0.1 to 0.8 (one of them unknown), CLIP-I with its ground truth, and features."""
    lpips = [0.1 * number for number in range(1, 8)] + [math.nan]
    scores = SampleScores(KEYS, TYPES, {"lpips": lpips}, {}, higher_is_better=False)
    clip = SampleScores(KEYS, TYPES, {"clip_i": [60.0] * 8}, {"clip_i": [80.0] * 8}, higher_is_better=True)
    features = np.random.default_rng(0).normal(size=(2, 8, 4)).astype(np.float32)
    return Report(
        PROTOCOL, [scores, clip, FeatureSets(KEYS, TYPES, "fid", *features, FID.distance)], Resampling(100, 10)
    )


def test_what_is_written_is_read_again(report: Report, tmp_path: Path) -> None:
    write_report(tmp_path / "deep" / "folder", report)
    again = read_report(tmp_path / "deep" / "folder")
    assert again.protocol == PROTOCOL and again.resampling == report.resampling
    assert json.dumps(again.table()) == json.dumps(report.table())
    assert read_report(tmp_path / "deep" / "folder" / "report.json").measured[0].keys == tuple(KEYS)
    assert sorted(path.name for path in (tmp_path / "deep" / "folder").iterdir()) == [
        "features_fid.safetensors",
        "report.json",
        "report.md",
        "report.tex",
    ]


def test_the_markdown_begins_with_the_protocol(report: Report, tmp_path: Path) -> None:
    write_report(tmp_path, report, {"samples.png": "Best and worst"})
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert (
        text.index("| checkpoint | sha256 | abc |")
        < text.index("## Figures")
        < text.index("![Best and worst](samples.png)")
    )
    assert "| data | box_growth | [0.1, 0.25] |" in text
    assert "| lpips ↓ | 0.4000 [" in text and "overall (n = 8)" in text and "bracelet (n = 4)" in text
    assert "| clip_i ↑, ground truth in place of the generated image | 80.00 [80.00, 80.00] |" in text


def test_the_latex_has_types_and_truth_below_a_line(report: Report, tmp_path: Path) -> None:
    write_report(tmp_path, report)
    lines = (tmp_path / "report.tex").read_text(encoding="utf-8").splitlines()
    assert lines[2].startswith(r" & lpips $\downarrow$ & clip\_i $\uparrow$ & fid $\downarrow$")
    assert lines[4].startswith("overall & 0.4000 & 60.00 & ")
    assert lines.index(r"\midrule", 4) == lines.index(r"ground truth, overall & - & 80.00 & - \\") - 1


@pytest.fixture
def bounded() -> Report:
    """PSNR that is between floor and ceiling, retrieval without a ceiling, and a figure without either."""
    bounds = {"floor": {"psnr": [10.0] * 8}, "ceiling": {"psnr": [30.0] * 8}}
    psnr = SampleScores(KEYS, TYPES, {"psnr": [20.0] * 8}, {}, True, bounds)  # type: ignore[arg-type]
    found = SampleScores(KEYS, TYPES, {"found": [1.0] * 8}, {}, True, {"floor": {"found": [0.5] * 8}})
    return Report(PROTOCOL, [psnr, found, SampleScores(KEYS, TYPES, {"other": [0.0] * 8}, {}, True)])


def test_floor_and_ceiling_stand_beside_the_figure(bounded: Report, tmp_path: Path) -> None:
    write_report(tmp_path, bounded)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    section = text[text.index("## Between floor and ceiling") :]
    assert "|  | overall (n = 8) | bracelet (n = 4) | ring (n = 4) |" in section
    assert f"| psnr ↑ |{' 10.00 / 20.00 / 30.00 |' * 3}" in section
    assert f"| found ↑ |{' 0.5000 / 1.000 / - |' * 3}" in section
    assert "| other" not in section
    lines = (tmp_path / "report.tex").read_text(encoding="utf-8").splitlines()
    assert r"mean colour, overall & 10.00 & 0.5000 & - \\" in lines
    assert r"true warp, ring & 30.00 & - & - \\" in lines
    assert json.dumps(read_report(tmp_path).table()) == json.dumps(bounded.table())


def test_without_bounds_there_is_no_such_section(report: Report, tmp_path: Path) -> None:
    write_report(tmp_path, report)
    assert "floor" not in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_older_reports_have_no_bounds_and_are_read(bounded: Report, tmp_path: Path) -> None:
    write_report(tmp_path, bounded)
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    for entry in document["measured"]:
        del entry["bounds"]
    (tmp_path / "report.json").write_text(json.dumps(document), encoding="utf-8")
    rows = read_report(tmp_path).table()["rows"]
    assert [(row["name"], row["of"]) for row in rows] == [
        (name, "generated") for name in ("overall", "bracelet", "ring")
    ]


def test_nothing_but_finite_numbers_is_in_the_json(report: Report, tmp_path: Path) -> None:
    write_report(tmp_path, report)

    def refuse(word: str) -> None:
        raise AssertionError(word)

    json.loads((tmp_path / "report.json").read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"format": "other"}', '{"format": "ornament_lit-report/1"}'])
def test_what_is_no_report_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "report.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"report.json is not a report"):
        read_report(tmp_path)


def test_a_report_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no report"):
        read_report(tmp_path)


def test_features_that_were_cut_off_are_told(report: Report, tmp_path: Path) -> None:
    write_report(tmp_path, report)
    (tmp_path / "features_fid.safetensors").write_bytes(b"1234567890")
    with pytest.raises(ValueError, match="damaged"):
        read_report(tmp_path)


@pytest.mark.parametrize(
    ("value", "text"),
    [(123.456, "123.5"), (88.7, "88.70"), (1.2345, "1.234"), (0.05934, "0.0593"), (-0.5, "-0.5000"), (math.nan, "-")],
)
def test_four_digits(value: float, text: str) -> None:
    assert format_number(value) == text


def test_ends_have_the_decimals_of_the_figure() -> None:
    scores = SampleScores(["a", "b"], ["ring"] * 2, {"x": [0.5, 30.0]}, {}, True)
    assert format_interval(scores.interval("x", scores.rows())) == "15.25 [0.50, 30.00]"


def test_special_characters_of_latex() -> None:
    assert escape(r"a_b & 5 % {x} \ ~") == r"a\_b \& 5 \% \{x\} \textbackslash{} \textasciitilde{}"
