"""EmbeddingImageEncoder: one token, the embedding of a frozen CLIP vision model."""

from torch import Tensor
from transformers import CLIPVisionModelWithProjection

from ornament_lit.models.image_encoders.frozen import FrozenImageEncoder, clip_pixels
from ornament_lit.models.pretrained import freeze, load_pretrained


class EmbeddingImageEncoder(FrozenImageEncoder):
    """OOTDiffusion's encoder (Xu et al., 2024): CLIP's embedding in the space of texts, not normalised; nothing trains.

    The token is never dropped: a sample without its ornament keeps it.

    Args:
        path: A local folder in the transformers format, or the id of a hub repository (``owner/name``).
        subfolder: Folder of the vision model inside it, if any.
        token_dim: D, the UNet's ``cross_attention_dim``, and the width of CLIP's embedding.
        variant: Word in the names of the files with weights, such as ``fp16``; null for none.
        revision: Branch, tag or commit of the hub repository; null for its main branch.

    Raises:
        ValueError: If CLIP's embedding has another width.
    """

    def __init__(
        self,
        path: str = "openai/clip-vit-large-patch14",
        subfolder: str | None = None,
        token_dim: int = 768,
        variant: str | None = None,
        revision: str | None = None,
    ) -> None:
        clip = freeze(
            load_pretrained(CLIPVisionModelWithProjection, path, subfolder, variant=variant, revision=revision)
        )
        width = clip.config.projection_dim
        if width != token_dim:
            raise ValueError(
                f"token_dim must be the width of CLIP's embedding, since nothing projects it, got {token_dim} for "
                f"{width} of {path}; choose another CLIP, or set token_dim={width} for a UNet of that width"
            )
        super().__init__(clip_pixels(clip.config), token_dim)
        self.clip = clip
        self.num_tokens = 1

    def features_of(self, pixels: Tensor) -> Tensor:
        """CLIP's projected embedding, (B, 1, token_dim)."""
        features: Tensor = self.clip(pixel_values=pixels).image_embeds
        return features.unsqueeze(1)

    def null_tokens(self, tokens: Tensor) -> Tensor:
        """The tokens themselves, (B, 1, token_dim)."""
        return tokens
