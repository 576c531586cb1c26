"""Stable-Diffusion-like folders with a tiny text model and a tokenizer of a few words."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
LENGTH, WIDTH = 13, 16


def write_tokenizer(folder: Path, words: list[str]) -> int:
    """Write a vocabulary of letters and some words, which are put together letter by letter; returns its size."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    vocabulary, merges = [*letters, *(f"{letter}</w>" for letter in letters)], []
    for word in words:
        pieces = [*word[:-1], f"{word[-1]}</w>"]
        wholes = ["".join(pieces[:count]) for count in range(1, len(pieces) + 1)]
        merges += [f"{whole} {piece}" for (whole, _), piece in zip(pairwise(wholes), pieces[1:], strict=True)]
        vocabulary += wholes[1:]
    vocabulary = list(dict.fromkeys([*vocabulary, BEGIN, END]))
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({piece: number for number, piece in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *dict.fromkeys(merges), ""]))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": LENGTH}))
    return len(vocabulary)


@pytest.fixture
def text_folder(tmp_path: Path) -> Path:
    """The words are one piece each, and ``bracelet``, which is none of them, is one of each letter."""
    folder = tmp_path / "base"
    size = write_tokenizer(folder / "tokenizer", ["photo", "of", "ring", "earring", "necklace"])
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=size,
        hidden_size=WIDTH,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=LENGTH,
        bos_token_id=size - 2,
        eos_token_id=size - 1,
    )
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    return folder


@pytest.fixture
def sizes_folder(text_folder: Path) -> Path:
    """A folder with the sizes of a text model alone."""
    for path in (*text_folder.rglob("*.safetensors"), *(text_folder / "tokenizer").iterdir()):
        path.unlink()
    (text_folder / "tokenizer").rmdir()
    return text_folder


@pytest.fixture
def count_calls(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often a text model has computed."""
    calls: list[int] = []
    forward = CLIPTextModel.forward

    def counted(self, *args, **kwargs):
        calls.append(1)
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(CLIPTextModel, "forward", counted)
    return lambda: len(calls)
