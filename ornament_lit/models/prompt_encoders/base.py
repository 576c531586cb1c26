"""PromptEncoder: the contract of the family."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ornament_lit.models.prompts import Prompts
from ornament_lit.utils.categories import CATEGORIES


class PromptEncoder(nn.Module, ABC):
    """Turn the type of the ornament into tokens for the cross-attention of denoiser and reference net.

    To add one: subclass, set the attributes, implement ``forward``, name the class in the YAML.

    Attributes:
        num_tokens: P, tokens of a prompt; 0 for none.
        token_dim: D, channels of a token; must equal the UNet's ``cross_attention_dim`` where there are tokens.
    """

    num_tokens: int
    token_dim: int

    @abstractmethod
    def forward(self, category: Sequence[str], like: Tensor) -> Prompts:
        """Encode the types of ornaments.

        Args:
            category: One of :data:`ornament_lit.utils.categories.CATEGORIES` for each of B samples.
            like: A tensor on the device and of the dtype that the prompts are to have.

        Returns:
            Tokens of (B, num_tokens, token_dim); differentiable in the encoder's own trained parameters.

        Raises:
            ValueError: If a category is unknown, where it matters.
        """


def category_rows(category: Sequence[str], device: torch.device) -> Tensor:
    """Number of each category, (B,) int64, in :data:`ornament_lit.utils.categories.CATEGORIES`.

    Raises:
        ValueError: If one is unknown.
    """
    unknown = [name for name in category if name not in CATEGORIES]
    if unknown:
        raise ValueError(f"a category is one of {', '.join(CATEGORIES)}, got {unknown[0]!r}; give one of these")
    return torch.tensor([CATEGORIES.index(name) for name in category], dtype=torch.int64, device=device)
