import pytest
import torch

from ornament_lit.models.prompt_encoders import CategoryEmbedding, NoPrompt
from ornament_lit.utils.categories import CATEGORIES

LIKE = torch.zeros(())


def test_each_type_has_tokens_of_its_own_and_the_null_is_common() -> None:
    prompts = CategoryEmbedding(num_tokens=3, token_dim=8)([*CATEGORIES, "ring"], LIKE)
    assert len({tuple(row) for row in prompts.tokens.flatten(1).tolist()}) == 4
    assert torch.equal(prompts.tokens[-1], prompts.tokens[CATEGORIES.index("ring")])
    assert all(torch.equal(row, prompts.null[0]) for row in prompts.null)
    assert torch.equal(prompts.reference, prompts.tokens)


def test_tokens_train_where_they_were_used() -> None:
    encoder = CategoryEmbedding(num_tokens=3, token_dim=8)
    prompts = encoder(["ring"], LIKE.double())
    assert prompts.tokens.dtype == torch.float64
    (prompts.tokens.sum() + 2 * prompts.null.sum()).backward()
    ring = CATEGORIES.index("ring")
    expected = torch.zeros(5, 24)
    expected[ring], expected[-1] = 1, 2
    assert torch.equal(encoder.table.weight.grad, expected)


@pytest.mark.parametrize("name", ["num_tokens", "token_dim"])
def test_an_empty_table_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0; use NoPrompt"):
        CategoryEmbedding(**{name: 0})


def test_an_unknown_category_matters_only_where_it_is_told() -> None:
    with pytest.raises(ValueError, match=r"one of bracelet, ring, earring, necklace, got 'r'"):
        CategoryEmbedding()("ring", LIKE)
    assert NoPrompt()(["hat"], LIKE).tokens.shape == (1, 0, 0)
