"""What image encoders on a frozen vision model share."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PretrainedConfig
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from ornament_lit.models.image_encoders.base import ImageEncoder
from ornament_lit.utils.frozen import is_frozen


class Pixels(nn.Module):
    """Prepare images for a vision model: resize them, and bring their colours to its mean and deviation.

    Args:
        size: Side of the pictures that the model takes.
        mean: Of red, green and blue in [0, 1].
        std: Their standard deviations.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, size: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Prepare images, (B, 3, H, W) in [-1, 1], as (B, 3, size, size) of the same type."""
        size = (self.size, self.size)
        # in float32, since CPUs cannot do it in bfloat16
        resized = F.interpolate(images.float(), size=size, mode="bicubic", antialias=True, align_corners=False)
        pixels = ((resized.clamp(-1, 1) + 1) / 2 - self.mean) / self.std
        return pixels.to(images.dtype)


class FrozenImageEncoder(ImageEncoder):
    """Base of encoders whose features come from a frozen model, which stays in evaluation mode.

    To add one: load the model with ``freeze``, keep it as an attribute, implement ``features_of``.

    Args:
        pixels: Prepares images for the model.
        token_dim: D, the UNet's ``cross_attention_dim``.
    """

    def __init__(self, pixels: Pixels, token_dim: int) -> None:
        super().__init__()
        self.pixels = pixels
        self.image_size = pixels.size
        self.token_dim = token_dim

    @abstractmethod
    def features_of(self, pixels: Tensor) -> Tensor:
        """Ask the frozen model.

        Args:
            pixels: (B, 3, image_size, image_size), as :class:`Pixels` prepares them.

        Returns:
            (B, L, F).
        """

    @torch.no_grad()
    def extract(self, images: Tensor, masks: Tensor | None = None) -> Tensor:
        """Prepare images, (B, 3, H, W) in [-1, 1], and ask the frozen model for (B, L, F); masks are ignored."""
        return self.features_of(self.pixels(images))

    def train(self, mode: bool = True) -> Self:
        """Keep the frozen model in evaluation mode: it is never trained."""
        super().train(mode)
        for part in self.children():
            if is_frozen(part):
                part.eval()
        return self


class NullPictureImageEncoder(FrozenImageEncoder):
    """Base of encoders whose null tokens are those of one picture.

    Its features depend on frozen weights alone, so they are computed when these are loaded, and no step does it. They
    are in no state dictionary.
    """

    null_pixels: Tensor
    null_features: Tensor

    @torch.no_grad()
    def keep_null_features(self, pixels: Tensor) -> None:
        """Compute what the frozen model makes of the null picture, now and whenever weights are loaded into it.

        To be called by the constructor, once the model is there.

        Args:
            pixels: (1, 3, image_size, image_size), as :class:`Pixels` prepares them.
        """
        weight = next(parameter for parameter in self.parameters() if not parameter.requires_grad)
        self.register_buffer("null_pixels", pixels.to(weight), persistent=False)
        self.register_buffer("null_features", self.features_of(self.null_pixels), persistent=False)
        self.register_load_state_dict_post_hook(_compute_null_features)  # type: ignore[no-untyped-call]

    def null_tokens(self, tokens: Tensor) -> Tensor:
        """Project the features of the null picture, and repeat them to (B, L, D)."""
        return self.project(self.null_features).to(tokens.dtype).expand_as(tokens)


@torch.no_grad()
def _compute_null_features(encoder: NullPictureImageEncoder, _: object) -> None:
    """Ask the frozen model for the null picture again, after other weights were loaded into it."""
    encoder.null_features = encoder.features_of(encoder.null_pixels)


def clip_pixels(config: PretrainedConfig) -> Pixels:
    """Pixels as a CLIP vision model of this configuration takes them."""
    return Pixels(config.image_size, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
