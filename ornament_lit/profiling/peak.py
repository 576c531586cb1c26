"""How fast a device can compute at best: a large matrix product."""

import time

import torch

SIDES = {"cuda": 8192, "cpu": 1536}
"""Rows and columns of the matrices, by the kind of device."""


def compute_dtype(precision: str | int | None) -> torch.dtype:
    """The type that products are computed in under a precision of the trainer, such as ``bf16-mixed``."""
    name = str(precision or 32)
    types = {"bf16": torch.bfloat16, "16": torch.float16, "64": torch.float64}
    return next((dtype for prefix, dtype in types.items() if name.startswith(prefix)), torch.float32)


def now(device: torch.device) -> float:
    """Seconds, after the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@torch.no_grad()
def measure_peak(device: torch.device, dtype: torch.dtype, seconds: float = 2.0, side: int | None = None) -> float:
    """FLOP/s of the fastest of some products of square matrices.

    In float32 on a GPU it depends on ``torch.set_float32_matmul_precision``, as training does.

    Args:
        device: Where to compute.
        dtype: Type of the matrices.
        seconds: How long to measure; two products are the least.
        side: Rows and columns; null for 8192 on a GPU and 1536 on a CPU.
    """
    side = side or SIDES.get(device.type, SIDES["cpu"])
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    torch.matmul(left, right)  # the first one prepares the library
    best, end = 0.0, time.perf_counter() + seconds
    while best == 0.0 or time.perf_counter() < end:
        start = now(device)
        torch.matmul(left, right)
        best = max(best, 2 * side**3 / (now(device) - start))
    return best
