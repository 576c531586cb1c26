"""NoImageEncoder: no image tokens."""

from torch import Tensor

from ornament_lit.image_encoders.base import ImageEncoder


class NoImageEncoder(ImageEncoder):
    """No image tokens: the denoiser sees the ornament through the reference net alone."""

    num_tokens = 0
    token_dim = 0

    def forward(self, images: Tensor) -> Tensor:
        """Return an empty (B, 0, 0) tensor."""
        return images.new_zeros(images.shape[0], 0, 0)
