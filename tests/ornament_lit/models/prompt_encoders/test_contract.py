"""What every prompt encoder must do, whoever wrote it."""

from typing import Any

import pytest
import torch

from ornament_lit.checkpointing.serialization import describe
from ornament_lit.models.prompt_encoders import PromptEncoder
from ornament_lit.utils.categories import CATEGORIES


def members(family: type) -> list[type]:
    """Every concrete class of a family in this package."""
    found = [cls for child in family.__subclasses__() for cls in [child, *members(child)]]
    return [cls for cls in found if cls.__module__.startswith("ornament_lit") and not cls.__abstractmethods__]


@pytest.mark.parametrize("batch_size", [1, 3, 4])
@pytest.mark.parametrize("cls", members(PromptEncoder))
def test_prompt_encoders(cls: type[PromptEncoder], batch_size: int, request: pytest.FixtureRequest) -> None:
    options: dict[str, Any] = {}
    if cls.__name__ == "CategoryPrompt":
        options = {"text_encoder": str(request.getfixturevalue("text_folder")), "template": "a {category}"}
    torch.manual_seed(0)
    encoder, category = cls(**options), CATEGORIES[:batch_size]
    prompts = encoder(category, torch.zeros(1, dtype=torch.float64))
    for tokens in (prompts.tokens, prompts.null, prompts.reference):
        assert tokens.shape == (batch_size, encoder.num_tokens, encoder.token_dim)
        assert tokens.dtype == torch.float64 and tokens.isfinite().all()
    one = encoder(category[-1:], torch.zeros(1, dtype=torch.float64))
    assert torch.equal(one.tokens[0], prompts.tokens[-1]), "a sample does not depend on its batch"
    if prompts.tokens.requires_grad:
        (prompts.tokens + prompts.null + prompts.reference).square().sum().backward()
    assert all(value.grad is not None for value in encoder.parameters() if value.requires_grad)
    assert describe(encoder)["class_path"].endswith(cls.__name__), "it must keep its arguments"
