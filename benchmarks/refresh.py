"""What sampling costs by refresh policy, against plain inpainting with the UNet alone: FLOPs by count, and time.

Weights are random and shaped as Stable Diffusion 1.5's; every sampling is guided (two halves a step). Sampling with n
steps costs ``cost(1) + (n - 1) (cost(2) - cost(1))``, since all steps but the first cost the same: only samplings of
one and of two steps are run. ``python -m benchmarks.refresh --help``.
"""

import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Literal
from unittest.mock import patch

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from jsonargparse import auto_cli
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.sd15 import TOKEN_DIM, draw_batch, draw_conditioning, make_module, make_unet, now, where
from ornament_lit.diffusion.refresh_policies import RefreshEverySteps, RefreshOnce
from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.models.conditioning import Conditioning
from ornament_lit.module import TryOnModule

PLAIN, APART = "plain inpainting", "plain, a call a half"
ONCE, EVERY, STABLE = "RefreshOnce", "RefreshEverySteps", "RefreshUntilStable"
POLICIES = {ONCE: RefreshOnce, EVERY: RefreshEverySteps}
TEXT_TOKENS = 77


@dataclass(frozen=True)
class Options:
    """Count and time guided sampling by refresh policy, without autoencoder and CLIP.

    Attributes:
        resolution: Side of the images in pixels.
        width: Channels of the UNets over those of Stable Diffusion 1.5, a multiple of 0.125.
        batch: Images generated at once.
        steps: Denoising steps that costs are extrapolated to.
        guidance_scale: Anything but 1, so that each step has two halves.
        counted_resolution: Side of the images that FLOPs are also counted at, with all channels; 0 for not.
        device: Where samplings are timed.
        repeats: Samplings of each kind that are timed, in turns; the median is printed.
        threads: Threads of torch on the CPU; null for its default.
    """

    resolution: int = 256
    width: float = 0.5
    batch: int = 1
    steps: int = 30
    guidance_scale: float = 2.0
    counted_resolution: int = 512
    device: Literal["cpu", "cuda"] = "cuda" if torch.cuda.is_available() else "cpu"
    repeats: int = 3
    threads: int | None = None


Samplings = dict[tuple[str, int], Callable[[], None]]
"""What generates, by kind and number of steps."""

Costs = dict[tuple[str, int], float]
"""What each sampling costs."""


def prepare(options: Options, resolution: int, width: float, device: str) -> Samplings:
    """Build the networks, and a function for each kind and number of steps."""
    with torch.device(device):
        module, plain = make_module(width).eval().requires_grad_(False), make_unet(width).eval().requires_grad_(False)
        module.noise_scheduler = DDIMScheduler.from_config(module.noise_scheduler.config)
    conditioning = draw_conditioning(module, draw_batch(resolution, options.batch, device))
    samplings: Samplings = {}
    for steps in (1, 2):
        for name in (PLAIN, APART):
            together = name == PLAIN
            samplings[name, steps] = partial(inpaint, plain, module, conditioning, steps, options, together)
        for name, policy in POLICIES.items():
            sampler = Sampler(steps, options.guidance_scale, refresh=policy())
            samplings[name, steps] = partial(generate, sampler, module, conditioning)
    return samplings


def generate(sampler: Sampler, module: TryOnModule, conditioning: Conditioning) -> None:
    """Generate with the method."""
    seeds = torch.arange(len(conditioning.box_mask))
    sampler(module.model, module.noise_scheduler, conditioning, seeds)


@torch.no_grad()
def inpaint(
    unet: UNet2DConditionModel,
    module: TryOnModule,
    conditioning: Conditioning,
    steps: int,
    options: Options,
    together: bool,
) -> None:
    """Generate as an inpainting pipeline of Stable Diffusion does, with text tokens and no reference.

    Args:
        unet: The UNet.
        module: Gives the scheduler.
        conditioning: The batch that is generated.
        steps: Denoising steps.
        options: The scale.
        together: Both halves of a step in one call, as the pipelines do, or in a call each.
    """
    scheduler = DDIMScheduler.from_config(module.noise_scheduler.config)
    latents = conditioning.masked_person_latents.clone()
    scheduler.set_timesteps(steps, device=latents.device)
    count = len(latents)
    tokens = latents.new_zeros(2 * count, TEXT_TOKENS, TOKEN_DIM)
    calls = [slice(None)] if together else [slice(count), slice(count, None)]
    for timestep in scheduler.timesteps:
        inputs = torch.cat([latents, conditioning.box_mask, conditioning.masked_person_latents], dim=1)
        doubled = torch.cat([inputs] * 2)
        halves = torch.cat([unet(doubled[rows], timestep, tokens[rows]).sample for rows in calls])
        unconditional, conditional = halves.chunk(2)
        prediction = torch.lerp(unconditional, conditional, options.guidance_scale)
        latents = scheduler.step(prediction, timestep, latents).prev_sample


def count_flops(options: Options, resolution: int, width: float) -> Costs:
    """TFLOP of each sampling of one image, on the meta device, which costs no memory."""
    costs: Costs = {}
    single = Options(guidance_scale=options.guidance_scale, batch=1)
    with skip_scheduler():
        for key, run in prepare(single, resolution, width, "meta").items():
            with FlopCounterMode(display=False) as counter:
                run()
            costs[key] = counter.get_total_flops() / 1e12
    return costs


def skip_scheduler() -> AbstractContextManager[object]:
    """Within this context a step of the scheduler changes nothing: it costs nothing and cannot run on meta tensors."""

    def stay(scheduler: DDIMScheduler, prediction: Tensor, timestep: Tensor, latents: Tensor) -> SimpleNamespace:
        return SimpleNamespace(prev_sample=latents)

    def number(scheduler: DDIMScheduler, steps: int, device: torch.device) -> None:
        scheduler.timesteps = torch.arange(steps)

    return patch.multiple(DDIMScheduler, step=stay, set_timesteps=number)


def time_drawings(options: Options) -> Costs:
    """Median seconds of each sampling; they take turns, after one turn that is not counted."""
    samplings = prepare(options, options.resolution, options.width, options.device)
    turns: list[Costs] = []
    for _ in range(options.repeats + 1):
        took: Costs = {}
        for key, run in samplings.items():
            start = now(options.device)
            run()
            took[key] = now(options.device) - start
        turns.append(took)
    return {key: statistics.median(turn[key] for turn in turns[1:]) for key in samplings}


def extrapolate(costs: Costs, steps: int) -> dict[str, float]:
    """What sampling with ``steps`` steps costs, by kind.

    That of :class:`RefreshUntilStable` depends on the images. Its least is put together from the others: the mask is
    found to be stable by the one refresh before the second step.
    """
    further = {name: costs[name, 2] - costs[name, 1] for name in (PLAIN, APART, *POLICIES)}
    total = {name: costs[name, 1] + (steps - 1) * each for name, each in further.items()}
    total[f"{STABLE}, at best"] = costs[EVERY, 2] + (steps - 2) * further[ONCE]
    return total


def table(title: str, totals: dict[str, dict[str, float]]) -> str:
    """Costs by kind and measure, and their ratios to plain inpainting."""
    lines = [title, f"  {'':28}" + "".join(f"{measure:>26}" for measure in totals)]
    for name in next(iter(totals.values())):
        cells = [f"{total[name]:>18.2f}{total[name] / total[PLAIN]:>7.2f}x" for total in totals.values()]
        lines.append(f"  {name:28}{''.join(cells)}")
    return "\n".join(lines)


def measure(options: Options) -> None:
    """Print the tables."""
    if options.counted_resolution:
        counted = extrapolate(count_flops(options, options.counted_resolution, 1.0), options.steps)
        print(table(f"{options.counted_resolution} px, all channels, {options.steps} steps", {"TFLOP": counted}))
    totals = {
        "TFLOP": extrapolate(count_flops(options, options.resolution, options.width), options.steps),
        where(options.device): extrapolate(time_drawings(options), options.steps),
    }
    print(table(f"{options.resolution} px, {options.width:g} of the channels, {options.steps} steps", totals))


if __name__ == "__main__":
    chosen_options = auto_cli(Options, as_positional=False)
    if chosen_options.threads is not None:
        torch.set_num_threads(chosen_options.threads)
    measure(chosen_options)
