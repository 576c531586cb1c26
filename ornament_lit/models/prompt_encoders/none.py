"""NoPrompt: no words."""

from collections.abc import Sequence

from torch import Tensor

from ornament_lit.models.prompt_encoders.base import PromptEncoder
from ornament_lit.models.prompts import Prompts


class NoPrompt(PromptEncoder):
    """No prompt: the type of the ornament is not told."""

    num_tokens = 0
    token_dim = 0

    def forward(self, category: Sequence[str], like: Tensor) -> Prompts:
        """Return empty (B, 0, 0) tensors, whatever the category."""
        nothing = like.new_zeros(len(category), 0, 0)
        return Prompts(nothing, nothing, nothing)
