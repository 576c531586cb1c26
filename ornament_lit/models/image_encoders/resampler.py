"""ResamplerImageEncoder: a few tokens that ask all tokens of a frozen CLIP vision model."""

import torch
from diffusers.models.embeddings import IPAdapterPlusImageProjection
from torch import Tensor
from transformers import CLIPVisionModel

from ornament_lit.models.image_encoders.frozen import NullPictureImageEncoder, clip_pixels
from ornament_lit.models.pretrained import freeze, load_pretrained


class ResamplerImageEncoder(NullPictureImageEncoder):
    """IP-Adapter-plus's encoder (Ye et al., 2023), which IDM-VTON uses, too: learned queries of CLIP's hidden states.

    The hidden states are those before CLIP's last layer. The null tokens are what the trained part makes of pixels
    that are zero once they are prepared: a picture of the mean colour.

    Args:
        path: A local folder in the transformers format, or the id of a hub repository (``owner/name``).
        subfolder: Folder of the vision model inside it, if any.
        token_dim: D, the UNet's ``cross_attention_dim``.
        num_tokens: L, learned queries.
        width: Channels of the queries.
        depth: Blocks of attention and feed-forward.
        heads: Heads of an attention.
        variant: Word in the names of the files with weights, such as ``fp16``; null for none.
        revision: Branch, tag or commit of the hub repository; null for its main branch.

    Raises:
        ValueError: If ``width`` is no multiple of ``heads``.
    """

    def __init__(
        self,
        path: str = "h94/IP-Adapter",
        subfolder: str | None = None,
        token_dim: int = 768,
        num_tokens: int = 16,
        width: int = 768,
        depth: int = 4,
        heads: int = 12,
        variant: str | None = None,
        revision: str | None = None,
    ) -> None:
        if width % heads:
            raise ValueError(f"heads must divide width, got {heads} for {width}; choose a divisor")
        clip = freeze(load_pretrained(CLIPVisionModel, path, subfolder, variant=variant, revision=revision))
        super().__init__(clip_pixels(clip.config), token_dim)
        self.clip = clip
        self.num_tokens = num_tokens
        self.width = width
        self.depth = depth
        self.heads = heads
        self.projection = IPAdapterPlusImageProjection(
            embed_dims=clip.config.hidden_size,
            output_dims=token_dim,
            hidden_dims=width,
            depth=depth,
            dim_head=width // heads,
            heads=heads,
            num_queries=num_tokens,
        )
        self.keep_null_features(torch.zeros(1, 3, self.image_size, self.image_size))

    def features_of(self, pixels: Tensor) -> Tensor:
        """What CLIP's last layer would get, (B, 1 + patches, F)."""
        features: Tensor = self.clip(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
        return features

    def project(self, features: Tensor) -> Tensor:
        """Resample hidden states, (B, 1 + patches, F), to (B, num_tokens, token_dim)."""
        tokens: Tensor = self.projection(features)
        return tokens
