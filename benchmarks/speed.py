"""What each speed option gives: a training step with it against the plain step, in turns, in one process.

Weights are random and shaped as Stable Diffusion 1.5's; latents and image features are given, as ``data latents`` makes
them. A step is losses, gradients and an optimizer step. ``python -m benchmarks.speed --help``.
"""

import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal

import torch
from jsonargparse import auto_cli
from torch.optim import AdamW, Optimizer

from benchmarks.sd15 import draw_batch, make_module, now, where
from callbacks.channels_last import to_channels_last
from callbacks.compile_blocks import compile_blocks
from ornament_lit.batch import TryOnBatch
from ornament_lit.module import TryOnModule

Name = Literal[
    "channels last",
    "compiled transformer blocks",
    "compiled blocks",
    "fused AdamW",
    "gradient checkpointing",
    "two noise samples",
    "bfloat16",
    "all that helps on a GPU",
]
NAMES: tuple[Name, ...] = Name.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Options:
    """Time a training step with each speed option against the plain step.

    Attributes:
        resolution: Side of the images in pixels.
        width: Channels of the UNets over those of Stable Diffusion 1.5, a multiple of 0.125.
        batch: Samples in a step.
        dtype: Type that the plain step computes in, by autocast.
        device: Where steps are timed.
        repeats: Steps of each kind that are timed, in turns; the median is printed.
        only: The options to measure.
        threads: Threads of torch on the CPU; null for its default.
    """

    resolution: int = 256
    width: float = 0.25
    batch: int = 1
    dtype: Literal["float32", "bfloat16"] = "bfloat16" if torch.cuda.is_available() else "float32"
    device: Literal["cpu", "cuda"] = "cuda" if torch.cuda.is_available() else "cpu"
    repeats: int = 5
    only: list[Name] = field(default_factory=lambda: list(NAMES))
    threads: int | None = None


@dataclass(frozen=True)
class Variant:
    """A way to take training steps.

    Attributes:
        checkpointing: Recompute activations in the backward pass.
        draws: Noises that each sample is denoised from; the time is that of a step over it.
        fused: The optimizer's kernel is fused.
        bfloat16: Compute in bfloat16 by autocast, whatever the options say.
        prepare: Change the module before its first step.
    """

    checkpointing: bool = False
    draws: int = 1
    fused: bool = False
    bfloat16: bool = False
    prepare: Callable[[TryOnModule], object] = lambda module: None


def compile_all(module: TryOnModule) -> None:
    """Channels last, and all blocks compiled."""
    to_channels_last(module)
    compile_blocks(module, "all")


VARIANTS: dict[Name, Variant] = {
    "channels last": Variant(prepare=to_channels_last),
    "compiled transformer blocks": Variant(prepare=lambda module: compile_blocks(module, "transformer")),
    "compiled blocks": Variant(prepare=lambda module: compile_blocks(module, "all")),
    "fused AdamW": Variant(fused=True),
    "gradient checkpointing": Variant(checkpointing=True),
    "two noise samples": Variant(draws=2),
    "bfloat16": Variant(bfloat16=True),
    "all that helps on a GPU": Variant(fused=True, bfloat16=True, prepare=compile_all),
}


class Training:
    """A module and its optimizer.

    Args:
        variant: How it trains.
        options: Sizes and device.
    """

    def __init__(self, variant: Variant, options: Options) -> None:
        """Build them, with the same weights for all variants."""
        torch.manual_seed(0)
        self.options, self.variant = options, variant
        with torch.device(options.device):
            self.module = make_module(options.width, variant.checkpointing, variant.draws)
        variant.prepare(self.module)
        self.optimizer: Optimizer = AdamW(self.module.parameters(), lr=1e-5, fused=True if variant.fused else None)
        self.peaks: list[float] = []

    def precision(self) -> AbstractContextManager[object]:
        """The type to compute in."""
        lower = self.variant.bfloat16 or self.options.dtype == "bfloat16"
        return torch.autocast(self.options.device, torch.bfloat16) if lower else nullcontext()

    def step(self, batch: TryOnBatch) -> float:
        """Take a step, and return its seconds over the number of noise samples."""
        cuda = self.options.device == "cuda"
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        start = now(self.options.device)
        with self.precision():
            losses, _ = self.module.losses(batch)
        torch.stack(list(losses.values())).sum().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        took = now(self.options.device) - start
        self.peaks.append(torch.cuda.max_memory_allocated() / 2**30 if cuda else 0.0)
        return took / self.variant.draws


def compare(variant: Variant, options: Options) -> tuple[float, float, float]:
    """Take steps of the plain kind and of a variant, in turns.

    Returns:
        Median seconds of a plain step and of the variant's, and the seconds that the variant's first step took longer
        than its median.
    """
    batch = draw_batch(options.resolution, options.batch, options.device)
    plain, other = Training(Variant(), options), Training(variant, options)
    plain.step(batch)
    first = other.step(batch)
    turns = [(plain.step(batch), other.step(batch)) for _ in range(options.repeats)]
    seconds, changed = (statistics.median(turn) for turn in zip(*turns, strict=True))
    return seconds, changed, first - changed


def measure(options: Options) -> None:
    """Print a row for each option."""
    print(
        f"torch {torch.__version__}; {options.resolution} px, {options.width:g} of the channels, "
        f"batch {options.batch}, {options.dtype}; {where(options.device)}, median of {options.repeats} turns"
    )
    print(f"{'option':30}{'plain step':>12}{'with it':>12}{'time':>9}{'first step':>14}")
    for name in options.only:
        torch._dynamo.reset()
        plain, changed, first = compare(VARIANTS[name], options)
        print(f"{name:30}{plain:>11.2f}s{changed:>11.2f}s{changed / plain:>8.2f}x{first:>+13.1f}s", flush=True)


if __name__ == "__main__":
    chosen_options = auto_cli(Options, as_positional=False)
    if chosen_options.threads is not None:
        torch.set_num_threads(chosen_options.threads)
    measure(chosen_options)
