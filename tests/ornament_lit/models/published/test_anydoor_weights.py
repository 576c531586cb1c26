"""AnyDoor's checkpoint, written here by the names of latent diffusion from stock models of diffusers."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ControlNetModel
from torch import Tensor
from transformers import Dinov2Config, Dinov2Model

from ornament_lit.models.autoencoders import KLAutoencoder
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import DINOv2ImageEncoder
from ornament_lit.models.mask_heads import BoxMaskHead
from ornament_lit.models.published.loading import load_published
from ornament_lit.models.reference_nets import ControlNetReference
from ornament_lit.models.try_on import TryOnModel

State = dict[str, Tensor]
EMBEDDING = (8, 8, 16, 16)
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
VAE_LAYERS = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
    "conv_shortcut": "nin_shortcut",
    "conv_norm_out": "norm_out",
}


def ldm_unet(name: str, layers: int) -> str:
    """The name of a UNet's or ControlNet's weight in latent diffusion."""
    fixed = {
        "conv_in": "input_blocks.0.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "controlnet_mid_block": "middle_block_out.0",
        "controlnet_cond_embedding.conv_in": "input_hint_block.0",
        "controlnet_cond_embedding.conv_out": "input_hint_block.14",
    }
    layer, _, kind = name.rpartition(".")
    if layer in fixed:
        return f"{fixed[layer]}.{kind}"
    if found := re.match(r"controlnet_cond_embedding\.blocks\.(\d+)", name):
        return f"input_hint_block.{2 * int(found[1]) + 2}.{kind}"
    if found := re.match(r"controlnet_down_blocks\.(\d+)", name):
        return f"zero_convs.{found[1]}.0.{kind}"
    side, *numbers, rest = place(name)
    stage, at = (*numbers, 0)[:2] if side != "mid_block" else (0, numbers[0])
    number = stage * (layers + 1) + at
    if ".resnets." in name:
        rest = ".".join(RESNET.get(word, word) for word in rest.split("."))
        where = {"down_blocks": f"input_blocks.{number + 1}.0", "mid_block": f"middle_block.{2 * at}"}
        return f"{where.get(side, f'output_blocks.{number}.0')}.{rest}"
    if ".attentions." in name:
        where = {"down_blocks": f"input_blocks.{number + 1}.1", "mid_block": "middle_block.1"}
        return f"{where.get(side, f'output_blocks.{number}.1')}.{rest}"
    if ".downsamplers." in name:
        return f"input_blocks.{(stage + 1) * (layers + 1)}.0.op.{kind}"
    return f"output_blocks.{stage * (layers + 1) + layers}.2.conv.{kind}"


def place(name: str) -> tuple[Any, ...]:
    """Side, stage (not of the middle) and number of a block, and what follows."""
    if found := re.match(r"(down_blocks|up_blocks)\.(\d+)\.\w+\.(\d+)\.(.+)", name):
        return found[1], int(found[2]), int(found[3]), found[4]
    found = re.match(r"mid_block\.\w+\.(\d+)\.(.+)", name)
    assert found, name
    return "mid_block", int(found[1]), found[2]


def ldm_vae(name: str, levels: int) -> str:
    """The name of a VAE's weight in latent diffusion, whose decoder counts its levels from the output."""
    for ours, theirs in VAE_LAYERS.items():
        name = name.replace(f".{ours}.", f".{theirs}.")
    name = name.replace("mid_block.attentions.0", "mid.attn_1")
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    name = re.sub(r"up_blocks\.(\d)", lambda m: f"up.{levels - 1 - int(m[1])}", name)
    name = name.replace("down_blocks", "down").replace("resnets", "block")
    return name.replace("downsamplers.0", "downsample").replace("upsamplers.0", "upsample")


def renamed(prefix: str, state: Mapping[str, Tensor], rename: Callable[[str, int], str], number: int) -> State:
    found = {prefix + rename(name, number): tensor for name, tensor in state.items()}
    assert len(found) == len(state), "names must stay different"
    return found


@pytest.fixture
def controlnet(stock_unet, shaken) -> ControlNetModel:
    net = ControlNetModel.from_unet(
        stock_unet(4, 8), conditioning_embedding_out_channels=EMBEDDING, conditioning_channels=4
    )
    return shaken(net, 6)


@pytest.fixture
def state(stock_unet, stock_vae, controlnet: ControlNetModel) -> State:
    """Their checkpoint, and what else is in it; the attention of the VAE is a convolution there."""
    vae = renamed("first_stage_model.", stock_vae(4, 9).state_dict(), ldm_vae, 4)
    for name, tensor in vae.items():
        if ".attn_1." in name and name.endswith("weight") and tensor.ndim == 2:
            vae[name] = tensor[:, :, None, None]
    return {
        **renamed("model.diffusion_model.", stock_unet(4, 8).state_dict(), ldm_unet, 1),
        **renamed("control_model.", controlnet.state_dict(), ldm_unet, 1),
        **vae,
        "cond_stage_model.projector.weight": torch.randn(24, 16),
        "cond_stage_model.projector.bias": torch.randn(24),
        "cond_stage_model.model.cls_token": torch.randn(1, 1, 16),
        "betas": torch.rand(1000),
    }


@pytest.fixture
def checkpoint(state: State, tmp_path: Path) -> Path:
    path = tmp_path / "anydoor.ckpt"
    torch.save({"state_dict": state, "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(2)}}}]}, path)
    return path


@pytest.fixture
def build(stock_unet, stock_vae, tmp_path: Path) -> Callable[..., TryOnModel]:
    """A model of the configuration, with other weights."""
    stock_vae(4, 1).save_pretrained(tmp_path / "configured/vae")
    config = Dinov2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8)
    Dinov2Model(config).save_pretrained(tmp_path / "configured/dino")

    def make(**options: Any) -> TryOnModel:
        encoder = DINOv2ImageEncoder(str(tmp_path / "configured/dino"), token_dim=24, image_size=32)
        denoiser = Denoiser(stock_unet(4, 3, **options), inputs=["noisy"], trained="decoder")
        reference = ControlNetReference(embedding_channels=EMBEDDING)
        autoencoder = KLAutoencoder(str(tmp_path / "configured"))
        return TryOnModel(autoencoder, encoder, denoiser, reference, BoxMaskHead()).eval()

    return make


def same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)


def test_each_weight_is_at_its_place(build, checkpoint: Path, state: State, stock_unet, stock_vae, controlnet) -> None:
    model = build()
    assert load_published(model, "anydoor", checkpoint) == ["image_encoder.dino"]
    assert same(model.denoiser.unet.state_dict(), stock_unet(4, 8).state_dict())
    assert same(model.autoencoder.vae.state_dict(), stock_vae(4, 9).state_dict())
    found = model.reference_net.controlnet.state_dict()
    zero = {f"conv_in.{kind}": torch.zeros_like(found[f"conv_in.{kind}"]) for kind in ("weight", "bias")}
    assert same(found, {**controlnet.state_dict(), **zero})
    assert torch.equal(model.image_encoder.projection.weight, state["cond_stage_model.projector.weight"])


@torch.no_grad()
def test_a_step_is_that_of_stock_networks_with_the_collage_alone(
    build, checkpoint: Path, tiny_batch, stock_unet, controlnet
) -> None:
    """Theirs embeds the collage where a ControlNet embeds the noisy latents."""
    model, noisy, timesteps = build(), torch.randn(2, 4, 8, 8), torch.tensor([3, 700])
    load_published(model, "anydoor", checkpoint)
    conditioning = replace(model.encode(tiny_batch(2, resolution=64)), timesteps=timesteps)
    hint = controlnet.controlnet_cond_embedding(model.reference_net.hint(conditioning))
    controlnet.conv_in.register_forward_hook(lambda *_: torch.zeros_like(hint))
    tokens = conditioning.image_tokens
    down, middle = controlnet(noisy, timesteps, tokens, model.reference_net.hint(conditioning), return_dict=False)
    expected = stock_unet(4, 8)(
        noisy, timesteps, tokens, down_block_additional_residuals=down, mid_block_additional_residual=middle
    ).sample
    found = model.denoise(noisy, timesteps, conditioning, model.refine(conditioning)).prediction
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_two_layers_a_level(build, state: State, stock_unet, shaken, tmp_path: Path) -> None:
    """As in Stable Diffusion; the converter must be told how many there are."""
    unet = stock_unet(4, 8, layers_per_block=2)
    net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=EMBEDDING, conditioning_channels=4)
    others = {name: value for name, value in state.items() if not name.startswith(("model.diffusion", "control_"))}
    parts = {
        **renamed("model.diffusion_model.", unet.state_dict(), ldm_unet, 2),
        **renamed("control_model.", shaken(net, 6).state_dict(), ldm_unet, 2),
    }
    torch.save({**others, **parts}, tmp_path / "plain.ckpt")
    model = build(layers_per_block=2)
    load_published(model, "anydoor", tmp_path / "plain.ckpt")
    assert same(model.denoiser.unet.state_dict(), unet.state_dict())


def test_other_sizes(build, checkpoint: Path) -> None:
    expected = (
        r"^anydoor: the weights in \S+ do not fit the model: denoiser\.unet\.\S+ is \(.*\) in the files and \(.*\) in "
        r"the model \(\d+ of other shapes in all\); configs/baselines/anydoor_sd21\.yaml is the size that AnyDoor's"
    )
    with pytest.raises(ValueError, match=expected):
        load_published(build(block_out_channels=(32, 64)), "anydoor", checkpoint)


class Anything:
    """What a pickle may hold."""


def test_pickled_objects_and_other_files(build, state: State, tmp_path: Path) -> None:
    path, model = tmp_path / "other.ckpt", build()
    torch.save({"state_dict": state, "callbacks": Anything()}, path)
    with pytest.raises(ValueError, match=r"other\.ckpt cannot be read as tensors alone.*take the published") as caught:
        load_published(model, "anydoor", path)
    assert "\n" not in str(caught.value)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="cannot be read as tensors alone"):
        load_published(model, "anydoor", path)
    torch.save({"state_dict": {"x": torch.zeros(1)}}, path)
    with pytest.raises(
        ValueError, match=r"no checkpoint of AnyDoor: nothing in it is named model\.diffusion_model\.\*"
    ):
        load_published(model, "anydoor", path)
    with pytest.raises(FileNotFoundError, match="AnyDoor's are one file"):
        load_published(model, "anydoor", tmp_path)
    del state["control_model.zero_convs.0.0.weight"]
    torch.save(state, path)
    with pytest.raises(ValueError, match=r"controlnet_down_blocks\.0\.weight is not in the files \(1 in all\)"):
        load_published(model, "anydoor", path)
