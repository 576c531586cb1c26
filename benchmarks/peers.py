"""A training step of ours against the same method as reference nets are usually written: time, memory and FLOPs.

Both have the same weights, are fed the same batch and compute the same losses, which is checked.
``python -m benchmarks.peers --help``; plain_reference.py says what the usual way is.
"""

import multiprocessing
import statistics
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jsonargparse import auto_cli
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.attention_mass import reset_resident_peak, resident
from benchmarks.plain_reference import PlainReference
from benchmarks.sd15 import draw_batch, make_module, now, where
from ornament_lit.batch import TryOnBatch
from ornament_lit.module import TryOnModule

MIB = 2**20
KINDS = ("ours", "usual")


@dataclass(frozen=True)
class Options:
    """Compare a training step (losses and gradients) of ours with the usual implementation's.

    Attributes:
        resolution: Side of the images in pixels.
        width: Channels of the UNets over those of Stable Diffusion 1.5, a multiple of 0.125.
        batch: Samples in a step.
        counted_resolution: Side of the images that FLOPs are also counted at, with all channels; 0 for not.
        dtype: Type to compute in, by autocast.
        device: Where to run.
        repeats: Steps of each kind that are timed, in turns; the median is printed.
        threads: Threads of torch on the CPU; null for its default.
    """

    resolution: int = 256
    width: float = 0.25
    batch: int = 1
    counted_resolution: int = 512
    dtype: Literal["float32", "bfloat16"] = "bfloat16" if torch.cuda.is_available() else "float32"
    device: Literal["cpu", "cuda"] = "cuda" if torch.cuda.is_available() else "cpu"
    repeats: int = 3
    threads: int | None = None


def build(kind: str, options: Options, device: str) -> TryOnModule | PlainReference:
    """One of the two, with the same weights at each call."""
    torch.manual_seed(0)
    with torch.device(device):
        ours = make_module(options.width)
        return ours if kind == "ours" else PlainReference(ours).train()


def losses_of(network: TryOnModule | PlainReference, batch: TryOnBatch) -> dict[str, Tensor]:
    """The three losses."""
    losses = network.losses(batch)
    return losses if isinstance(losses, dict) else losses[0]


def step(network: TryOnModule | PlainReference, batch: TryOnBatch, options: Options) -> dict[str, Tensor]:
    """Losses and gradients."""
    network.zero_grad()
    lower = options.dtype == "bfloat16" and options.device != "meta"
    precision: AbstractContextManager[object] = (
        torch.autocast(options.device, torch.bfloat16) if lower else nullcontext()
    )
    with precision:
        losses = losses_of(network, batch)
    torch.stack(list(losses.values())).sum().backward()
    if isinstance(network, PlainReference):
        network.clear()
    return {name: value.detach() for name, value in losses.items()}


def check_losses(losses: dict[str, dict[str, Tensor]], options: Options) -> None:
    """Make sure that both compute the same.

    Raises:
        AssertionError: If their losses differ by more than rounding.
    """
    tolerance = 1e-3 if options.dtype == "float32" else 3e-2
    for name, value in losses["ours"].items():
        torch.testing.assert_close(losses["usual"][name], value, rtol=tolerance, atol=1e-5, msg=name)


def time_steps(options: Options) -> dict[str, float]:
    """Median seconds of a step; they take turns, after one that is not counted and whose losses are compared."""
    networks = {kind: build(kind, options, options.device) for kind in KINDS}
    batch = draw_batch(options.resolution, options.batch, options.device)
    check_losses({kind: step(network, batch, options) for kind, network in networks.items()}, options)
    turns: list[dict[str, float]] = []
    for _ in range(options.repeats):
        took = {}
        for kind, network in networks.items():
            start = now(options.device)
            step(network, batch, options)
            took[kind] = now(options.device) - start
            network.zero_grad()
        turns.append(took)
    return {kind: statistics.median(turn[kind] for turn in turns) for kind in KINDS}


def count_flops(options: Options) -> dict[str, float]:
    """TFLOP of a step of one sample, on the meta device, which costs no memory."""
    counts = {}
    for kind in KINDS:
        network = build(kind, options, "meta")
        batch = draw_batch(options.resolution, 1, "meta")
        with FlopCounterMode(display=False) as counter:
            step(network, batch, options)
        counts[kind] = counter.get_total_flops() / 1e12
    return counts


def measure_memory(kind: str, options: Options) -> float:
    """Peak memory of a step in MiB beyond what lies there before it, from a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(peak_memory, kind, options).result()


def peak_memory(kind: str, options: Options) -> float:
    """Peak memory of a step in MiB: activations, gradients and what the kernels need; to be run in a fresh process."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    network = build(kind, options, options.device)
    step(network, draw_batch(64, 1, options.device), options)
    network.zero_grad()
    batch = draw_batch(options.resolution, options.batch, options.device)
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(network, batch, options)
        return (torch.cuda.max_memory_allocated() - before) / MIB
    before = reset_resident_peak()
    step(network, batch, options)
    return (resident("VmHWM") - before) / MIB


def row(title: str, values: dict[str, float], unit: str) -> str:
    """A line of the table."""
    ours, usual = (values[kind] for kind in KINDS)
    return f"{title:46}{ours:>10.2f} {unit:6}{usual:>10.2f} {unit:6}{ours / usual:>7.2f}x"


def measure(options: Options) -> None:
    """Print the table."""
    print(
        f"torch {torch.__version__}; {options.resolution} px, {options.width:g} of the channels, "
        f"batch {options.batch}, {options.dtype}; {where(options.device)}"
    )
    print(f"{'':46}{'ours':>17}{'usual':>17}{'ours / usual':>16}")
    if options.counted_resolution:
        full = replace(options, resolution=options.counted_resolution, width=1.0)
        print(row(f"FLOPs a sample, {options.counted_resolution} px, all channels", count_flops(full), "TFLOP"))
    print(row("FLOPs a sample at this size", count_flops(options), "TFLOP"))
    print(row(f"time of a step, median of {options.repeats}", time_steps(options), "s"))
    print(row("peak memory of a step", {kind: measure_memory(kind, options) for kind in KINDS}, "MiB"))


if __name__ == "__main__":
    chosen_options = auto_cli(Options, as_positional=False)
    if chosen_options.threads is not None:
        torch.set_num_threads(chosen_options.threads)
    measure(chosen_options)
