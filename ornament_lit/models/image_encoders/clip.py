"""CLIPImageEncoder: the tokens of a frozen CLIP vision model."""

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPVisionModel
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from ornament_lit.models.image_encoders.base import ImageEncoder
from ornament_lit.models.pretrained import freeze, load_pretrained


class CLIPImageEncoder(ImageEncoder):
    """All tokens of a frozen CLIP vision model (class and patches), projected to the cross-attention's width.

    Args:
        path: A local folder in the transformers format, or the id of a hub repository (``owner/name``).
        subfolder: Folder of the vision model inside it, if any.
        token_dim: D, the UNet's ``cross_attention_dim``.
        variant: Word in the names of the files with weights, such as ``fp16``; null for none.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        path: str = "openai/clip-vit-large-patch14",
        subfolder: str | None = None,
        token_dim: int = 768,
        variant: str | None = None,
    ) -> None:
        super().__init__()
        self.clip = freeze(load_pretrained(CLIPVisionModel, path, subfolder, variant=variant))
        config = self.clip.config
        self.image_size: int = config.image_size
        self.num_tokens = (config.image_size // config.patch_size) ** 2 + 1
        self.token_dim = token_dim
        self.norm = nn.LayerNorm(config.hidden_size)
        self.projection = nn.Linear(config.hidden_size, token_dim)
        self.register_buffer("mean", torch.tensor(OPENAI_CLIP_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(OPENAI_CLIP_STD).view(3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> Self:
        """Keep the CLIP model in evaluation mode: it is never trained."""
        super().train(mode)
        self.clip.eval()
        return self

    @torch.no_grad()
    def extract(self, images: Tensor) -> Tensor:
        """Encode images, (B, 3, H, W) in [-1, 1], to the last hidden states of CLIP, (B, num_tokens, F)."""
        size = (self.image_size, self.image_size)
        # in float32, since CPUs cannot do it in bfloat16
        resized = F.interpolate(images.float(), size=size, mode="bicubic", antialias=True, align_corners=False)
        pixels = ((resized.clamp(-1, 1) + 1) / 2 - self.mean) / self.std
        features: Tensor = self.clip(pixel_values=pixels.to(images.dtype)).last_hidden_state
        return features

    def project(self, features: Tensor) -> Tensor:
        """Project hidden states, (B, num_tokens, F), to (B, num_tokens, token_dim)."""
        tokens: Tensor = self.projection(self.norm(features))
        return tokens
