"""NoImageEncoder: no image tokens."""

from torch import Tensor

from ornament_lit.models.image_encoders.base import ImageEncoder


class NoImageEncoder(ImageEncoder):
    """No image tokens: the denoiser sees the ornament through the reference net alone."""

    num_tokens = 0
    token_dim = 0

    def extract(self, images: Tensor, masks: Tensor | None = None) -> Tensor:
        """Return an empty (B, 0, 0) tensor."""
        return images.new_zeros(images.shape[0], 0, 0)

    def project(self, features: Tensor) -> Tensor:
        """Return an empty (B, 0, 0) tensor, also for the features of another encoder."""
        return features.new_zeros(features.shape[0], 0, 0)
