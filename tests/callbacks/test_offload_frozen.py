"""Frozen encoders compute on the device, and live on the CPU before and after; meta stands for the GPU."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from lightning.pytorch import Trainer
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModel

from callbacks import OffloadFrozen
from callbacks.offload_frozen import frozen_parts, offload


@pytest.fixture
def vae() -> AutoencoderKL:
    torch.manual_seed(0)
    levels = 2
    return AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
        norm_num_groups=4,
    ).requires_grad_(False)


@pytest.fixture
def clip() -> CLIPVisionModel:
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    return CLIPVisionModel(config).requires_grad_(False).eval()


def encode(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    if isinstance(model, AutoencoderKL):
        return model.decode(model.encode(images).latent_dist.mode()).sample
    return model(pixel_values=images).last_hidden_state


@pytest.mark.parametrize("name", ["vae", "clip"])
def test_pictures_are_encoded_on_the_device_and_weights_return(name: str, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    images = torch.rand(1, 3, 32, 32)
    expected = encode(model, images)
    offload(model, torch.device("meta"))
    assert encode(model, images.to("meta")).device.type == "meta"
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    for layer in model.modules():
        layer._forward_pre_hooks.clear()
        layer._forward_hooks.clear()
    assert torch.equal(encode(model, images), expected)


def test_weights_return_after_an_error(vae: AutoencoderKL) -> None:
    offload(vae, torch.device("meta"))
    with pytest.raises(RuntimeError):
        encode(vae, torch.rand(1, 5, 32, 32, device="meta"))
    assert {value.device.type for value in vae.state_dict().values()} == {"cpu"}


def test_what_trains_stays(vae: AutoencoderKL, clip: CLIPVisionModel) -> None:
    mixed = nn.ModuleDict({"clip": clip, "projection": nn.Linear(16, 8)})
    module = nn.ModuleDict({"vae": nn.ModuleDict({"inner": vae}), "encoder": mixed, "empty": nn.Identity()})
    assert list(frozen_parts(module)) == [module["vae"], clip]


def test_a_network_that_trains_in_part_stays_whole(vae: AutoencoderKL) -> None:
    unet = UNet2DConditionModel(
        block_out_channels=(8,), down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), norm_num_groups=4
    )
    unet.requires_grad_(False)
    unet.up_blocks.requires_grad_(True)
    module = nn.ModuleDict({"denoiser": nn.ModuleDict({"unet": unet, "skip": nn.Linear(1, 1)}), "vae": vae})
    assert list(frozen_parts(module)) == [vae]
    unet.requires_grad_(False)
    assert list(frozen_parts(module)) == [unet, vae]


def test_losses_of_a_training_are_the_same(
    build_module: Callable[..., Any], data: Any, make_trainer: Callable[..., Trainer], vae: AutoencoderKL
) -> None:
    module = build_module()
    module.vae = vae
    make_trainer(OffloadFrozen()).fit(module, data)
    plain = build_module()
    make_trainer().fit(plain, data)
    assert module.gain.item() == plain.gain.item()
    assert all(layer._forward_pre_hooks for layer in vae.modules() if list(layer.parameters(recurse=False)))
