"""Runs that are stopped, killed and starved, from the command line: nothing is lost but steps since a checkpoint."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import ROOT, STEPS, log_of, words_of, write_plugin

from ornament_lit.checkpointing import atomic_io as checkpoint_io
from ornament_lit.cli.trainer import main
from ornament_lit.module import TryOnModule


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Words of a run in a folder; the same for each of its starts."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(checkpoint_io, "RETRY_SECONDS", 0.0)
    plugins = tmp_path / "plugins"
    write_plugin(plugins)
    monkeypatch.syspath_prepend(plugins)
    monkeypatch.setenv("PYTHONPATH", f"{plugins}:{ROOT}")
    monkeypatch.setenv("ORNAMENT_LIT_PLUGINS", "watching")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def build(folder: Path, *, at: dict[str, int] | None = None, **trainer: Any) -> list[str]:
        return words_of(folder, at, **trainer)

    return build


def checkpoints(folder: Path) -> dict[str, int]:
    """The step in each checkpoint, all of which must be whole."""
    files = sorted((folder / "run" / "checkpoints").iterdir())
    return {file.name: torch.load(file, weights_only=True)["global_step"] for file in files}


def start(args: list[str], launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(launcher or ("-m", "ornament_lit")), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=ROOT, check=False)


@pytest.mark.slow
def test_auto_begins_goes_on_and_passes_over_damage(
    words: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = words(tmp_path / "a", max_steps=6)
    assert main(run) == 0
    assert [step.step for step in log_of(tmp_path / "a")] == [1, 2, 3, 4, 5, 6]
    assert checkpoints(tmp_path / "a") == {"last.ckpt": 6, "step-6.ckpt": 6}
    saved = tmp_path / "a" / "run" / "checkpoints"
    shutil.copy(saved / "step-6.ckpt", saved / "good.ckpt")
    (saved / "step-6.ckpt").write_bytes((saved / "good.ckpt").read_bytes()[:-100])
    assert main([*run, "--trainer.max_steps=8"]) == 0
    assert [step.step for step in log_of(tmp_path / "a")] == [1, 2, 3, 4, 5, 6, 7, 8]
    (saved / "last.ckpt").write_bytes(b"no checkpoint")
    assert main([*run, f"--ckpt_path={saved}/last.ckpt"]) == 2
    message = capsys.readouterr().err
    assert (
        f"last.ckpt is no checkpoint, or is damaged; the newest complete one beside it is {saved}/good.ckpt" in message
    )


def test_auto_needs_a_folder_of_the_run_and_something_to_measure(
    words: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = words(tmp_path / "a", max_steps=1)
    assert main([*run, "--trainer.logger.version=null"]) == 2
    assert "trainer.logger.version" in capsys.readouterr().err
    assert main(["validate", *run[1:]]) == 2
    assert "validate needs a checkpoint, and --ckpt_path auto found none" in capsys.readouterr().err


@pytest.mark.slow
def test_a_full_disk_ends_the_run_and_leaves_the_checkpoint_before(
    words: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(tmp_path / "a", max_steps=3)) == 0
    size = (tmp_path / "a" / "run" / "checkpoints" / "step-3.ckpt").stat().st_size
    folder = tmp_path / "b" / "run" / "checkpoints"
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size * 3 // 2}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        capsys.readouterr()
        assert main(words(tmp_path / "b")) == 2
        message = capsys.readouterr().err
        assert "step-6.ckpt could not be written: No space left on device" in message
        assert f"{folder}/step-3.ckpt is intact" in message and "Traceback" not in message
        assert checkpoints(tmp_path / "b") == {"last.ckpt": 3, "step-3.ckpt": 3}
        assert [step.step for step in log_of(tmp_path / "b")][-1] <= 6
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_gpu_that_is_too_small(
    words: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def training_step(self: TryOnModule, batch: object, batch_idx: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    monkeypatch.setattr(TryOnModule, "training_step", training_step)
    assert main(words(tmp_path / "a", accumulate_grad_batches=3)) == 2
    message = capsys.readouterr().err
    asked = "the GPU has too little memory for batch_size 2 at 32 pixels, precision 32-true"
    assert asked in message and "Traceback" not in message
    assert "--data.batch_size=1 --trainer.accumulate_grad_batches=6 (the same step)" in message
    assert "gradient_checkpointing" in message and "bf16-mixed" in message and "ornament_lit bench" in message


@pytest.mark.slow
def test_a_run_that_gets_sigterm_goes_on_to_the_last_bit(words: Callable[..., list[str]], tmp_path: Path) -> None:
    assert main(words(tmp_path / "straight")) == 0
    run = words(tmp_path / "stopped", at={"number": int(signal.SIGTERM), "step": 4})
    first = start(run)
    assert first.returncode == 75, first.stderr
    assert "SIGTERM at step 5: saved" in first.stderr and "Traceback" not in first.stderr
    assert checkpoints(tmp_path / "stopped") == {"last.ckpt": 5, "step-3.ckpt": 3}
    assert main(run) == 0
    assert log_of(tmp_path / "stopped") == log_of(tmp_path / "straight"), "no step is lost, none is done twice"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*multi-threaded", "ignore:.*fork", "ignore:.*sync_dist")
def test_two_processes(words: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An undisturbed run; one whose second process alone gets a signal; one whose second process is killed."""
    straight, told, killed = (tmp_path / name for name in ("straight", "told", "killed"))
    assert main(words(straight, devices=2, strategy="ddp_fork")) == 0
    expected = [log_of(straight, rank) for rank in (0, 1)]
    assert [len(log) for log in expected] == [STEPS, STEPS]

    run = words(told, at={"number": int(signal.SIGTERM), "step": 4, "rank": 1}, devices=2, strategy="ddp")
    stopped = start(run)
    assert time.time() - (told / "sent").stat().st_mtime < 20, "both must end at once"
    assert stopped.returncode == 75, stopped.stderr
    assert checkpoints(told)["last.ckpt"] == 5
    assert main([*run, "--trainer.strategy=ddp_fork"]) == 0
    assert [log_of(told, rank) for rank in (0, 1)] == expected, "no step is lost, none is done twice"

    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    agent = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=2")
    run = words(killed, at={"number": int(signal.SIGKILL), "step": 4, "rank": 1}, devices=2, strategy="ddp")
    restarted = start(run, (*agent, "--monitor-interval=0.5", "-m", "ornament_lit"))
    assert restarted.returncode == 0, restarted.stderr
    assert (killed / "sent").exists()
    for rank in (0, 1):
        log = log_of(killed, rank)
        first = next(n for n in range(3, len(log) + 1) if log[n:] == expected[rank][3:])
        assert log[:3] == expected[rank][:3], "the run goes on after the checkpoint of step 3"
        assert {step.step for step in log[3:first]} <= {4}, "only the step after it is done again"
