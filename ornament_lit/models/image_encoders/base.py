"""ImageEncoder: the contract of the family."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class ImageEncoder(nn.Module, ABC):
    """Turn the image of the ornament into tokens for the denoiser's cross-attention.

    The frozen part and the trained part are two methods, so that what the frozen part makes of an image can be
    computed once for all epochs. To add one: subclass, set the attributes, implement ``extract`` (and ``project``
    where something is trained), name the class in the YAML.

    Attributes:
        num_tokens: L, tokens per image; 0 for none, and the denoiser then has no cross-attention to compute.
        token_dim: D, channels of a token; must equal the UNet's ``cross_attention_dim`` where there are tokens.
    """

    num_tokens: int
    token_dim: int

    @abstractmethod
    def extract(self, images: Tensor) -> Tensor:
        """Compute what no trained parameter has a part in.

        Args:
            images: (B, 3, H, W) in [-1, 1].

        Returns:
            Features that :meth:`project` takes, (B, L, F); without a gradient.
        """

    def project(self, features: Tensor) -> Tensor:
        """Turn features into tokens; here, they are the tokens.

        Args:
            features: As :meth:`extract` returns them.

        Returns:
            (B, num_tokens, token_dim); differentiable in the encoder's own trained parameters.
        """
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Encode images of ornaments, (B, 3, H, W) in [-1, 1], to (B, num_tokens, token_dim)."""
        return self.project(self.extract(images))
