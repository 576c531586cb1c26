from pathlib import Path

import pytest
import torch
from diffusers.models.embeddings import IPAdapterPlusImageProjection
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel

from ornament_lit.models.image_encoders import ResamplerImageEncoder

SIZES = {"token_dim": 24, "num_tokens": 4, "width": 32, "depth": 2, "heads": 4}


@pytest.fixture
def folder(tmp_path: Path) -> str:
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=3, num_attention_heads=2, image_size=32, patch_size=8
    )
    CLIPVisionModel(config).save_pretrained(tmp_path)
    return str(tmp_path)


def input_of_the_last_layer(clip: torch.nn.Module, pixels: Tensor) -> Tensor:
    seen = []
    last = [part for part in clip.modules() if type(part).__name__ == "CLIPEncoderLayer"][-1]
    handle = last.register_forward_pre_hook(lambda _, args, kwargs: seen.append(args[0]), with_kwargs=True)
    with torch.no_grad():
        clip(pixel_values=pixels)
    handle.remove()
    return seen[0]


def test_tokens_are_resampled_from_what_the_last_layer_of_clip_gets(folder: str) -> None:
    encoder = ResamplerImageEncoder(folder, **SIZES)
    images = torch.rand(2, 3, 40, 40) * 2 - 1
    features = encoder.extract(images)
    assert features.shape == (2, 17, 16)
    torch.testing.assert_close(features, input_of_the_last_layer(encoder.clip, encoder.pixels(images)))
    direct = IPAdapterPlusImageProjection(16, 24, 32, depth=2, dim_head=8, heads=4, num_queries=4)
    direct.load_state_dict(encoder.projection.state_dict())
    torch.testing.assert_close(encoder(images), direct(features), atol=1e-6, rtol=0)


def test_null_tokens_are_those_of_zero_pixels(folder: str) -> None:
    encoder = ResamplerImageEncoder(folder, **SIZES)
    tokens = encoder(torch.rand(3, 3, 40, 40))
    features = input_of_the_last_layer(encoder.clip, torch.zeros(1, 3, 32, 32))
    null = encoder.null_tokens(tokens)
    torch.testing.assert_close(null, encoder.project(features).expand(3, 4, 24), atol=1e-6, rtol=0)
    assert not null.allclose(encoder(-torch.ones(3, 3, 40, 40))), "they are not those of a black picture"
    null.sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.projection.parameters())


def test_null_features_are_of_the_loaded_weights_and_in_no_state(folder: str) -> None:
    encoder = ResamplerImageEncoder(folder, **SIZES)
    assert torch.equal(encoder.null_features, ResamplerImageEncoder(folder, **SIZES).null_features)
    assert "null_features" not in encoder.state_dict() and not encoder.null_features.requires_grad
    encoder = encoder.to(torch.bfloat16)
    tokens = encoder(torch.rand(1, 3, 40, 40, dtype=torch.bfloat16))
    assert encoder.null_tokens(tokens).dtype == torch.bfloat16
    with torch.device("meta"):
        encoder = ResamplerImageEncoder(f"random:{folder}", **SIZES)
        tokens = encoder(torch.rand(2, 3, 40, 40))
        assert encoder.null_tokens(tokens).shape == (2, 4, 24) and encoder.null_features.is_meta


def test_half_weights_under_autocast(folder: str) -> None:
    encoder = ResamplerImageEncoder(folder, **SIZES)
    with torch.autocast("cpu", torch.bfloat16):
        tokens = encoder(torch.rand(2, 3, 40, 40))
        assert encoder.null_tokens(tokens).dtype == tokens.dtype


def test_heads_must_divide_the_width(folder: str) -> None:
    with pytest.raises(ValueError, match="heads must divide width, got 5 for 32; choose a divisor"):
        ResamplerImageEncoder(folder, **{**SIZES, "heads": 5})
