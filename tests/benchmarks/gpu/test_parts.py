import os
import time
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.collect import slim
from benchmarks.gpu.parts import Part, clock, comparisons, run_part
from benchmarks.gpu.wheels import names


def run(tmp_path: Path, code: str, seconds: float):
    return run_part(Part("part", ["-c", code], seconds), tmp_path / "log", os.environ)


def test_a_part_that_ends_tells_what_it_printed(tmp_path: Path) -> None:
    outcome = run(tmp_path, "print('found')", 60)
    assert (outcome.status, outcome.returncode, outcome.output) == ("done", 0, "found\n")


def test_a_part_that_fails_is_told_and_not_raised(tmp_path: Path) -> None:
    outcome = run(tmp_path, "raise SystemExit('no luck')", 60)
    assert outcome.status == "failed" and outcome.returncode == 1 and "no luck" in outcome.output


def test_a_part_is_stopped_by_its_time_with_all_that_it_started(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    start = time.monotonic()
    assert run(tmp_path, code, 2).status == "stopped"
    assert time.monotonic() - start < 60


def test_without_time_a_part_is_left_out(tmp_path: Path) -> None:
    assert run(tmp_path, "print()", 0.5).status == "left out" and not (tmp_path / "log").exists()


def test_times_and_names() -> None:
    assert clock(475.9) == "00:00:07:55" and clock(3661) == "00:01:01:01"
    assert names("torch==2.11.0\n# note\nPackage_A @ file:///x\n-e git+y\n") == ["torch", "Package_A"]


@pytest.mark.parametrize("dry", [False, True])
def test_each_comparison_has_a_name_of_its_own(dry: bool) -> None:
    given = [name for name, _, _ in comparisons(dry)]
    assert len(given) == len(set(given)) > 1


def test_a_slim_checkpoint_has_the_weights_alone() -> None:
    whole = {
        "state_dict": {"weight": torch.ones(2), "steps": torch.tensor(3)},
        "callbacks": {"TrainableEMA": {"raw_parameters": {}}},
        "optimizer_states": [1],
        "hyper_parameters": {"a": 1},
        "global_step": 7,
    }
    kept = slim(whole)
    assert kept["state_dict"]["weight"].dtype == torch.float16 and kept["state_dict"]["steps"].dtype == torch.int64
    assert kept["hyper_parameters"] == {"a": 1} and kept["global_step"] == 7
    assert not kept["callbacks"] and not kept["optimizer_states"]
