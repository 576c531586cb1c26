"""Random weights have the sizes of the pretrained ones: their numbers of parameters are known."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPVisionModel, CLIPVisionModelWithProjection, Dinov2Model

from ornament_lit.models.pretrained import load_pretrained

SD = "random:stable-diffusion-v1-5/stable-diffusion-v1-5"


@pytest.mark.parametrize(
    ("cls", "path", "parameters"),
    [
        (UNet2DConditionModel, SD, 859_520_964),
        (AutoencoderKL, SD, 83_653_863),
        (CLIPVisionModel, "random:openai/clip-vit-large-patch14", 303_179_776),
        (UNet2DConditionModel, "random:runwayml/stable-diffusion-inpainting", 859_520_964 + 5 * 320 * 9),
        (CLIPTextModel, SD, 123_060_480),
        (CLIPVisionModelWithProjection, "random:openai/clip-vit-large-patch14", 303_179_776 + 1024 * 768),
        (CLIPVisionModel, "random:h94/IP-Adapter", 630_766_080),
        (CLIPVisionModelWithProjection, "random:h94/IP-Adapter", 630_766_080 + 1280 * 1024),
        (Dinov2Model, "random:facebook/dinov2-giant", 1_136_480_768),
        (UNet2DConditionModel, "random:someone/stable-diffusion-2-1-base", 865_910_724),
        (AutoencoderKL, "random:someone/stable-diffusion-2-1-base", 83_653_863),
        (UNet2DConditionModel, "random:Fantasy-Studio/Paint-by-Example", 859_520_964 + 5 * 320 * 9),
        (AutoencoderKL, "random:Fantasy-Studio/Paint-by-Example", 83_653_863),
        (CLIPVisionModel, "random:Fantasy-Studio/Paint-by-Example", 303_179_776),
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


def test_the_same_sizes_give_the_same_weights(vae_folder: Path, dinov2_folder: Path, tmp_path: Path) -> None:
    """Whatever the random state, which stays as it is, and wherever the sizes lie."""
    moved = shutil.copytree(dinov2_folder, tmp_path / "moved")
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps({**config, "transformers_version": "0", "_name_or_path": "x"}))
    for cls, paths in [(AutoencoderKL, (f"{vae_folder}/vae",) * 2), (Dinov2Model, (dinov2_folder, moved))]:
        built = []
        for seed, path in enumerate(paths):
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            built.append(load_pretrained(cls, f"random:{path}").state_dict())
            assert torch.equal(torch.get_rng_state(), before)
        assert all(torch.equal(built[0][name], value) for name, value in built[1].items())


def test_other_sizes_give_other_weights(dinov2_folder: Path) -> None:
    first = load_pretrained(Dinov2Model, f"random:{dinov2_folder}").state_dict()
    file = dinov2_folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "mlp_ratio": 2}))
    second = load_pretrained(Dinov2Model, f"random:{dinov2_folder}").state_dict()
    assert not torch.equal(first["embeddings.cls_token"], second["embeddings.cls_token"])
