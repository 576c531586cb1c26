"""CategoryEmbedding: learned tokens for each type of ornament."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ornament_lit.models.prompt_encoders.base import PromptEncoder, category_rows
from ornament_lit.models.prompts import Prompts
from ornament_lit.utils.categories import CATEGORIES


class CategoryEmbedding(PromptEncoder):
    """A learned table of tokens for each type of ornament, and for none; needs no pretrained weights.

    The reference net is told the same as the denoiser.

    Args:
        num_tokens: P, tokens of a type, at least 1.
        token_dim: D, the UNet's ``cross_attention_dim``, at least 1.

    Raises:
        ValueError: If one of them is less than 1.
    """

    def __init__(self, num_tokens: int = 4, token_dim: int = 32) -> None:
        super().__init__()
        for name, value in (("num_tokens", num_tokens), ("token_dim", token_dim)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}; use NoPrompt for no tokens")
        self.num_tokens = num_tokens
        self.token_dim = token_dim
        self.table = nn.Embedding(len(CATEGORIES) + 1, num_tokens * token_dim)

    def forward(self, category: Sequence[str], like: Tensor) -> Prompts:
        """Look the types up, and the last row for the null; differentiable in the table.

        Raises:
            ValueError: If a category is unknown.
        """
        rows = category_rows(category, self.table.weight.device)
        both = self.table(torch.stack([rows, torch.full_like(rows, len(CATEGORIES))]))
        tokens, null = both.unflatten(-1, (self.num_tokens, self.token_dim)).to(like)
        return Prompts(tokens, null, reference=tokens)
