"""What a folder must hold, so that no weight stays random unnoticed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    Dinov2Model,
)

from ornament_lit.models.autoencoders import KLAutoencoder
from ornament_lit.models.image_encoders import CLIPImageEncoder
from ornament_lit.models.pretrained import load_pretrained, pretrained_unet


def change(folder: Path, **values: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_a_model_of_another_kind(clip_folder: Path, dinov2_folder: Path) -> None:
    with pytest.raises(
        ValueError, match=r"CLIPVisionModel needs .* 'clip_vision_model', got 'dinov2' \(arch.* in /.*;"
    ):
        load_pretrained(CLIPVisionModel, str(dinov2_folder))
    with pytest.raises(ValueError, match=r"'dinov2', got 'clip_vision_model' \(architecture CLIPVisionModel\)"):
        load_pretrained(Dinov2Model, str(clip_folder))


def test_a_part_of_the_model(tmp_path: Path) -> None:
    """CLIP for pictures comes from a whole CLIP, too."""
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    clip = CLIPModel(CLIPConfig(text_config=vision, vision_config={**vision, "image_size": 32, "patch_size": 8}))
    clip.save_pretrained(tmp_path)
    loaded = load_pretrained(CLIPVisionModel, str(tmp_path)).state_dict()
    inner = clip.vision_model.state_dict()
    assert all(torch.equal(value, inner[name.removeprefix("vision_model.")]) for name, value in loaded.items())


def test_weights_are_missing(clip_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"not those of CLIPVisionModelWithProjection: visual_proj.* \(1 in all\)"):
        load_pretrained(CLIPVisionModelWithProjection, str(clip_folder))


def test_another_network_of_diffusers(vae_folder: Path) -> None:
    with pytest.raises(ValueError, match=rf"in {vae_folder}/vae are not those of UNet2DConditionModel: .* is missing"):
        load_pretrained(UNet2DConditionModel, str(vae_folder), "vae")


def test_another_width_than_the_configuration_says(clip_folder: Path, vae_folder: Path) -> None:
    change(clip_folder, hidden_size=32)
    with pytest.raises(
        ValueError, match=rf"in {clip_folder} are not .* \(16,\) in the file and \(32,\) by config.json"
    ):
        load_pretrained(CLIPVisionModel, str(clip_folder))
    change(vae_folder / "vae", latent_channels=8)
    with pytest.raises(ValueError, match=r"config.json says for AutoencoderKL: size mismatch for .*; take both from"):
        load_pretrained(AutoencoderKL, str(vae_folder), "vae")


def test_variant_and_revision_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """And they are not passed where there are none."""
    seen: list[tuple[str, dict[str, Any]]] = []

    def found(cls: type, path: str, **options: Any) -> None:
        seen.append((cls.__name__, options))
        raise InterruptedError

    def kind(path: str, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        seen.append(("config", options))
        return {}, {}

    for cls in (UNet2DConditionModel, AutoencoderKL, CLIPVisionModel):
        monkeypatch.setattr(cls, "from_pretrained", classmethod(found))
    monkeypatch.setattr(CLIPVisionModel.config_class, "get_config_dict", kind)
    for build in (pretrained_unet, KLAutoencoder, CLIPImageEncoder):
        for given in ({"variant": "fp16", "revision": "refs/pr/3"}, {}):
            seen.clear()
            with pytest.raises(InterruptedError):
                build("someone/model", **given)
            options = seen[-1][1]
            assert {name: options[name] for name in ("variant", "revision") if name in options} == given
            if seen[0][0] == "config":
                assert seen[0][1].get("revision") == given.get("revision") and "variant" not in seen[0][1]
