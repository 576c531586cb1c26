"""A bench, figure by figure: each method measures one thing and notes it, or notes why it cannot be had."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from lightning.pytorch import Callback

from ornament_lit.batch import TryOnBatch
from ornament_lit.module import TryOnModule
from ornament_lit.profiling.batches import draw_batch, with_size, without_values
from ornament_lit.profiling.flops import count_step, without_checkpointing
from ornament_lit.profiling.largest import largest_batch
from ornament_lit.profiling.loader import measure_loader
from ornament_lit.profiling.memory import GIB
from ornament_lit.profiling.peak import compute_dtype, measure_peak
from ornament_lit.profiling.report import Figure, format_time
from ornament_lit.profiling.steps import Recipe, Steps, take_steps
from ornament_lit.utils.frozen import count_parameters

TERA = 1e12


class Build(Protocol):
    """Builds the module of a configuration."""

    def __call__(self, device: torch.device) -> TryOnModule:
        """Build it; on ``meta`` without weights."""


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        build: Builds the module.
        callbacks: Builds the callbacks that take part in a step.
        recipe: How a step is taken.
        resolution: Side of the images in pixels.
        batch_size: Samples in a batch of one process.
        world_size: Processes of the whole run.
        samples: Training samples of the whole run; None where the configuration and the data do not tell.
    """

    build: Build
    callbacks: Callable[[], Sequence[Callback]]
    recipe: Recipe
    resolution: int
    batch_size: int
    world_size: int = 1
    samples: int | None = None


@dataclass
class Session:
    """Measures a subject on a device.

    Attributes:
        subject: What is measured.
        device: Where.
        batch: The batch that steps are taken on: noise until :meth:`loader` has taken one from the data.
        figures: What was measured so far.
    """

    subject: Subject
    device: torch.device
    batch: TryOnBatch = field(init=False)
    figures: list[Figure] = field(default_factory=list)
    origin: str = "noise in memory"

    def __post_init__(self) -> None:
        """Generate a batch."""
        self.batch = draw_batch(self.subject.resolution, self.subject.batch_size)

    def note(self, name: str, value: float | None, unit: str = "", note: str = "") -> None:
        """Note a figure."""
        self.figures.append(Figure(name, value, unit, note))

    def value(self, name: str) -> float | None:
        """A figure that was noted, or None."""
        return next((figure.value for figure in self.figures if figure.name == name), None)

    def loader(self, batches: Iterable[TryOnBatch], workers: int, seconds: float) -> None:
        """Measure the loader alone, and take steps on its first batch from now on."""
        speed = measure_loader(batches, 2 * workers + 1, seconds)
        self.batch, self.origin = speed.batch, "a batch of the training data"
        note = f"{workers} workers; {speed.samples} samples, {speed.start:.1f} s until the first batch"
        self.note("loader", speed.samples_per_second, "samples/s", note)

    def sizes(self, module: TryOnModule) -> None:
        """Count the parameters."""
        trained, frozen = count_parameters(module)
        self.note("trained_parameters", trained)
        self.note("frozen_parameters", frozen)

    def flops(self) -> None:
        """Count the FLOPs of a step on the meta device; where a part does not allow that, on the device."""
        try:
            self._count(
                self.subject.build(torch.device("meta")), without_values(with_size(self.batch, 1)), "meta device"
            )
        except (NotImplementedError, RuntimeError, ValueError) as error:
            why = str(error).partition("\n")[0]
            module = self.subject.build(self.device).to(self.device).float()
            batch = with_size(self.batch, 1)
            moved: TryOnBatch = module.transfer_batch_to_device(batch, self.device, 0)
            self._count(module, moved, f"on {self.device.type}, in float32: the meta device refused ({why})")

    def _count(self, module: TryOnModule, batch: TryOnBatch, where: str) -> None:
        self.sizes(module)
        computed = count_step(module, batch) / TERA
        with without_checkpointing(module) as recomputes:
            needed = count_step(module, batch) / TERA if recomputes else computed
        note = f"forward and backward, counted: {where}"
        self.note("step_flop", needed, "TFLOP/sample", note)
        if recomputes:
            self.note("step_flop_computed", computed, "TFLOP/sample", "with what gradient checkpointing computes again")

    def peak(self, seconds: float) -> None:
        """Measure how fast the device multiplies matrices."""
        dtype = compute_dtype(self.subject.recipe.precision)
        name = str(dtype).removeprefix("torch.")
        flops = measure_peak(self.device, dtype, seconds)
        self.note("matmul_peak", flops / TERA, "TFLOP/s", f"fastest large product in {name}, measured")

    def steps(self, counted: int, warm_up: int, advance: Callable[[], object] = lambda: None) -> Steps:
        """Time training steps."""
        subject = self.subject
        module = subject.build(self.device)
        took = take_steps(
            module, self.batch, subject.recipe, self.device, counted, warm_up, subject.callbacks(), advance
        )
        self.note("step", statistics.median(took.seconds), "s", f"median of {counted}, {took.samples} samples each")
        self.note("training", took.samples_per_second, "samples/s", f"one device, {self.origin}")
        kind = (
            "reserved on the GPU"
            if self.device.type == "cuda"
            else "resident in this process, the bench's own included"
        )
        self.note("peak_memory", took.peak / GIB, "GiB", kind)
        return took

    def share_of_peak(self) -> None:
        """Relate the FLOPs of the steps to the peak."""
        pace, peak = self.value("training"), self.value("matmul_peak")
        for name, flop in (("mfu", "step_flop"), ("hfu", "step_flop_computed")):
            each = self.value(flop)
            if pace is None or peak is None or (each is None and name == "mfu"):
                self.note(name, None, note="needs the FLOPs, the steps and the matmul peak")
                return
            if each is not None:
                note = "share of the matmul peak" + (", recomputation counted" if name == "hfu" else "")
                self.note(name, 100 * pace * each / peak, "%", note)

    def margin(self) -> None:
        """Relate the loader's pace to that of the steps."""
        pace, loader = self.value("training"), self.value("loader")
        if pace is None or loader is None:
            self.note("loader_margin", None, note="needs the training data and the steps")
            return
        note = "the loader alone over the steps" + (": below 1, training waits for data" if loader < pace else "")
        self.note("loader_margin", loader / pace, "x", note)

    def largest(self, measure: Callable[[int], int | None], limit: int, first: int = 1) -> None:
        """Look for the largest batch that fits."""
        fit = largest_batch(measure, limit, first, 2 * first)
        note = f"{fit.peak / GIB:.2f} of {limit / GIB:.2f} GiB, run" if fit.size else f"{first} does not fit"
        self.note("largest_batch", fit.size, "samples", note)

    def estimate(self) -> None:
        """Estimate the time of the whole run."""
        pace, samples, world = self.value("training"), self.subject.samples, self.subject.world_size
        if pace is None or samples is None:
            self.note("whole_run", None, note="needs the steps, and max_epochs and samples_per_epoch, or max_steps")
            return
        seconds = samples / (pace * world)
        loader = self.value("loader")
        note = f"{format_time(seconds)}: {samples:,} samples on {world} of these devices, communication not counted"
        if loader is not None and loader < pace:
            note += f"; {format_time(samples / (loader * world))} at the loader's pace"
        self.note("whole_run", seconds / 3600, "h", note)
