"""Networks shaped as Stable Diffusion 1.5's, with random weights and any share of its channels, and what they are fed.

The autoencoder and CLIP are not here: the batches bring their latents and image features along, as those of ``data
latents`` do, so that only what trains is measured.

Shape legend: B batch, h, w latent size, L = 257 image tokens of D = 768 channels.
"""

import math
import time

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import Tensor, nn

from ornament_lit.batch import EncodedImages, TryOnBatch
from ornament_lit.losses import DiffusionLoss
from ornament_lit.losses.attention import MaskGuidedAttentionLoss
from ornament_lit.models.autoencoders import Autoencoder
from ornament_lit.models.conditioning import Conditioning, make_conditioning
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import ImageEncoder
from ornament_lit.models.mask_heads import PoseAwareMaskHead
from ornament_lit.models.reference_nets import UNetReferenceNet
from ornament_lit.module import TryOnModule
from ornament_lit.profiling import batches

PIXELS = 8
"""Pixels per latent along a side."""

TOKENS, TOKEN_DIM, FEATURE_DIM = 257, 768, 1024
"""CLIP ViT-L/14's tokens, the UNet's cross-attention and CLIP's own width."""


class GivenLatents(Autoencoder):
    """Stands for an autoencoder where all latents are given."""

    latent_channels, downsample_factor = 4, PIXELS

    def encode(self, images: Tensor) -> Tensor:
        """Refuse."""
        raise NotImplementedError("the latents of this batch must be given")

    def decode(self, latents: Tensor) -> Tensor:
        """Refuse."""
        raise NotImplementedError("there is no autoencoder here")


class GivenFeatures(ImageEncoder):
    """Stands for CLIP where its features are given: the trained projection alone."""

    num_tokens, token_dim = TOKENS, TOKEN_DIM

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(FEATURE_DIM)
        self.projection = nn.Linear(FEATURE_DIM, TOKEN_DIM)

    def extract(self, images: Tensor, masks: Tensor | None = None) -> Tensor:
        """Refuse."""
        raise NotImplementedError("the image features of this batch must be given")

    def project(self, features: Tensor) -> Tensor:
        """Project features, (B, L, 1024), to tokens, (B, L, D)."""
        tokens: Tensor = self.projection(self.norm(features))
        return tokens


def make_unet(width: float = 1.0, in_channels: int = 9) -> UNet2DConditionModel:
    """The UNet with a share of its channels; heads have their 40 to 160 channels whatever the share.

    Args:
        width: Channels over those of Stable Diffusion 1.5, a multiple of 1/8.
        in_channels: Input channels.

    Raises:
        ValueError: If ``width`` is no multiple of 1/8.
    """
    heads = round(8 * width)
    if heads < 1 or heads != 8 * width:
        raise ValueError(f"width must be a multiple of 0.125, got {width}")
    return UNet2DConditionModel(
        sample_size=64,
        in_channels=in_channels,
        block_out_channels=[40 * heads * factor for factor in (1, 2, 4, 4)],
        norm_num_groups=math.gcd(32, 40 * heads),
        attention_head_dim=heads,
        cross_attention_dim=TOKEN_DIM,
    )


def make_module(width: float = 1.0, checkpointing: bool = False, draws: int = 1) -> TryOnModule:
    """The method of the paper without its frozen encoders, in training mode, on torch's current device.

    Args:
        width: See :func:`make_unet`.
        checkpointing: Recompute activations in the backward pass.
        draws: Noises that each sample is denoised from.
    """
    return TryOnModule(
        GivenLatents(),
        GivenFeatures(),
        Denoiser(make_unet(width), gradient_checkpointing=checkpointing),
        DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012),
        UNetReferenceNet("canvas", gradient_checkpointing=checkpointing),
        PoseAwareMaskHead(num_iterations=3),
        MaskGuidedAttentionLoss(),
        diffusion_loss=DiffusionLoss(num_noise_samples=draws),
    ).train()


def draw_batch(resolution: int, size: int, device: str) -> TryOnBatch:
    """A batch of noise with a box in the middle, whose encodings are given.

    Args:
        resolution: Side of the images in pixels.
        size: B.
        device: Where its tensors are.
    """
    side = resolution // PIXELS
    names = ("person_latents", "masked_person_latents", "ornament_latents")
    latents = {name: torch.randn(size, 4, side, side).to(device) for name in names}
    features = torch.randn(size, TOKENS, FEATURE_DIM).to(device)
    encoded = EncodedImages(**latents, image_features=features)  # type: ignore[typeddict-item]
    return {**batches.draw_batch(resolution, size, device), "encoded": encoded}


def draw_conditioning(module: TryOnModule, batch: TryOnBatch) -> Conditioning:
    """The conditioning that a module makes of a batch, to sample with."""
    return make_conditioning(batch, batch["encoded"], module.model.image_encoder)


def now(device: str) -> float:
    """CPU seconds of this process, since others may share the processor; on a GPU, seconds after it is done."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def where(device: str) -> str:
    """The device, in words, with its clock."""
    return torch.cuda.get_device_name() if device == "cuda" else f"CPU seconds, {torch.get_num_threads()} threads"
