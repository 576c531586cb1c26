"""RunRecord: where a run came from, beside what it was configured with."""

import json
import os
import platform
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

import callbacks
from callbacks.run_folder import run_folder
from ornament_lit.utils.files import write_file
from ornament_lit.utils.versions import versions

FILE = "run.json"
PACKAGES = ("torch", "lightning", "diffusers", "transformers", "torchmetrics", "webdataset", "jsonargparse")
VARIABLES = re.compile(r"(ORNAMENT_LIT|SLURM|CUDA|NCCL|OMP|TORCH|PYTORCH)_|(WORLD_SIZE|MASTER_ADDR)$")
SECRETS = re.compile(r"TOKEN|SECRET|PASS|KEY|JWT|CREDENTIAL|AUTH", re.IGNORECASE)
USER_IN_URL = re.compile(r"(?<=://)[^/\s@]+@")
SIGNATURE = re.compile(r"(?<=\?)[^\s\"']*=[^\s\"']*")


class RunRecord(Callback):
    """Write ``run.json`` into the run's folder when a fit starts: which code, machine and command made it.

    It is a list with an entry for each start, so that a resumed run has as many as it had
    starts; a new run in the folder begins the list anew. An entry has the command line, the git commit of the code and
    whether files differ from it, versions, hosts and devices, the number of processes, and the environment variables
    that decide how a run goes. Variables, and parts of addresses, that may hold secrets are left out. ``fit`` always
    has this callback.
    """

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ask all processes where they are, and write on the first one."""
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        folder = run_folder(trainer)
        places = _gather(trainer, f"{socket.gethostname()}: {describe_device(trainer.strategy.root_device)}")
        if not trainer.is_global_zero:
            return
        resumed = trainer.ckpt_path
        path = folder / FILE
        entries = _read(path) if resumed is not None else []
        entries.append(
            {
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
                "resumed_from": None if resumed is None else str(resumed),
                "command": shlex.join(redact_words(sys.orig_argv)),
                "folder": str(Path.cwd()),
                "git": git_state(Path(callbacks.__path__[0]).resolve().parent),
                "versions": {**versions(PACKAGES), "system": platform.platform()},
                "processes": trainer.world_size,
                "devices": places,
                "precision": str(trainer.precision),
                "environment": environment(os.environ),
            }
        )
        write_file(path, (json.dumps(entries, indent=2) + "\n").encode())


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that decide how a run goes, without secrets."""
    kept = {name: value for name, value in variables.items() if VARIABLES.match(name) and not SECRETS.search(name)}
    return {name: redact(kept[name]) for name in sorted(kept)}


def redact_words(words: Sequence[str]) -> list[str]:
    """Words of a command line without the values of options that are named like secrets."""
    shown: list[str] = []
    for word, before in zip(words, ["", *words], strict=False):
        name, equals, _ = word.partition("=")
        if equals and word.startswith("-") and SECRETS.search(name):
            shown.append(f"{name}=...")
        elif before.startswith("-") and "=" not in before and not word.startswith("-") and SECRETS.search(before):
            shown.append("...")
        else:
            shown.append(redact(word))
    return shown


def redact(text: str) -> str:
    """A text without the user names and the signatures of the addresses in it."""
    if "://" not in text:
        return text
    return SIGNATURE.sub("...", USER_IN_URL.sub("", text))


def describe_device(device: torch.device) -> str:
    """A device in words."""
    if device.type == "cuda":
        return f"{device}, {torch.cuda.get_device_name(device)}"
    return f"{device}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"


def git_state(folder: Path) -> dict[str, Any] | None:
    """The commit that a folder is at, and the files that differ; None where it is not the top of a repository."""
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None or Path(top.strip()).resolve() != folder.resolve():
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=normal")
    if commit is None or changes is None:
        return None
    return {"commit": commit.strip(), "dirty": bool(changes), "changed": [line[3:] for line in changes.splitlines()]}


def _git(folder: Path, *words: str) -> str | None:
    try:
        run = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout


def _gather(trainer: Trainer, place: str) -> Sequence[str]:
    """What all processes say, on each of them."""
    if trainer.world_size == 1 or not torch.distributed.is_initialized():
        return [place]
    places: list[str] = [""] * trainer.world_size
    torch.distributed.all_gather_object(places, place)
    return places


def _read(path: Path) -> list[Any]:
    """The entries of earlier starts."""
    if not path.exists():
        return []
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        entries = None
    if isinstance(entries, list):
        return entries
    rank_zero_warn(f"{path} is not a list of runs; it is replaced")
    return []
