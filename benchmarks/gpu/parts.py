"""The parts of a session on a GPU: what is run, and for how long at most.

Shares of the time are such that the training comes first, and the comparisons get what is left.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

TAIL = 20_000
GRACE = 8.0
"""Seconds between asking a part to end and ending it."""


@dataclass(frozen=True)
class Part:
    """A command with an end.

    Attributes:
        name: What it is called in the results.
        words: The command, after the Python that runs it.
        seconds: How long it may take at most.
        environment: Variables that it gets besides.
    """

    name: str
    words: list[str]
    seconds: float
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a part ended.

    Attributes:
        name: That of the part.
        command: What was run.
        status: ``done``, ``failed``, ``stopped`` by its time, or ``left out`` where no time was left.
        seconds: How long it took.
        returncode: What its process ended with.
        output: The end of what it printed.
    """

    name: str
    command: str
    status: Literal["done", "failed", "stopped", "left out"]
    seconds: float = 0.0
    returncode: int | None = None
    output: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "seconds": round(self.seconds, 1)}


def run_part(part: Part, log: Path, environment: Mapping[str, str]) -> Outcome:
    """Run a part; whatever happens to it is told, not raised.

    Args:
        part: See :class:`Part`; at less than a second it is left out.
        log: File for what it prints.
        environment: Variables of its process.
    """
    command = shlex.join(["python", *part.words])
    if part.seconds < 1:
        return Outcome(part.name, command, "left out")
    start = time.monotonic()
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [sys.executable, *part.words],
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**environment, **part.environment},
            start_new_session=True,
        )
        stopped = not _ended(process, part.seconds)
        if stopped:
            _stop(process)
    status: Literal["done", "failed", "stopped"] = "done" if process.returncode == 0 else "failed"
    text = log.read_bytes()[-TAIL:].decode(errors="replace")
    return Outcome(
        part.name, command, "stopped" if stopped else status, time.monotonic() - start, process.returncode, text
    )


def _ended(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process and all that it has started."""
    for number, wait in ((signal.SIGTERM, GRACE), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            continue


def comparisons(dry: bool) -> list[tuple[str, list[str], float]]:
    """Name, words and greatest seconds of each comparison; what matters most comes first."""
    if dry:
        tiny = ["--resolution", "64", "--width", "0.125", "--repeats", "1", "--threads", "1"]
        return [
            ("speed: fused AdamW", _module("speed", *tiny, "--only", '["fused AdamW"]'), 600),
            ("attention_mass", _module("attention_mass", "--queries", "64", "--repeats", "1", "--threads", "1"), 600),
        ]
    step = ["--resolution", "512", "--width", "1", "--batch", "4", "--repeats", "10"]
    names = ("all that helps on a GPU", "compiled blocks", "channels last", "fused AdamW", "two noise samples")
    rest = ("gradient checkpointing", "compiled transformer blocks")
    timed = ["--timed_resolution", "512", "--timed_width", "1", "--batch", "8", "--repeats", "10"]
    largest = ["bench", *ORNAMENT, "--no_data", "--steps", "2", "--seconds", "2"]
    return [
        ("attention_mass", _module("attention_mass", "--dtype", "bfloat16", "--repeats", "20"), 60),
        ("peers", _module("peers", *_sizes("2"), "--counted_resolution", "0"), 90),
        *((f"speed: {name}", _module("speed", *step, "--only", f'["{name}"]'), 150) for name in names),
        ("refresh", _module("refresh", *_sizes("1"), "--repeats", "10", "--counted_resolution", "0"), 120),
        ("latents", _module("latents", *timed), 120),
        *((f"speed: {name}", _module("speed", *step, "--only", f'["{name}"]'), 150) for name in rest),
        ("largest batch", ["-m", "ornament_lit", *largest], 150),
    ]


ORNAMENT = ["--config", "configs/ornament.yaml", "--random_weights"]


def bench_words(output: Path, dry: bool) -> list[str]:
    """The command that measures the paper's configuration; a dry run takes the quickstart's."""
    if dry:
        small = ["--config", "configs/quickstart.yaml", "--no_data", "--steps", "1", "--warm_up", "0", "--seconds", "1"]
        return ["-m", "ornament_lit", "bench", *small, "--device", "cpu", "--threads", "1", "--output", str(output)]
    more = ["--largest_batch=false", "--seconds", "5", "--output", str(output)]
    return ["-m", "ornament_lit", "bench", *ORNAMENT, *more]


def fit_words(runs: Path, dry: bool, train_shards: str | None, seconds: float) -> list[str]:
    """The command that trains.

    Args:
        runs: Folder for its run.
        dry: Three steps on a CPU.
        train_shards: Other shards than the bundled ones.
        seconds: When it ends by itself.
    """
    limit = [] if dry else ["--trainer.max_time", clock(seconds)]
    quiet = ["--trainer.enable_progress_bar", "false", "--trainer.limit_val_batches", "0"]
    return ["-m", "ornament_lit", "fit", *_small(runs, dry, train_shards), *quiet, *limit]


def look_words(runs: Path, dry: bool, train_shards: str | None, checkpoint: Path) -> list[str]:
    """The command that validates what was trained, and draws it."""
    words = [*_small(runs, dry, train_shards), "--config", "benchmarks/gpu/look.yaml"]
    quiet = ["--trainer.enable_progress_bar", "false", "--data.num_workers", "0"]
    return ["-m", "ornament_lit", "validate", *words, *quiet, "--ckpt_path", str(checkpoint)]


def clock(seconds: float) -> str:
    """Seconds as Lightning takes them: days, hours, minutes, seconds."""
    minutes, rest = divmod(max(1, int(seconds)), 60)
    return f"00:{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}"


def _small(runs: Path, dry: bool, train_shards: str | None) -> list[str]:
    configs = ["configs/small.yaml", "configs/small_gpu.yaml", *(["benchmarks/gpu/dry.yaml"] if dry else [])]
    words = [word for config in configs for word in ("--config", config)]
    shards = ["--data.train_shards", train_shards] if train_shards else []
    return [*words, *shards, "--trainer.logger.init_args.save_dir", str(runs)]


def _module(name: str, *words: str) -> list[str]:
    return ["-m", f"benchmarks.{name}", *words]


def _sizes(batch: str) -> list[str]:
    return ["--resolution", "512", "--width", "1", "--batch", batch]
