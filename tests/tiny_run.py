"""The quickstart made tiny, with a callback that writes down what it does, for tests that stop it and resume it."""

import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from sessions import members

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = '''
import json, os, signal, time
from pathlib import Path
from lightning.pytorch import Callback


class Watch(Callback):
    """Writes steps, keys and losses down, and sends one process a signal, once, in the middle of a step."""

    def __init__(self, folder: str, number: int = 0, step: int = 0, rank: int = 0) -> None:
        self.folder, self.number, self.step, self.rank = Path(folder), number, step, rank

    def on_before_backward(self, trainer, module, loss):
        sent = self.folder / "sent"
        if self.number and (trainer.global_step, trainer.global_rank) == (self.step, self.rank) and not sent.exists():
            sent.touch()
            os.kill(os.getpid(), self.number)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        with (self.folder / f"log-{trainer.global_rank}").open("a") as log:
            log.write(json.dumps([trainer.global_step, batch["key"], float(outputs["loss"]).hex()]) + "\\n")

    def on_test_batch_start(self, *_):
        (self.folder / "evaluating").touch()
        time.sleep(0.05)

    on_predict_batch_start = on_validation_batch_start = on_test_batch_start
'''
UNET = {
    "class_path": "diffusers.UNet2DConditionModel",
    "init_args": {
        "in_channels": 192,
        "out_channels": 192,
        "block_out_channels": [8, 8],
        "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "attention_head_dim": 1,
        "cross_attention_dim": 8,
    },
}
STEPS = 10


class Step(NamedTuple):
    """A line of a log."""

    step: int
    keys: list[str]
    loss: str


def settings(
    folder: Path, signal_of: dict[str, int], save_every: int = 3, preemption: bool = True, **trainer: Any
) -> dict[str, Any]:
    """The quickstart made tiny: 8 steps an epoch, a checkpoint every 3 steps."""
    saving = {"filename": "step-{step}", "auto_insert_metric_name": False, "every_n_train_steps": save_every}
    callbacks = [
        {"class_path": "watching.Watch", "init_args": {"folder": str(folder), **signal_of}},
        {"class_path": "LossWeightDecay"},
        {"class_path": "TrainableEMA", "init_args": {"decay": 0.9}},
        {"class_path": "GradientGuard"},
        *([{"class_path": "Preemption"}] if preemption else []),
        {
            "class_path": "ModelCheckpoint",
            "init_args": {**saving, "save_last": "link", "enable_version_counter": False},
        },
    ]
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "limit_val_batches": 0}
    logger = {"class_path": "CSVLogger", "init_args": {"save_dir": str(folder), "name": "run", "version": ""}}
    return {
        "model": {
            "autoencoder": {"init_args": {"block_size": 8}},
            "denoiser": {"unet": UNET},
            "mask_head": {"init_args": {"hidden_channels": 8, "upscale": 1}},
        },
        "data": {"init_args": {"resolution": 32, "batch_size": 2, "samples_per_epoch": 32}},
        "trainer": {"max_steps": STEPS, **quiet, "logger": logger, "callbacks": callbacks, **trainer},
    }


def write_plugin(folder: Path) -> None:
    """Write the package that ORNAMENT_LIT_PLUGINS=watching imports."""
    folder.mkdir(exist_ok=True)
    (folder / "watching.py").write_text(PLUGIN, encoding="utf-8")


def words_of(folder: Path, signal_of: dict[str, int] | None = None, **options: Any) -> list[str]:
    """Words of a run in a folder; the same for each of its starts."""
    folder.mkdir(exist_ok=True)
    config = folder / "tiny.yaml"
    config.write_text(yaml.safe_dump(settings(folder, signal_of or {}, **options)), encoding="utf-8")
    return ["fit", "--config", "configs/quickstart.yaml", "--config", str(config), "--ckpt_path", "auto"]


def log_of(folder: Path, rank: int = 0) -> list[Step]:
    """What a process has written down; a line that was being written is left out."""
    log = folder / f"log-{rank}"
    lines = log.read_text().splitlines(True) if log.exists() else []
    return [Step(*json.loads(line)) for line in lines if line.endswith("\n")]


def run_and_stop(
    words: list[str], folder: Path, seconds: float | None, kind: int, alone: bool = False, steps: int = 1
) -> int:
    """Run a command in a process group of its own, and send it a signal some time after its first steps.

    Args:
        words: What follows ``python -m ornament_lit``.
        folder: Gets the output.
        seconds: How long after; None for not at all.
        kind: The signal.
        alone: Send it to the process that was started, not to its group.
        steps: How many these are, or batches of an evaluation.

    Returns:
        The exit code; negative for a process that a signal has ended.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["datamodules.ornament"])  # not diffusers: it asks for GPUs, and forks no more
    begun, evaluating, leader = len(log_of(folder)), folder / "evaluating", folder / "leader"
    for left in (evaluating, leader):
        left.unlink(missing_ok=True)
    process = context.Process(target=_lead_a_group, args=(words, folder, dict(os.environ)))
    process.start()
    assert process.pid is not None
    if seconds is not None:
        while process.is_alive() and len(log_of(folder)) < begun + steps and not evaluating.exists():
            time.sleep(0.01)
        while process.is_alive() and not leader.exists():
            time.sleep(0.01)
        process.join(seconds)
        if process.is_alive():
            (os.kill if alone else os.killpg)(process.pid, kind)
    process.join(200)
    if process.exitcode is None:
        end_group(folder)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


def end_group(folder: Path) -> int:
    """Kill what is left of the process group of the last command in a folder; how many processes that were."""
    leader = int((folder / "leader").read_text())
    left = members(leader)
    if left:
        os.killpg(leader, signal.SIGKILL)
    return len(left)


def _lead_a_group(words: list[str], folder: Path, environment: dict[str, str]) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the tests do with Ctrl-C
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # a fork server that workers have started blocks it
    os.environ.update(environment)
    (folder / "leader").write_text(str(os.getpid()))
    multiprocessing.set_start_method("fork", force=True)
    output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    from ornament_lit.cli.trainer import main

    sys.exit(main(words))
