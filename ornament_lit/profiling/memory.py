"""Memory that is used and free: of a GPU, or resident memory of this process and of the machine."""

import gc
import resource
import sys
from pathlib import Path

import torch

GIB = 2**30
_CGROUP = Path("/sys/fs/cgroup")


def clear(device: torch.device) -> None:
    """Give back what is no longer used: a trainer and its module refer to each other, and stay until they are found."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def reset_peak(device: torch.device) -> None:
    """Begin to measure the peak anew, on a GPU; a process's own peak cannot be reset."""
    clear(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int:
    """Greatest number of bytes so far: reserved by torch on a GPU since the reset, else resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    resident = _resident("VmHWM")  # getrusage would count what the process that started this one had, too
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit if resident is None else resident


def used_memory(device: torch.device) -> int | None:
    """Bytes in use now: allocated by torch on a GPU, else resident in this process; None where that is not told."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else _resident("VmRSS")


def _resident(name: str) -> int | None:
    """A line of Linux's ``/proc/self/status``, in bytes; None elsewhere."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)


def free_memory(device: torch.device) -> int | None:
    """Bytes that this process could still take and those it has on a GPU; None where the system does not tell.

    On a CPU it is what Linux holds available, within the limit of the container, if there is one.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
    return min(available, _container_limit() or available)


def _container_limit() -> int | None:
    """Bytes that a container may still take; None where it has no limit."""
    try:
        limit, current = (
            (_CGROUP / name).read_text(encoding="ascii").strip() for name in ("memory.max", "memory.current")
        )
    except OSError:
        return None
    return None if limit == "max" else max(int(limit) - int(current), 0)
