"""CLIPImageEncoder: the tokens of a frozen CLIP vision model."""

from torch import Tensor, nn
from transformers import CLIPVisionModel

from ornament_lit.models.image_encoders.frozen import FrozenImageEncoder, clip_pixels
from ornament_lit.models.pretrained import freeze, load_pretrained


class CLIPImageEncoder(FrozenImageEncoder):
    """All tokens of a frozen CLIP vision model (class and patches), projected to the cross-attention's width.

    Args:
        path: A local folder in the transformers format, or the id of a hub repository (``owner/name``).
        subfolder: Folder of the vision model inside it, if any.
        token_dim: D, the UNet's ``cross_attention_dim``.
        variant: Word in the names of the files with weights, such as ``fp16``; null for none.
        revision: Branch, tag or commit of the hub repository; null for its main branch.
    """

    def __init__(
        self,
        path: str = "openai/clip-vit-large-patch14",
        subfolder: str | None = None,
        token_dim: int = 768,
        variant: str | None = None,
        revision: str | None = None,
    ) -> None:
        clip = freeze(load_pretrained(CLIPVisionModel, path, subfolder, variant=variant, revision=revision))
        config = clip.config
        super().__init__(clip_pixels(config), token_dim)
        self.clip = clip
        self.num_tokens = (config.image_size // config.patch_size) ** 2 + 1
        self.norm = nn.LayerNorm(config.hidden_size)
        self.projection = nn.Linear(config.hidden_size, token_dim)

    def features_of(self, pixels: Tensor) -> Tensor:
        """The last hidden states of CLIP, (B, num_tokens, F)."""
        features: Tensor = self.clip(pixel_values=pixels).last_hidden_state
        return features

    def project(self, features: Tensor) -> Tensor:
        """Project hidden states, (B, num_tokens, F), to (B, num_tokens, token_dim)."""
        tokens: Tensor = self.projection(self.norm(features))
        return tokens
