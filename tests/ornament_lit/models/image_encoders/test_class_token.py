from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import CLIPVisionConfig

from ornament_lit.models.image_encoders import ClassTokenImageEncoder
from ornament_lit.models.image_encoders.frozen import Pixels
from ornament_lit.models.published.image_encoders import class_token_weights
from ornament_lit.utils.frozen import is_frozen


def published(seed: int = 0) -> torch.nn.Module:
    """Paint-by-Example's encoder of diffusers with one block: it has one for five layers of CLIP."""
    try:
        from diffusers.pipelines.deprecated.paint_by_example.image_encoder import PaintByExampleImageEncoder
    except ImportError:
        from diffusers.pipelines.paint_by_example.image_encoder import PaintByExampleImageEncoder
    torch.manual_seed(seed)
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=5, num_attention_heads=2, image_size=32, patch_size=8
    )
    encoder = PaintByExampleImageEncoder(config, proj_size=24).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return encoder


def pictures(count: int = 2) -> Tensor:
    return torch.rand(count, 3, 40, 40, generator=torch.Generator().manual_seed(3)) * 2 - 1


def test_token_is_that_of_the_published_encoder(tmp_path: Path) -> None:
    theirs = published()
    theirs.model.save_pretrained(tmp_path)
    ours = ClassTokenImageEncoder(str(tmp_path), token_dim=24, num_blocks=1).eval()
    assert not is_frozen(ours) and is_frozen(ours.clip)
    ours.load_state_dict(class_token_weights(theirs.state_dict()))
    images = pictures()
    with torch.no_grad():
        expected, null = theirs(ours.pixels(images), return_uncond_vector=True)
        tokens = ours(images)
        torch.testing.assert_close(tokens, expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(ours.null_tokens(tokens), null.expand(2, 1, 24), atol=0, rtol=0)
    assert tokens.std(dim=0).min() > 0, "pictures must matter"


def test_null_token_is_learned_and_like_a_normal_variable(clip_folder: Path) -> None:
    torch.manual_seed(0)
    encoder = ClassTokenImageEncoder(str(clip_folder), num_blocks=0)
    assert abs(encoder.null.weight.mean()) < 0.15 and 0.9 < encoder.null.weight.std() < 1.1
    tokens = torch.zeros(3, 1, 768, dtype=torch.bfloat16)
    null = encoder.null_tokens(tokens)
    assert null.dtype == torch.bfloat16 and null.shape == tokens.shape and (null == null[0]).all()
    null.float().sum().backward()
    torch.testing.assert_close(encoder.null.weight.grad, torch.full((1, 768), 3.0))


def test_what_trains(clip_folder: Path) -> None:
    encoder = ClassTokenImageEncoder(str(clip_folder), token_dim=24, num_blocks=2, num_heads=2).train()
    assert not encoder.clip.training and encoder.mapper.training
    assert encoder.mapper[0].attn1.heads == 2 and len(encoder.mapper) == 2
    trained = {name.split(".")[0] for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert trained == {"mapper", "norm", "projection", "null"}


def test_heads_must_divide_the_width(clip_folder: Path) -> None:
    with pytest.raises(ValueError, match="num_heads must divide CLIP's width, got 3 for 16; choose a divisor"):
        ClassTokenImageEncoder(str(clip_folder), num_heads=3)


def test_pixels_of_another_size_are_not_changed_twice() -> None:
    pixels = Pixels(8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    images = torch.rand(1, 3, 8, 8) * 2 - 1
    torch.testing.assert_close(pixels(images), images, atol=1e-6, rtol=0)
    assert pixels(torch.full((1, 3, 20, 12), -1.0)).allclose(torch.tensor(-1.0))
