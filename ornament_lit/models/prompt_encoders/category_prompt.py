"""CategoryPrompt: what a frozen CLIP text model makes of a phrase with the type of the ornament in it."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from ornament_lit.models.pretrained import load_pretrained
from ornament_lit.models.prompt_encoders.base import PromptEncoder, category_rows
from ornament_lit.models.prompts import Prompts
from ornament_lit.models.random_weights import RANDOM
from ornament_lit.utils.categories import CATEGORIES

SAME = "same"
PLACE = "{category}"
USUAL_LENGTH = 77
"""Tokens of a prompt of CLIP, those of its begin and end among them."""

VOCABULARIES = ("vocab.json", "tokenizer.json")


class CategoryPrompt(PromptEncoder):
    """The last hidden states of a frozen CLIP text model for a phrase about each type of ornament.

    There are four types, so all prompts are encoded once, when this is built, padded as Stable Diffusion pads them. The
    tokens are kept as a buffer, which checkpoints and exported pipelines hold, and the text model is dropped.

    Args:
        text_encoder: A local folder of Stable Diffusion's layout, or the id of a hub repository (``owner/name``), with
            ``text_encoder/`` and ``tokenizer/``. With ``random:`` before it, weights are random; where there is no
            ``tokenizer/`` then, so are the tokens, and the same for equal sizes. Null in a pipeline's folder, which
            holds the tokens themselves; ``max_length`` and ``token_dim`` say then how many.
        template: What the denoiser is told, with ``{category}`` in it.
        reference_template: What a reference net is told, with ``{category}`` in it; null for the same.
        negative_prompt: What the denoiser is told in the unconditional half of a guided step; ``same`` for the prompt
            itself.
        max_length: P, tokens that each prompt is padded to; null for the tokenizer's, 77. A longer prompt is refused.
        token_dim: D; null for the text model's width.

    Raises:
        FileNotFoundError: If there is no text model or no tokenizer.
        ValueError: If a template lacks ``{category}``, a prompt is longer than ``max_length`` or this longer than the
            text model's, ``token_dim`` is another than the text model's, or sizes are missing without a text model.
    """

    tables: Tensor

    def __init__(
        self,
        text_encoder: str | None,
        template: str = "a photo of a {category}",
        reference_template: str | None = None,
        negative_prompt: str = "",
        max_length: int | None = None,
        token_dim: int | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("template", template), ("reference_template", reference_template)):
            if value is not None and PLACE not in value:
                raise ValueError(f"{name} must contain {PLACE}, or all types are told alike, got {value!r}; add it")
        self.template = template
        self.reference_template = reference_template
        self.negative_prompt = negative_prompt
        tables = _placeholder(max_length, token_dim) if text_encoder is None else self._tables(text_encoder, max_length)
        if token_dim not in (None, tables.shape[-1]):
            raise ValueError(
                f"token_dim must be the width of the text model, {tables.shape[-1]}, got {token_dim}; leave it out"
            )
        self.text_encoder = None
        self.num_tokens, self.token_dim = tables.shape[2:]
        self.max_length = self.num_tokens
        self.register_buffer("tables", tables)

    def forward(self, category: Sequence[str], like: Tensor) -> Prompts:
        """Look the prompts up; without gradient.

        Raises:
            ValueError: If a category is unknown.
        """
        tokens, null, reference = self.tables[:, category_rows(category, self.tables.device)].to(like)
        return Prompts(tokens, null, reference)

    def phrases(self) -> list[str]:
        """Prompt, null and reference prompt, each for all types of ornaments, one after the other."""
        null = self.template if self.negative_prompt == SAME else self.negative_prompt
        told = (self.template, null, self.reference_template or self.template)
        return [phrase.replace(PLACE, name) for phrase in told for name in CATEGORIES]

    def _tables(self, path: str, max_length: int | None) -> Tensor:
        """Encode all phrases, the same one once; (3, 4, P, D)."""
        phrases = self.phrases()
        different = list(dict.fromkeys(phrases))
        encoded = encode(path, different, max_length)
        rows = torch.tensor([different.index(phrase) for phrase in phrases], device=encoded.device)
        tables: Tensor = encoded[rows].unflatten(0, (3, len(CATEGORIES)))
        return tables


def encode(path: str, phrases: Sequence[str], max_length: int | None = None) -> Tensor:
    """Encode phrases by a text model, or draw tokens where random ones are wanted and there is no tokenizer.

    Args:
        path: See :class:`CategoryPrompt`.
        phrases: n different ones.
        max_length: P; None for the tokenizer's.

    Returns:
        (n, P, D), without gradient.
    """
    if path.startswith(RANDOM) and not has_tokenizer(path.removeprefix(RANDOM)):
        return _draw(path, len(phrases), max_length)
    model = load_pretrained(CLIPTextModel, path, "text_encoder").eval()
    tokenizer = load_tokenizer(path.removeprefix(RANDOM))
    ids = tokenize(tokenizer, phrases, _length(max_length, tokenizer.model_max_length, model.config))
    with torch.no_grad():
        states: Tensor = model(input_ids=ids.to(model.device)).last_hidden_state
    return states


def has_tokenizer(path: str) -> bool:
    """Whether a path is a local folder with a vocabulary in ``tokenizer/``."""
    return any((Path(path).expanduser() / "tokenizer" / name).is_file() for name in VOCABULARIES)


def load_tokenizer(path: str) -> CLIPTokenizer:
    """Load the tokenizer of a folder of Stable Diffusion's layout, or of a hub repository.

    Raises:
        FileNotFoundError: If the folder has none.
    """
    folder = Path(path).expanduser()
    if folder.exists() and not has_tokenizer(path):
        raise FileNotFoundError(
            f"no tokenizer at {path}: {folder / 'tokenizer'} holds none of {', '.join(VOCABULARIES)}; copy tokenizer/ "
            "of the repository that text_encoder/ is from"
        )
    tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(
        str(folder) if folder.exists() else path, subfolder="tokenizer"
    )
    return tokenizer


def tokenize(tokenizer: CLIPTokenizer, phrases: Sequence[str], length: int) -> Tensor:
    """Numbers of the tokens of phrases, with begin, end and padding, (n, ``length``) int64; nothing is cut.

    Raises:
        ValueError: If a phrase is longer.
    """
    for phrase in phrases:
        needed = len(tokenizer(phrase, verbose=False).input_ids)
        if needed > length:
            raise ValueError(
                f"a prompt must not be longer than max_length, {length} tokens, got {needed} of {phrase!r}, begin and "
                "end included; shorten it or raise max_length"
            )
    ids: Tensor = tokenizer(list(phrases), padding="max_length", max_length=length, return_tensors="pt").input_ids
    return ids


def _length(max_length: int | None, usual: int, config: CLIPTextConfig) -> int:
    """The length asked for, or else the tokenizer's, which is huge where it does not say one."""
    most = int(config.max_position_embeddings)
    if max_length is None:
        return min(usual, most)
    if not 1 <= max_length <= most:
        raise ValueError(f"max_length must be from 1 to {most}, the text model's, got {max_length}; leave it null")
    return max_length


def _placeholder(max_length: int | None, token_dim: int | None) -> Tensor:
    """Zeros in the place of tokens that are loaded later; (3, 4, P, D)."""
    if max_length is None or token_dim is None:
        raise ValueError(
            "CategoryPrompt without text_encoder needs max_length and token_dim, for the tokens that are loaded into "
            f"it, got {max_length} and {token_dim}; give a folder with text_encoder/ and tokenizer/ for new ones"
        )
    return torch.zeros(3, len(CATEGORIES), max_length, token_dim)


def _draw(path: str, count: int, max_length: int | None) -> Tensor:
    """Standard normal tokens of the size that a text model would give, the same at each call; (count, P, D)."""
    with torch.device("meta"):
        config = load_pretrained(CLIPTextModel, path, "text_encoder").config
    size = (count, _length(max_length, USUAL_LENGTH, config), config.hidden_size)
    drawn = torch.randn(size, generator=torch.Generator().manual_seed(0), device="cpu")
    return drawn.to(torch.get_default_device())
