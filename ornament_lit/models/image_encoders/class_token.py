"""ClassTokenImageEncoder: one token, from the class token of a frozen CLIP vision model."""

import torch
from diffusers.models.attention import BasicTransformerBlock
from torch import Tensor, nn
from transformers import CLIPVisionModel

from ornament_lit.models.image_encoders.frozen import FrozenImageEncoder, clip_pixels
from ornament_lit.models.pretrained import freeze, load_pretrained


class ClassTokenImageEncoder(FrozenImageEncoder):
    """Paint-by-Example's encoder (Yang et al., 2023): CLIP's class token, and trained blocks after it.

    The null token is learned. One token tells what the ornament is like and not where anything in it is.

    Args:
        path: A local folder in the transformers format, or the id of a hub repository (``owner/name``).
        subfolder: Folder of the vision model inside it, if any.
        token_dim: D, the UNet's ``cross_attention_dim``.
        num_blocks: Transformer blocks after CLIP, of its width.
        num_heads: Heads of their attention.
        variant: Word in the names of the files with weights, such as ``fp16``; null for none.
        revision: Branch, tag or commit of the hub repository; null for its main branch.

    Raises:
        ValueError: If CLIP's width is no multiple of ``num_heads``.
    """

    def __init__(
        self,
        path: str = "openai/clip-vit-large-patch14",
        subfolder: str | None = None,
        token_dim: int = 768,
        num_blocks: int = 5,
        num_heads: int = 1,
        variant: str | None = None,
        revision: str | None = None,
    ) -> None:
        clip = freeze(load_pretrained(CLIPVisionModel, path, subfolder, variant=variant, revision=revision))
        width = clip.config.hidden_size
        if width % num_heads:
            raise ValueError(f"num_heads must divide CLIP's width, got {num_heads} for {width}; choose a divisor")
        super().__init__(clip_pixels(clip.config), token_dim)
        self.clip = clip
        self.num_tokens = 1
        self.num_blocks = num_blocks
        self.num_heads = num_heads
        self.mapper = nn.Sequential(*(_block(width, num_heads) for _ in range(num_blocks)))
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, token_dim)
        # a module of its own with a forward: weights that are sharded are gathered when one is called
        self.null = nn.Embedding(1, token_dim)

    def features_of(self, pixels: Tensor) -> Tensor:
        """CLIP's class token after the last layer norm, (B, 1, F)."""
        features: Tensor = self.clip(pixel_values=pixels).pooler_output
        return features.unsqueeze(1)

    def project(self, features: Tensor) -> Tensor:
        """Turn class tokens, (B, 1, F), into tokens, (B, 1, token_dim)."""
        tokens: Tensor = self.projection(self.norm(self.mapper(features)))
        return tokens

    def null_tokens(self, tokens: Tensor) -> Tensor:
        """The learned vector, repeated to (B, 1, token_dim)."""
        vector: Tensor = self.null(torch.zeros(1, dtype=torch.long, device=tokens.device))
        return vector.to(tokens.dtype).expand_as(tokens)


def _block(width: int, num_heads: int) -> BasicTransformerBlock:
    """A block with norms before self-attention and feed-forward, and biases everywhere."""
    return BasicTransformerBlock(width, num_heads, width // num_heads, activation_fn="gelu", attention_bias=True)
