"""ImageEncoder: the contract of the family."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class ImageEncoder(nn.Module, ABC):
    """Turn the image of the ornament into tokens for the denoiser's cross-attention.

    The frozen part and the trained part are two methods, so that what the frozen part makes of an image can be
    computed once for all epochs. To add one: subclass, set the attributes, implement ``extract`` (and ``project``
    where something is trained, ``null_tokens`` where a missing ornament is not zeros), name the class in the YAML.

    Attributes:
        num_tokens: L, tokens per image; 0 for none, and the denoiser then has no cross-attention to compute.
        token_dim: D, channels of a token; must equal the UNet's ``cross_attention_dim`` where there are tokens.
    """

    num_tokens: int
    token_dim: int

    @abstractmethod
    def extract(self, images: Tensor, masks: Tensor | None = None) -> Tensor:
        """Compute what no trained parameter has a part in.

        Args:
            images: (B, 3, H, W) in [-1, 1].
            masks: Where the ornament is, (B, 1, H, W) in [0, 1]; an encoder may ignore them. None where they are not
                known: the images are taken as they are.

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

    def null_tokens(self, tokens: Tensor) -> Tensor:
        """Tokens of samples that must do without their ornament, as some do in training and half of them in guidance.

        Args:
            tokens: What :meth:`project` returned, (B, L, D).

        Returns:
            (B, L, D) of the same type: zeros here. Differentiable in the encoder's own trained parameters.
        """
        return torch.zeros_like(tokens)

    def forward(self, images: Tensor, masks: Tensor | None = None) -> Tensor:
        """Encode images of ornaments to tokens.

        Args:
            images: (B, 3, H, W) in [-1, 1].
            masks: Where the ornament is, (B, 1, H, W) in [0, 1].

        Returns:
            (B, num_tokens, token_dim).
        """
        return self.project(self.extract(images, masks))
