"""ImageEncoder: the contract of the family."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class ImageEncoder(nn.Module, ABC):
    """Turn the picture of the ornament into tokens for the denoiser's cross-attention.

    To add one: subclass, set the attributes, implement ``forward``, name the class in the YAML.

    Attributes:
        num_tokens: L, tokens per picture; 0 for none, and the denoiser then has no cross-attention to compute.
        token_dim: D, channels of a token; must equal the UNet's ``cross_attention_dim`` where there are tokens.
    """

    num_tokens: int
    token_dim: int

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Encode pictures of ornaments.

        Args:
            images: (B, 3, H, W) in [-1, 1].

        Returns:
            (B, num_tokens, token_dim); differentiable in the encoder's own trained parameters.
        """
