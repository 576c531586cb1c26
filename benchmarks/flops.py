"""FLOPs of a training step of Stable Diffusion 1.5's size by count, from the method taken literally to what we compute.

Counted by torch on the meta device, forward and backward; a FLOP is an addition or a multiplication.
``python -m benchmarks.flops --help``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from jsonargparse import auto_cli
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPVisionModel

from benchmarks.sd15 import TOKEN_DIM, TOKENS, draw_batch, make_module
from ornament_lit.models.attention_layers import install_processors
from ornament_lit.models.random_weights import build_random
from ornament_lit.models.reference_nets import ReferenceNet, UNetReferenceNet
from ornament_lit.models.unet import cut_tail, widen_input
from ornament_lit.module import TryOnModule

ENCODED_IMAGES = 3
"""Person, masked person and ornament."""


@dataclass(frozen=True)
class Options:
    """Count the FLOPs of a training step, for each sample and noise.

    Attributes:
        resolution: Side of the images in pixels.
        width: Channels of the UNets over those of Stable Diffusion 1.5, a multiple of 0.125.
    """

    resolution: int = 512
    width: float = 1.0


class LiteralReferenceNet(UNetReferenceNet):
    """A copy of the UNet with its cross-attention to all image tokens and, if asked for, its tail.

    Args:
        tail: Keep what lies behind the last self-attention's input.
    """

    def __init__(self, tail: bool) -> None:
        super().__init__("canvas")
        self.tail = tail

    def attach(self, unet: UNet2DConditionModel) -> None:
        """Build a UNet of the same shape."""
        self.unet = UNet2DConditionModel.from_config(unet.config)
        widen_input(self.unet, 5, keep=4)
        if not self.tail:
            cut_tail(self.unet)
        install_processors(self.unet)
        self.feature_channels = unet.config.block_out_channels[0]
        self.unet.register_forward_pre_hook(give_tokens, with_kwargs=True)


def give_tokens(
    unet: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, object]
) -> tuple[tuple[Tensor, ...], dict[str, object]]:
    """Let a UNet see as many tokens as the denoiser does."""
    tokens = args[0].new_zeros(len(args[0]), TOKENS, TOKEN_DIM)
    return args, {**kwargs, "encoder_hidden_states": tokens}


def count(run: Callable[[], object]) -> float:
    """TFLOP of a function."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 1e12


def count_encoders(resolution: int) -> tuple[float, float]:
    """TFLOP of the autoencoder's three images, and of CLIP ViT-L/14's one, forward."""
    with torch.device("meta"), torch.no_grad():
        vae = build_random(AutoencoderKL, "stable-diffusion-v1-5")
        clip = build_random(CLIPVisionModel, "clip-vit-large-patch14")
        images, small = torch.empty(ENCODED_IMAGES, 3, resolution, resolution), torch.empty(1, 3, 224, 224)
        return count(lambda: vae.encode(images)), count(lambda: clip(small))


def count_step(
    options: Options, reference_net: ReferenceNet | None = None, draws: int = 1, checkpointing: bool = False
) -> float:
    """TFLOP of losses and gradients, of one sample and one noise.

    Args:
        options: Sizes.
        reference_net: Another reference net than the canvas of ours.
        draws: Noises that the sample is denoised from.
        checkpointing: Recompute activations in the backward pass.
    """
    with torch.device("meta"):
        module: TryOnModule = make_module(options.width, checkpointing, draws)
        if reference_net is not None:
            reference_net.attach(module.model.denoiser.unet)
            module.model.reference_net = reference_net.train()

    def step() -> None:
        losses, _ = module.losses(draw_batch(options.resolution, 1, "meta"))
        torch.stack(list(losses.values())).sum().backward()

    return count(step) / draws


def measure(options: Options) -> None:
    """Print the table: each of the first rows adds something to the row before it."""
    images, clip = count_encoders(options.resolution)
    literal = count_step(options, LiteralReferenceNet(tail=True))
    ours = count_step(options)
    rows = {
        "literal: three images through the autoencoder, one through CLIP": literal + images + clip,
        "+ latents computed beforehand (data latents)": literal + clip,
        "+ image features computed beforehand (data latents)": literal,
        "+ tail of the reference net removed (always)": count_step(options, LiteralReferenceNet(tail=False)),
        "+ one folded null token in the reference net (always)": ours,
        "+ two noises a pair (num_noise_samples: 2)": count_step(options, draws=2),
        "ours, reference net as two rows (layout: rows)": count_step(options, UNetReferenceNet("rows")),
        "ours, gradient checkpointing": count_step(options, checkpointing=True),
    }
    print(f"TFLOP a sample and noise, {options.resolution} px, {options.width:g} of the channels")
    for name, tera in rows.items():
        print(f"  {name:68}{tera:>8.3f}{tera / (literal + images + clip):>8.2f}x")


if __name__ == "__main__":
    measure(auto_cli(Options, as_positional=False))
