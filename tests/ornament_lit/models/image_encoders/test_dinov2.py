from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Dinov2Model

from ornament_lit.models.image_encoders import DINOv2ImageEncoder


def tokens_by_hand(folder: Path, images: Tensor, size: int) -> Tensor:
    """Tokens of DINOv2 for images in [-1, 1]."""
    resized = F.interpolate(images, size=(size, size), mode="bicubic", antialias=True, align_corners=False)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = ((resized.clamp(-1, 1) + 1) / 2 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    dino = Dinov2Model.from_pretrained(folder).eval()
    with torch.no_grad():
        return dino(pixels).last_hidden_state


def test_ornaments_are_seen_on_white(dinov2_folder: Path) -> None:
    encoder = DINOv2ImageEncoder(str(dinov2_folder), token_dim=24).train()
    assert (encoder.num_tokens, encoder.token_dim, encoder.dino.training) == (257, 24, False)
    images, masks = torch.rand(2, 3, 40, 40) * 2 - 1, torch.zeros(2, 1, 40, 40)
    masks[..., 10:30, 15:25] = 1
    masks[..., 30, :] = 0.5
    white = torch.where(masks == 1, images, torch.where(masks == 0, 1.0, (images + 1) / 2))
    features = encoder.extract(images, masks)
    torch.testing.assert_close(features, tokens_by_hand(dinov2_folder, white, 224), atol=1e-5, rtol=1e-5)
    around = torch.where(masks == 0, torch.rand(2, 3, 40, 40), images)
    torch.testing.assert_close(encoder.extract(around, masks), features, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        encoder.extract(images), tokens_by_hand(dinov2_folder, images, 224), atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(encoder(images, masks), F.linear(features, *encoder.projection.parameters()))


def test_null_tokens_are_those_of_a_black_picture(dinov2_folder: Path) -> None:
    encoder = DINOv2ImageEncoder(str(dinov2_folder), token_dim=24, image_size=42)
    black = -torch.ones(3, 3, 42, 42)
    tokens = encoder(torch.rand(3, 3, 42, 42))
    null = encoder.null_tokens(tokens)
    by_hand = encoder.project(tokens_by_hand(dinov2_folder, black, 42))
    torch.testing.assert_close(null, by_hand, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(null, encoder(black), atol=1e-5, rtol=1e-5)
    null.sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.projection.parameters())
    assert all(parameter.grad is None for parameter in encoder.dino.parameters())


def test_null_tokens_follow_weights_that_are_loaded_later(dinov2_folder: Path) -> None:
    encoder, other = (DINOv2ImageEncoder(str(dinov2_folder), token_dim=24, image_size=42) for _ in range(2))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.5)
    encoder.load_state_dict(other.state_dict())
    tokens = encoder(-torch.ones(1, 3, 42, 42))
    torch.testing.assert_close(encoder.null_tokens(tokens), tokens)
    assert not torch.allclose(other.null_tokens(tokens), tokens, atol=1e-3)


def test_null_features_follow_the_type_and_work_without_values(dinov2_folder: Path) -> None:
    encoder = DINOv2ImageEncoder(str(dinov2_folder), token_dim=24, image_size=42).to(torch.bfloat16)
    images, masks = torch.rand(1, 3, 40, 40).bfloat16(), torch.rand(1, 1, 40, 40).bfloat16()
    tokens = encoder(images, masks)
    assert encoder.null_tokens(tokens).dtype == tokens.dtype == torch.bfloat16
    assert "null_features" not in encoder.state_dict()
    with torch.device("meta"):
        encoder = DINOv2ImageEncoder(f"random:{dinov2_folder}", token_dim=24)
        tokens = encoder(torch.rand(2, 3, 40, 40), torch.rand(2, 1, 40, 40))
        assert encoder.null_tokens(tokens).shape == (2, 257, 24) and encoder.null_features.is_meta


def test_size_must_be_a_multiple_of_the_patch(dinov2_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"multiple of the 14 pixels of a patch of .*, got 230; try 224"):
        DINOv2ImageEncoder(str(dinov2_folder), image_size=230)
    with pytest.raises(ValueError, match="got 0; try 14"):
        DINOv2ImageEncoder(str(dinov2_folder), image_size=0)


def test_another_model_in_the_folder(clip_folder: Path) -> None:
    message = "Dinov2Model needs a model of type 'dinov2', got 'clip_vision_model' .architecture CLIPVisionModel. in "
    with pytest.raises(ValueError, match=message + str(clip_folder)):
        DINOv2ImageEncoder(str(clip_folder))
    with pytest.raises(ValueError, match=message):
        DINOv2ImageEncoder(f"random:{clip_folder}")
