"""``run.json``: one entry a start, what decides how a run goes, and no secrets."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from callbacks import RunRecord
from callbacks.run_record import environment, git_state, redact, redact_words

ROOT = Path(__file__).resolve().parents[2]


def read(folder: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((folder / "run.json").read_text())
    return entries


def test_a_start_a_resume_and_a_new_run(
    make_trainer: Callable[..., Trainer], module: Any, data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "ornament_lit", "fit", "--config", "my runs/a.yaml"])
    monkeypatch.setenv("ORNAMENT_LIT_PLUGINS", "mine")
    trainer = make_trainer(RunRecord(), max_epochs=1)
    trainer.fit(module, data)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    (first,) = read(tmp_path)
    assert first["command"] == "python -m ornament_lit fit --config 'my runs/a.yaml'"
    assert first["resumed_from"] is None
    assert first["versions"]["torch"] == torch.__version__.partition("+")[0] or "torch" in first["versions"]
    assert first["processes"] == 1 and len(first["devices"]) == 1
    assert first["environment"]["ORNAMENT_LIT_PLUGINS"] == "mine"

    make_trainer(RunRecord(), max_epochs=2).fit(module, data, ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    both = read(tmp_path)
    assert both[0] == first
    assert both[1]["resumed_from"] == str(tmp_path / "last.ckpt")

    make_trainer(RunRecord(), max_epochs=1).fit(module, data)
    assert len(read(tmp_path)) == 1


@pytest.mark.slow
def test_processes_say_where_they_are(
    make_trainer: Callable[..., Trainer], module: Any, data: Any, tmp_path: Path
) -> None:
    make_trainer(RunRecord(), max_epochs=1, strategy="ddp_fork", devices=2).fit(module, data)
    (entry,) = read(tmp_path)
    assert entry["processes"] == len(entry["devices"]) == 2
    assert all("cpu" in device for device in entry["devices"])


def test_a_trial_run_writes_nothing(
    make_trainer: Callable[..., Trainer], module: Any, data: Any, tmp_path: Path
) -> None:
    make_trainer(RunRecord(), fast_dev_run=True).fit(module, data)
    assert not (tmp_path / "run.json").exists()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_commit_and_changes(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        run = subprocess.run(["git", *identity, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        return run.stdout.strip()

    assert git_state(tmp_path) is None
    git("init")
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "inside").mkdir()
    git("add", ".")
    git("commit", "-m", "first")
    assert git_state(tmp_path) == {"commit": git("rev-parse", "HEAD"), "dirty": False, "changed": []}
    assert git_state(tmp_path / "inside") is None
    (tmp_path / "a.txt").write_text("two")
    (tmp_path / "b.txt").write_text("new")
    state = git_state(tmp_path)
    assert state is not None and state["dirty"] and state["changed"] == ["a.txt", "b.txt"]


def test_without_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(ROOT) is None


def test_variables_that_matter_without_secrets() -> None:
    kept = {"CUDA_VISIBLE_DEVICES": "0,1", "OMP_NUM_THREADS": "4", "SLURM_JOB_ID": "7", "WORLD_SIZE": "8"}
    others = {
        "SLURM_JWT": "x",
        "ORNAMENT_LIT_TOKEN": "x",
        "HF_TOKEN": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "HOME": "/home/a",
    }
    assert environment({**kept, **others}) == dict(sorted(kept.items()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "--data.train_shards=https://me:pass@host/train-{0..3}.tar",
            "--data.train_shards=https://host/train-{0..3}.tar",
        ),
        ("s3://bucket/train-?.tar", "s3://bucket/train-?.tar"),
        ("https://host/a.tar?X-Signature=abc&b=c", "https://host/a.tar?..."),
        ("configs/a@b.yaml", "configs/a@b.yaml"),
    ],
)
def test_addresses_lose_their_secrets(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_options_named_like_secrets_lose_their_values() -> None:
    words = ["fit", "--logger.api_key=abc", "--logger.token", "abc", "--data.seed", "3"]
    assert redact_words(words) == ["fit", "--logger.api_key=...", "--logger.token", "...", "--data.seed", "3"]


def test_fit_writes_it_beside_the_configuration(tmp_path: Path) -> None:
    from ornament_lit.__main__ import main

    words = ["--trainer.max_steps=1", "--trainer.limit_val_batches=0", "--trainer.callbacks=null"]
    small = ["--data.init_args.batch_size=2", "--model.denoiser.unet.init_args.block_out_channels=[16, 16, 32]"]
    logger = [f"--trainer.logger.init_args.save_dir={tmp_path}", "--trainer.enable_checkpointing=false"]
    config = f"--config={ROOT}/configs/quickstart.yaml"
    assert main(["fit", config, *words, *small, *logger, "--trainer.enable_progress_bar=false"]) == 0
    assert (tmp_path / "quickstart" / "config.yaml").is_file()
    (entry,) = read(tmp_path / "quickstart")
    assert entry["git"] is None or len(entry["git"]["commit"]) == 40
