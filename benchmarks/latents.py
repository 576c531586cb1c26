"""A training step that takes precomputed latents against one that encodes its images.

Weights are random, shapes are those of Stable Diffusion 1.5 and CLIP ViT-L/14. FLOPs are counted on the meta device of
torch, so that the full size costs no memory; steps are timed on a device. ``python benchmarks/latents.py --help``.
"""

import statistics
import time
from dataclasses import dataclass, replace
from typing import Literal

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from jsonargparse import auto_cli
from torch.utils.flop_counter import FlopCounterMode

from ornament_lit.batch import LATENTS, EncodedImages, TryOnBatch
from ornament_lit.losses.attention import MaskGuidedAttentionLoss
from ornament_lit.models.autoencoders import KLAutoencoder
from ornament_lit.models.conditioning import encode_images
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import CLIPImageEncoder
from ornament_lit.models.mask_heads import PoseAwareMaskHead
from ornament_lit.models.reference_nets import UNetReferenceNet
from ornament_lit.module import TryOnModule
from ornament_lit.profiling.batches import draw_batch

KINDS = ("images", "latents", "latents and image tokens")


@dataclass(frozen=True)
class Options:
    """Count and time a training step (losses and gradients) with and without precomputed latents.

    Attributes:
        resolution: Side of the images that FLOPs are counted at.
        timed_resolution: Side of the images that steps are timed at; 0 for no timing.
        timed_width: Channels of the timed UNets over those of Stable Diffusion 1.5: 0.25, 0.5 or 1. The autoencoder
            and CLIP are always whole, so that a narrow UNet makes the gain look greater.
        batch: Samples in a step.
        device: Where steps are timed.
        repeats: Steps of each kind that are timed, in turns; the median is printed.
        threads: Threads of torch on the CPU; null for its default.
    """

    resolution: int = 512
    timed_resolution: int = 128
    timed_width: float = 0.5
    batch: int = 1
    device: Literal["cpu", "cuda"] = "cuda" if torch.cuda.is_available() else "cpu"
    repeats: int = 3
    threads: int | None = None


def build(width: float = 1.0) -> TryOnModule:
    """The method of the paper with random weights, in training mode, on torch's current device."""
    unet = UNet2DConditionModel(
        sample_size=64,
        block_out_channels=[round(width * channels) for channels in (320, 640, 1280, 1280)],
        attention_head_dim=8,
        cross_attention_dim=768,
    )
    encoders = (
        KLAutoencoder("random:stable-diffusion-v1-5/stable-diffusion-v1-5"),
        CLIPImageEncoder("random:openai/clip-vit-large-patch14", token_dim=768),
    )
    return TryOnModule(
        *encoders,
        denoiser=Denoiser(unet),
        noise_scheduler=DDPMScheduler(),
        reference_net=UNetReferenceNet(),
        mask_head=PoseAwareMaskHead(num_iterations=3),
        attention_loss=MaskGuidedAttentionLoss(),
    ).train()


def draw_batches(module: TryOnModule, options: Options, resolution: int, device: str) -> dict[str, TryOnBatch]:
    """One batch of each kind, which differ in what they bring along only."""
    batch = draw_batch(resolution, options.batch, device)
    encoded = encode_images(batch, module.model.autoencoder, module.model.image_encoder)
    latents = EncodedImages(**{name: encoded[name] for name in LATENTS})  # type: ignore[literal-required]
    return dict(zip(KINDS, (batch, {**batch, "encoded": latents}, {**batch, "encoded": encoded}), strict=True))


def step(module: TryOnModule, batch: TryOnBatch) -> None:
    """Losses and gradients."""
    module.zero_grad()
    losses, _ = module.losses(batch)
    torch.stack(list(losses.values())).sum().backward()


def count_flops(options: Options, resolution: int, width: float = 1.0) -> dict[str, float]:
    """TFLOP of a step of each kind for one sample."""
    with torch.device("meta"):
        module = build(width)
    counts = {}
    for name, batch in draw_batches(module, replace(options, batch=1), resolution, "meta").items():
        with FlopCounterMode(display=False) as counter:
            step(module, batch)
        counts[name] = counter.get_total_flops() / 1e12
    return counts


def time_steps(options: Options) -> dict[str, float]:
    """Median seconds of a step of each kind; they take turns, after one turn that is not counted."""
    with torch.device(options.device):
        module = build(options.timed_width)
    batches = draw_batches(module, options, options.timed_resolution, options.device)
    turns: list[dict[str, float]] = []
    for _ in range(options.repeats + 1):
        took = {}
        for name, batch in batches.items():
            start = now(options.device)
            step(module, batch)
            took[name] = now(options.device) - start
        turns.append(took)
    return {name: statistics.median(turn[name] for turn in turns[1:]) for name in batches}


def now(device: str) -> float:
    """CPU seconds of this process, since others may share the processor; on a GPU, seconds after it is done."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def table(title: str, values: dict[str, float]) -> str:
    """Values of each kind, and their ratios to encoding images."""
    rows = [f"  {name:26}{value:>10.3f}{value / values[KINDS[0]]:>8.3f}x" for name, value in values.items()]
    return "\n".join([title, *rows])


def measure(options: Options) -> None:
    """Print the tables."""
    print(table(f"TFLOP a sample and step at {options.resolution} px", count_flops(options, options.resolution)))
    if not options.timed_resolution:
        return
    size = f"{options.timed_resolution} px, UNets of {options.timed_width:g} of their width"
    print(
        table(f"TFLOP a sample and step at {size}", count_flops(options, options.timed_resolution, options.timed_width))
    )
    where = (
        torch.cuda.get_device_name() if options.device == "cuda" else f"CPU seconds, {torch.get_num_threads()} threads"
    )
    print(table(f"median of {options.repeats} steps of {options.batch} at {size} ({where})", time_steps(options)))


if __name__ == "__main__":
    chosen_options = auto_cli(Options, as_positional=False)
    if chosen_options.threads is not None:
        torch.set_num_threads(chosen_options.threads)
    measure(chosen_options)
