from pathlib import Path

import pytest
import torch
from transformers import CLIPVisionModelWithProjection

from callbacks.offload_frozen import offload
from ornament_lit.models.image_encoders import EmbeddingImageEncoder
from ornament_lit.models.image_encoders.frozen import clip_pixels


def test_token_is_the_embedding_of_the_library(clip_embedding_folder: Path) -> None:
    encoder = EmbeddingImageEncoder(str(clip_embedding_folder)).train()
    assert (encoder.num_tokens, encoder.token_dim, encoder.clip.training) == (1, 768, False)
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    clip = CLIPVisionModelWithProjection.from_pretrained(clip_embedding_folder).eval()
    images = torch.rand(2, 3, 40, 40) * 2 - 1
    with torch.no_grad():
        expected = clip(clip_pixels(clip.config)(images)).image_embeds
    tokens = encoder(images)
    torch.testing.assert_close(tokens, expected[:, None], atol=1e-6, rtol=0)
    assert not tokens.norm(dim=-1).allclose(torch.ones(())), "they are not normalised"


def test_tokens_are_never_dropped(clip_embedding_folder: Path) -> None:
    tokens = torch.rand(2, 1, 768)
    assert torch.equal(EmbeddingImageEncoder(str(clip_embedding_folder)).null_tokens(tokens), tokens)


def test_width_must_be_that_of_the_embedding(clip_embedding_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"got 1024 for 768 of .*; choose another CLIP, or set token_dim=768"):
        EmbeddingImageEncoder(str(clip_embedding_folder), token_dim=1024)


def test_it_can_wait_in_main_memory(clip_embedding_folder: Path) -> None:
    """All of it is frozen and called by ``extract``: what prepares pixels must be brought, too."""
    encoder = EmbeddingImageEncoder(str(clip_embedding_folder))
    offload(encoder, torch.device("meta"))
    assert encoder.extract(torch.rand(1, 3, 40, 40, device="meta")).is_meta
    assert not encoder.pixels.mean.is_meta
