"""Time and peak memory of attention that measures its mass on the ornament, against plain attention and the map.

Beside the mass alone stand what losses on correspondence measure: mean places, and attention at some points.

Run ``python benchmarks/attention_mass.py --help`` for the sizes; README.md in this folder says what to expect.

Shape legend: B batch, Q queries, K keys, d width of a head.
"""

import ctypes
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from unittest.mock import patch

import torch
import torch.nn.functional as F
from jsonargparse import auto_cli
from torch import Tensor
from torch.nn.attention import SDPBackend

from ornament_lit.models.attention import attention_at, attention_with_mass
from ornament_lit.models.token_places import token_centres

MIB = 2**20
POINTS = 64
"""Queries of a sample that `CorrespondenceAttentionLoss` looks at."""


@dataclass(frozen=True)
class Options:
    """Compare plain attention, ours, and the explicit map: time and peak memory, forward and backward.

    Attributes:
        queries: Q, tokens of the denoiser's layer; 4096 is the highest resolution of SD 1.5 at 512 x 512.
        keys: K; null for 3 Q, which is [self ; ornament ; person].
        head_dim: d.
        heads: Number of heads.
        batch: B.
        dtype: Type of query, key and value.
        device: Where to run; a CUDA device where there is one.
        repeats: Turns that are measured; the median is printed.
        with_map: Measure the explicit map too, which is slow and large.
        threads: Threads of torch on the CPU; null for its default.
    """

    queries: int = 4096
    keys: int | None = None
    head_dim: int = 40
    heads: int = 8
    batch: int = 1
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: Literal["cpu", "cuda"] = "cuda" if torch.cuda.is_available() else "cpu"
    repeats: int = 3
    with_map: bool = True
    threads: int | None = None


@dataclass(frozen=True)
class Inputs:
    """Query, key, value, which need gradients, and columns: the middle third of the keys is the ornament's."""

    query: Tensor
    key: Tensor
    value: Tensor
    columns: Tensor


Outputs = tuple[Tensor, ...]


def plain(inputs: Inputs) -> Outputs:
    """Fused attention that measures nothing."""
    return (F.scaled_dot_product_attention(inputs.query, inputs.key, inputs.value),)


def ours(inputs: Inputs) -> Outputs:
    """Fused attention with the mass in extra value columns."""
    return attention_with_mass(inputs.query, inputs.key, inputs.value, inputs.columns)


def places(inputs: Inputs) -> Outputs:
    """Fused attention with the mass and the mean place, as `ExpectedPositionLoss` has it."""
    count = inputs.columns.shape[1]
    weighted = inputs.columns * token_centres(1, count, inputs.columns.device).to(inputs.columns)
    columns = torch.cat([inputs.columns, weighted], dim=-1)
    return attention_with_mass(inputs.query, inputs.key, inputs.value, columns)


def points(inputs: Inputs) -> Outputs:
    """Fused attention with the mass, and the attention of 64 queries, as `CorrespondenceAttentionLoss` has it."""
    third = inputs.key.shape[2] // 3
    tokens = torch.linspace(0, inputs.query.shape[2] - 1, POINTS, device=inputs.query.device).long()
    attention = attention_at(inputs.query, inputs.key[:, :, third : 2 * third], tokens.expand(len(inputs.query), -1))
    return (*attention_with_mass(inputs.query, inputs.key, inputs.value, inputs.columns), attention)


def explicit(inputs: Inputs) -> Outputs:
    """Attention by its map, whose columns are summed."""
    scores = inputs.query @ inputs.key.transpose(-1, -2) * inputs.query.shape[-1] ** -0.5
    attention = scores.softmax(dim=-1)
    return attention @ inputs.value, (attention @ inputs.columns[:, None]).mean(dim=1)


VARIANTS: dict[str, Callable[[Inputs], Outputs]] = {
    "plain": plain,
    "ours": ours,
    "with places": places,
    "with points": points,
    "explicit map": explicit,
}


def count_keys(options: Options) -> int:
    """K."""
    return 3 * options.queries if options.keys is None else options.keys


def clock_of(options: Options) -> str:
    """The clock that ratios are taken from: others may share the processor, but not its accounts."""
    return "cpu" if options.device == "cpu" else "wall"


def make_inputs(options: Options) -> Inputs:
    """Draw the inputs, from a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    dtype, device = getattr(torch, options.dtype), torch.device(options.device)

    def draw(tokens: int) -> Tensor:
        shape = (options.batch, options.heads, tokens, options.head_dim)
        return torch.randn(shape, generator=generator).to(device, dtype).requires_grad_()

    keys = count_keys(options)
    columns = torch.zeros(options.batch, keys, 1, dtype=dtype, device=device)
    columns[:, keys // 3 : 2 * keys // 3] = 1
    return Inputs(draw(options.queries), draw(keys), draw(keys), columns)


def project(leaves: Inputs) -> Inputs:
    """Stand in for the projections of a layer: a query, key and value that nothing but the attention keeps alive."""
    return Inputs(leaves.query.clone(), leaves.key.clone(), leaves.value.clone(), leaves.columns)


def synchronize(options: Options) -> None:
    """Wait for the device."""
    if options.device == "cuda":
        torch.cuda.synchronize()


def run_once(name: str, leaves: Inputs, options: Options) -> dict[str, float]:
    """Run one variant forward and backward.

    Returns:
        Wall and process (CPU) seconds, by ``"<clock> <direction>"``.
    """
    for tensor in (leaves.query, leaves.key, leaves.value):
        tensor.grad = None
    inputs = project(leaves)
    marks = []

    def mark() -> None:
        synchronize(options)
        marks.append((time.perf_counter(), time.process_time()))

    mark()
    outputs = VARIANTS[name](inputs)
    del inputs
    mark()
    torch.autograd.backward(outputs, [torch.ones_like(output) for output in outputs])
    mark()
    return {
        f"{clock} {direction}": marks[i + 1][j] - marks[i][j]
        for i, direction in enumerate(("forward", "backward"))
        for j, clock in enumerate(("wall", "cpu"))
    }


def measure_times(options: Options) -> dict[str, dict[str, float]]:
    """Median times of variants that take turns, after one turn that is not counted."""
    inputs = make_inputs(options)
    names = [name for name in VARIANTS if options.with_map or name != "explicit map"]
    turns = [{name: run_once(name, inputs, options) for name in names} for _ in range(options.repeats + 1)][1:]
    return {
        name: {clock: statistics.median(turn[name][clock] for turn in turns) for clock in turns[0][name]}
        for name in names
    }


def measure_memory(name: str, options: Options) -> float:
    """Peak memory of one variant in MiB, from a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(peak_memory, name, options).result()


def peak_memory(name: str, options: Options) -> float:
    """Peak memory of one variant, forward and backward, in MiB; to be run in a fresh process.

    It counts what a layer would hold from its projections on: query, key, value and their gradients, the output, and
    what the attention needs besides.
    """
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    small = replace(options, queries=64, keys=192, batch=1)
    run_once(name, make_inputs(small), small)
    inputs = make_inputs(options)
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run_once(name, inputs, options)
        return (torch.cuda.max_memory_allocated() - before) / MIB
    before = reset_resident_peak()
    run_once(name, inputs, options)
    return (resident("VmHWM") - before) / MIB


def reset_resident_peak() -> int:
    """Return what is free to the system, and set the peak of resident memory to what is resident now (Linux)."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def resident(field: str) -> int:
    """A field of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def backend(name: str, options: Options) -> str:
    """Name of the implementation that torch chooses for a variant's call."""
    chosen = ["softmax"]

    def note(
        query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, scale: float | None = None
    ) -> Tensor:
        chosen.append(SDPBackend(torch._fused_sdp_choice(query, key, value, attn_mask, scale=scale)).name.lower())
        return torch.zeros_like(query)

    if name != "explicit map":
        with patch.object(F, "scaled_dot_product_attention", note):
            VARIANTS[name](make_inputs(options))
    return chosen[-1]


def report(options: Options) -> str:
    """Measure, and lay the results out as a table."""
    where = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    clock = clock_of(options)
    times = measure_times(options)
    memory = {name: measure_memory(name, options) for name in times}
    total = {name: took[f"{clock} forward"] + took[f"{clock} backward"] for name, took in times.items()}
    lines = [
        f"torch {torch.__version__} on {where}; {options.dtype}, batch {options.batch}, {options.heads} heads of "
        f"{options.head_dim}, {options.queries} queries, {count_keys(options)} keys",
        f"median of {options.repeats} turns; {clock} seconds; peak memory with query, key, value and gradients",
        f"{'':14}{'backend':>20}{'forward':>10}{'backward':>10}{'time':>8}{'MiB':>8}{'memory':>8}",
    ]
    for name, took in times.items():
        forward, backward = took[f"{clock} forward"], took[f"{clock} backward"]
        lines.append(
            f"{name:14}{backend(name, options):>20}{forward:>10.4f}{backward:>10.4f}"
            f"{total[name] / total['plain']:>7.2f}x{memory[name]:>8.0f}{memory[name] / memory['plain']:>7.2f}x"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    chosen_options = auto_cli(Options, as_positional=False)
    if chosen_options.threads is not None:
        torch.set_num_threads(chosen_options.threads)
    print(report(chosen_options))
