"""Prompts are what the text model makes of them, once; afterwards, the tokens stand alone."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from ornament_lit.checkpointing.serialization import build, describe, own_weights
from ornament_lit.models.prompt_encoders import CategoryPrompt, PromptEncoder
from ornament_lit.models.prompts import Prompts
from ornament_lit.utils.categories import CATEGORIES

LIKE = torch.zeros(())
SHORT = "a {category}"


def tokens_of(folder: Path, prompts: list[str], length: int) -> Tensor:
    """What Stable Diffusion does with prompts."""
    tokenizer = CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer")
    options = {"padding": "max_length", "max_length": length, "truncation": True, "return_tensors": "pt"}
    model = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder").eval()
    with torch.no_grad():
        return model(tokenizer(prompts, **options).input_ids).last_hidden_state


def assert_equal(one: Prompts, other: Prompts) -> None:
    for name in ("tokens", "null", "reference"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name


def test_tokens_are_the_last_hidden_states_of_the_text_model(text_folder: Path, count_calls: Callable[[], int]) -> None:
    encoder = CategoryPrompt(str(text_folder), SHORT, "of a {category}", negative_prompt="photo", max_length=12)
    assert count_calls() == 1
    category = ["ring", "bracelet", "ring"]
    prompts = encoder(category, LIKE)
    assert count_calls() == 1, "nothing is encoded again"
    assert (encoder.num_tokens, encoder.token_dim) == (12, 16)
    wanted = {
        "tokens": [f"a {name}" for name in category],
        "null": ["photo"] * 3,
        "reference": [f"of a {name}" for name in category],
    }
    for name, phrases in wanted.items():
        torch.testing.assert_close(getattr(prompts, name), tokens_of(text_folder, phrases, 12), msg=name)


def test_the_length_is_the_tokenizers_and_the_reference_is_told_the_same(text_folder: Path) -> None:
    encoder = CategoryPrompt(str(text_folder), SHORT)
    assert encoder.num_tokens == encoder.max_length == 13
    prompts = encoder(CATEGORIES, LIKE)
    assert torch.equal(prompts.reference, prompts.tokens)
    torch.testing.assert_close(prompts.null, tokens_of(text_folder, [""] * 4, 13))
    assert all(not torch.equal(prompts.tokens[0], each) for each in prompts.tokens[1:])


def test_a_null_may_be_the_prompt_itself(text_folder: Path) -> None:
    prompts = CategoryPrompt(str(text_folder), "{category}", negative_prompt="same", max_length=10)(
        ["earring", "ring"], LIKE
    )
    assert torch.equal(prompts.null, prompts.tokens) and not torch.equal(prompts.null[0], prompts.null[1])


def test_the_text_model_is_gone(text_folder: Path) -> None:
    encoder = CategoryPrompt(str(text_folder), SHORT)
    assert list(encoder.children()) == list(encoder.parameters()) == []
    assert list(encoder.state_dict()) == ["tables"] and encoder.text_encoder is None
    assert not encoder.tables.requires_grad


def test_prompts_are_of_the_wanted_dtype(text_folder: Path) -> None:
    prompts = CategoryPrompt(str(text_folder), SHORT)(["ring"], LIKE.bfloat16())
    assert {each.dtype for each in (prompts.tokens, prompts.null, prompts.reference)} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"template": "{category}", "max_length": 3},
            r"max_length, 3 tokens, got 10 of 'bracelet', .* raise max_length",
        ),
        (
            {"template": SHORT, "negative_prompt": "nothing of all that", "max_length": 11},
            r"got \d+ of 'nothing of all that'",
        ),
        (
            {"template": SHORT, "reference_template": f"a photo of {SHORT}"},
            r"13 tokens, got 14 of 'a photo of a bracelet'",
        ),
    ],
)
def test_a_prompt_is_never_cut(text_folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CategoryPrompt(str(text_folder), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"template": "a ring"}, r"template must contain \{category\}, .* got 'a ring'; add it"),
        ({"reference_template": ""}, r"reference_template must contain \{category\}, .* got ''; add it"),
        ({"template": SHORT, "token_dim": 24}, "token_dim must be the width of the text model, 16, got 24; leave it"),
        ({"template": SHORT, "max_length": 14}, "max_length must be from 1 to 13, the text model's, got 14"),
        ({"template": SHORT, "max_length": 0}, "max_length must be from 1 to 13, the text model's, got 0"),
    ],
)
def test_options_that_do_not_fit_are_refused(text_folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CategoryPrompt(str(text_folder), **options)


def test_an_unknown_category_is_refused(text_folder: Path) -> None:
    encoder = CategoryPrompt(str(text_folder), SHORT)
    with pytest.raises(ValueError, match=r"one of bracelet, ring, earring, necklace, got 'hat'; give one of these"):
        encoder(["ring", "hat"], LIKE)


@pytest.mark.parametrize("part", ["text_encoder", "tokenizer"])
def test_a_part_that_is_missing_is_named(text_folder: Path, part: str) -> None:
    shutil.rmtree(text_folder / part)
    with pytest.raises(FileNotFoundError, match=part):
        CategoryPrompt(str(text_folder), SHORT)


@pytest.mark.parametrize("null", ["", "same"])
def test_it_is_built_again_from_its_description_and_its_tokens(text_folder: Path, null: str) -> None:
    encoder = CategoryPrompt(str(text_folder), SHORT, "of {category}", negative_prompt=null, max_length=11)
    described = describe(encoder)
    expected = {"text_encoder": None, "template": SHORT, "reference_template": "of {category}", "negative_prompt": null}
    assert described["init_args"] == {**expected, "max_length": 11, "token_dim": 16}
    weights = dict(own_weights(encoder))
    shutil.rmtree(text_folder)
    again = build({"prompt_encoder": described}, {"prompt_encoder": PromptEncoder}, text_folder)["prompt_encoder"]
    again.load_state_dict(weights)
    assert_equal(again(CATEGORIES, LIKE), encoder(CATEGORIES, LIKE))
    assert describe(again) == described


@pytest.mark.parametrize("sizes", [{}, {"max_length": 3}, {"token_dim": 16}])
def test_without_a_text_model_it_must_know_its_size(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="without text_encoder needs max_length and token_dim"):
        CategoryPrompt(None, **sizes)


def test_without_a_tokenizer_random_tokens_are_drawn_and_always_the_same(sizes_folder: Path) -> None:
    before = torch.get_rng_state()
    first, second = (CategoryPrompt(f"random:{sizes_folder}", negative_prompt="same", max_length=5) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    prompts = first(CATEGORIES, LIKE)
    assert_equal(prompts, second(CATEGORIES, LIKE))
    assert prompts.tokens.shape == (4, 5, 16) and prompts.tokens.std().sub(1).abs() < 0.2
    assert torch.equal(prompts.null, prompts.tokens) and torch.equal(prompts.reference, prompts.tokens)
    other = CategoryPrompt(f"random:{sizes_folder}", reference_template="the {category}")(["ring", "ring"], LIKE)
    assert other.tokens.shape == (2, 13, 16), "no longer than the text model's, however long a tokenizer's usually are"
    assert torch.equal(other.null[0], other.null[1]) and not torch.equal(other.reference, other.tokens)


@pytest.mark.parametrize("folder", ["text_folder", "sizes_folder"])
def test_its_size_is_known_without_computing(folder: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(folder)
    with torch.device("meta"):
        encoder = CategoryPrompt(f"random:{path}", SHORT)
        prompts = encoder(["ring", "earring"], torch.zeros(1))
    assert encoder.tables.device.type == prompts.tokens.device.type == "meta"
    assert prompts.tokens.shape == (2, 13, 16)
