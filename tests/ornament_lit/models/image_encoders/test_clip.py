from pathlib import Path

import torch
from transformers import CLIPImageProcessor

from ornament_lit.models.image_encoders import CLIPImageEncoder


def test_tokens_have_the_width_of_the_cross_attention(clip_folder: Path) -> None:
    encoder = CLIPImageEncoder(str(clip_folder), token_dim=24).train()
    assert (encoder.num_tokens, encoder.token_dim) == (17, 24)
    tokens = encoder(torch.rand(2, 3, 40, 40) * 2 - 1)
    assert tokens.shape == (2, 17, 24)
    assert not encoder.clip.training
    trained = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert trained == {"norm.weight", "norm.bias", "projection.weight", "projection.bias"}


def test_pictures_are_prepared_as_the_processor_of_the_library_does(clip_folder: Path) -> None:
    encoder = CLIPImageEncoder(str(clip_folder), token_dim=24)
    seen = {}
    encoder.clip.register_forward_pre_hook(lambda _, args, kwargs: seen.update(kwargs), with_kwargs=True)
    pixels = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    encoder(pixels / 127.5 - 1)
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    expected = processor(pixels[0], return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(seen["pixel_values"], expected, atol=1e-4, rtol=1e-4)
