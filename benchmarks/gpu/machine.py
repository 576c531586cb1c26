"""What a machine is, as JSON: ``python -m benchmarks.gpu.machine``."""

import json
import os
import platform
import subprocess
from importlib.metadata import distributions
from typing import Any

import torch

NAMED = (
    "torch",
    "torchvision",
    "lightning",
    "diffusers",
    "transformers",
    "triton",
    "numpy",
    "webdataset",
    "jsonargparse",
)


def describe() -> dict[str, Any]:
    """Processor, memory, GPU and versions."""
    versions = {(one.metadata["Name"] or "").lower(): one.version for one in distributions()}
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": _gpu(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "commit": _first_line(["git", "rev-parse", "HEAD"]),
        "versions": {name: versions.get(name) for name in NAMED},
    }


def _gpu() -> dict[str, Any] | None:
    if not torch.cuda.is_available():
        return None
    found = torch.cuda.get_device_properties(0)
    driver = _first_line(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"])
    return {
        "name": found.name,
        "memory_gib": round(found.total_memory / 2**30, 1),
        "capability": f"{found.major}.{found.minor}",
        "multiprocessors": found.multi_processor_count,
        "driver": driver,
    }


def _first_line(command: list[str]) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.partition("\n")[0]
    except (OSError, subprocess.SubprocessError):
        return None


if __name__ == "__main__":
    print(json.dumps(describe()))
