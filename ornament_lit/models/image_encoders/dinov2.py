"""DINOv2ImageEncoder: the tokens of a frozen DINOv2, of the ornament on white."""

import torch
from torch import Tensor, nn
from transformers import Dinov2Model
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from ornament_lit.models.image_encoders.frozen import NullPictureImageEncoder, Pixels
from ornament_lit.models.pretrained import freeze, load_pretrained


class DINOv2ImageEncoder(NullPictureImageEncoder):
    """AnyDoor's encoder (Chen et al., 2024): all tokens of DINOv2 (class and patches), projected by one trained layer.

    What is around the ornament becomes white. The null tokens are those of a black picture.

    Args:
        path: A local folder in the transformers format, or the id of a hub repository (``owner/name``).
        subfolder: Folder of the model inside it, if any.
        token_dim: D, the UNet's ``cross_attention_dim``.
        image_size: Side that pictures are resized to; the model's table of positions is interpolated for it.
        variant: Word in the names of the files with weights, such as ``fp16``; null for none.
        revision: Branch, tag or commit of the hub repository; null for its main branch.

    Raises:
        ValueError: If ``image_size`` is no multiple of the side of a patch.
    """

    def __init__(
        self,
        path: str = "facebook/dinov2-giant",
        subfolder: str | None = None,
        token_dim: int = 768,
        image_size: int = 224,
        variant: str | None = None,
        revision: str | None = None,
    ) -> None:
        dino = freeze(load_pretrained(Dinov2Model, path, subfolder, variant=variant, revision=revision))
        config = dino.config
        if image_size < config.patch_size or image_size % config.patch_size:
            raise ValueError(
                f"image_size must be a multiple of the {config.patch_size} pixels of a patch of {path}, "
                f"got {image_size}; try {max(1, image_size // config.patch_size) * config.patch_size}"
            )
        super().__init__(Pixels(image_size, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD), token_dim)
        self.dino = dino
        self.num_tokens = (image_size // config.patch_size) ** 2 + 1
        self.projection = nn.Linear(config.hidden_size, token_dim)
        self.keep_null_features(self.pixels(-torch.ones(1, 3, image_size, image_size)))

    @torch.no_grad()
    def extract(self, images: Tensor, masks: Tensor | None = None) -> Tensor:
        """Encode ornaments on white.

        Args:
            images: (B, 3, H, W) in [-1, 1].
            masks: Where the ornament is, (B, 1, H, W) in [0, 1]; None leaves the images as they are.

        Returns:
            Tokens after the last layer norm, (B, num_tokens, F).
        """
        return super().extract(images if masks is None else images * masks + (1 - masks))

    def features_of(self, pixels: Tensor) -> Tensor:
        """Class and patch tokens of DINOv2 after its last layer norm, (B, num_tokens, F)."""
        features: Tensor = self.dino(pixel_values=pixels).last_hidden_state
        return features

    def project(self, features: Tensor) -> Tensor:
        """Project tokens, (B, num_tokens, F), to (B, num_tokens, token_dim)."""
        tokens: Tensor = self.projection(features)
        return tokens
