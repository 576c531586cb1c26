"""Random weights have the sizes of the pretrained ones: their numbers of parameters are known."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPVisionModel

from ornament_lit.models.pretrained import load_pretrained

SD = "random:stable-diffusion-v1-5/stable-diffusion-v1-5"


@pytest.mark.parametrize(
    ("cls", "path", "parameters"),
    [
        (UNet2DConditionModel, SD, 859_520_964),
        (AutoencoderKL, SD, 83_653_863),
        (CLIPVisionModel, "random:openai/clip-vit-large-patch14", 303_179_776),
        (UNet2DConditionModel, "random:runwayml/stable-diffusion-inpainting", 859_520_964 + 5 * 320 * 9),
    ],
)
def test_sizes_are_those_of_the_models(cls: Any, path: str, parameters: int) -> None:
    with torch.device("meta"):
        model = load_pretrained(cls, path)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def test_a_folder_gives_its_sizes_without_its_weights(vae_folder: Path, clip_folder: Path) -> None:
    for path in vae_folder.rglob("*.safetensors"):
        path.unlink()
    vae = load_pretrained(AutoencoderKL, f"random:{vae_folder}", "vae")
    assert tuple(vae.config.block_out_channels) == (8, 8)
    assert load_pretrained(CLIPVisionModel, f"random:{clip_folder}").config.hidden_size == 16


def test_unknown_sizes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"those of 'someone/else' are not known; .* named stable-diffusion-v1-5"):
        load_pretrained(UNet2DConditionModel, "random:someone/else", "unet")
