"""Prompt encoders: tokens of words for the cross-attention, from the type of the ornament."""

from ornament_lit.models.prompt_encoders.base import PromptEncoder
from ornament_lit.models.prompt_encoders.category_embedding import CategoryEmbedding
from ornament_lit.models.prompt_encoders.category_prompt import CategoryPrompt
from ornament_lit.models.prompt_encoders.none import NoPrompt

__all__ = ["CategoryEmbedding", "CategoryPrompt", "NoPrompt", "PromptEncoder"]
