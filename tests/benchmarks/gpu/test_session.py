"""The dry run of benchmarks/gpu/run.sh, whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.session import FILES, MIB, MIB_EACH, parse

ROOT = Path(__file__).resolve().parents[3]


def test_options() -> None:
    options = parse(["--minutes", "5", "--parts", "bench,train", "--dry-run"])
    assert options.minutes == 5 and options.parts == ["bench", "train"] and options.dry_run
    for words in (["--parts", "trian"], ["--minutes", "0"]):
        with pytest.raises(SystemExit):
            parse(words)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_dry_run_leaves_all_results(tmp_path: Path) -> None:
    words = ["benchmarks/gpu/run.sh", "--dry-run", "--minutes", "25", "--out", str(tmp_path)]
    environment = {**os.environ, "PYTHON": sys.executable, "WHEELS": str(tmp_path / "none")}
    ended = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    files = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert len(files) <= FILES and max(files.values()) <= MIB_EACH * MIB
    names = {"machine.json", "small.ckpt", "curve.json", "report.png", "report.md", "bench.json", "comparisons.json"}
    assert files.keys() == names
    curve = json.loads((tmp_path / "curve.json").read_text())
    assert len(curve["curves"]["train/loss"]["value"]) == 3 and "iou" in curve["result"]
    assert [one["status"] for one in json.loads((tmp_path / "comparisons.json").read_text())] == ["done", "done"]
