"""OOTDiffusion's folder: with scaled latents, our networks compute what its UNets compute with unscaled ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor

from ornament_lit.models.autoencoders import KLAutoencoder
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import EmbeddingImageEncoder
from ornament_lit.models.mask_heads import BoxMaskHead
from ornament_lit.models.published.loading import load_published
from ornament_lit.models.reference_nets import OrnamentUNetReferenceNet
from ornament_lit.models.try_on import TryOnModel

FACTOR = 0.18215


@pytest.fixture
def folder(stock_unet, tmp_path: Path) -> Path:
    stock_unet(8, 8).save_pretrained(tmp_path / "published/unet_vton")
    stock_unet(4, 9).save_pretrained(tmp_path / "published/unet_garm")
    return tmp_path / "published"


@pytest.fixture
def build(stock_unet, stock_vae, clip_at, tmp_path: Path) -> Callable[..., TryOnModel]:
    """A model of the configuration, with other weights."""
    stock_vae(2, 1).save_pretrained(tmp_path / "configured/vae")
    clip_at(tmp_path / "configured/clip", 2)

    def make(**options: Any) -> TryOnModel:
        usual = {"trained": True, "timestep": "zero", "tokens": "raw", "prompt": "denoiser"}
        reference = OrnamentUNetReferenceNet(**{**usual, "null_features": "zero_latents", **options})
        encoder = EmbeddingImageEncoder(str(tmp_path / "configured/clip"), token_dim=24)
        autoencoder = KLAutoencoder(str(tmp_path / "configured"))
        denoiser = Denoiser(stock_unet(4, 3), inputs=["noisy", "erased"])
        return TryOnModel(autoencoder, encoder, denoiser, reference, BoxMaskHead()).eval()

    return make


class BothTokens(AttnProcessor2_0):
    """Self-attention that sees its own tokens and those of the other UNet."""

    def __init__(self, tokens: Tensor) -> None:
        super().__init__()
        self.tokens = tokens

    def __call__(self, attn: Attention, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        return super().__call__(attn, hidden_states, torch.cat([hidden_states, self.tokens], dim=1))


def run_published(
    vton: UNet2DConditionModel, garm: UNet2DConditionModel, latents: Tensor, inputs: Tensor, at: Tensor, tokens: Tensor
) -> Tensor:
    """Their two UNets: what goes into each first norm of the one is normalised by the other's."""
    names = [name.removesuffix(".processor") for name in vton.attn_processors if name.endswith("attn1.processor")]
    seen: dict[str, Tensor] = {}
    for name in names:
        norm = garm.get_submodule(name.removesuffix("attn1") + "norm1")
        norm.register_forward_pre_hook(lambda _, given, name=name: seen.update({name: given[0]}))
    garm(latents, 0, tokens)
    joined = {name: BothTokens(vton.get_submodule(name.removesuffix("attn1") + "norm1")(seen[name])) for name in names}
    plain = {name: AttnProcessor2_0() for name in vton.attn_processors}
    vton.set_attn_processor({**plain, **{f"{name}.processor": processor for name, processor in joined.items()}})
    return vton(inputs, at, tokens).sample


@torch.no_grad()
def test_scaled_latents_give_what_unscaled_ones_gave(build, folder: Path, stock_unet, tiny_batch) -> None:
    model, batch = build(), tiny_batch(2)
    assert load_published(model, "ootdiffusion", folder) == ["autoencoder.vae", "image_encoder.clip"]
    conditioning = model.encode(batch)
    noisy, timesteps = torch.randn(2, 4, 16, 16), torch.tensor([3, 700])
    erased = conditioning.masked_person_latents / FACTOR
    expected = run_published(
        stock_unet(8, 8),
        stock_unet(4, 9),
        conditioning.ornament_latents / FACTOR,
        torch.cat([noisy, erased], dim=1),
        timesteps,
        conditioning.image_tokens,
    )
    found = model.denoise(noisy, timesteps, conditioning, model.refine(conditioning)).prediction
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    unet, published = model.denoiser.unet.conv_in, stock_unet(8, 8).conv_in
    assert torch.equal(unet.weight[:, :4], published.weight[:, :4]) and torch.equal(unet.bias, published.bias)


def test_a_vae_that_comes_with_it_is_taken(build, folder: Path, stock_vae) -> None:
    stock_vae(2, 6).save_pretrained(folder / "vae")
    model = build()
    assert load_published(model, "ootdiffusion", folder) == ["image_encoder.clip"]
    assert torch.equal(model.autoencoder.vae.decoder.conv_in.weight, stock_vae(2, 6).decoder.conv_in.weight)


def test_half_precision_is_scaled_in_float32(build, folder: Path, stock_unet) -> None:
    stock_unet(4, 9).half().save_pretrained(folder / "unet_garm")
    model = build()
    load_published(model, "ootdiffusion", folder)
    expected = stock_unet(4, 9).conv_in.weight.half().float() / FACTOR
    assert torch.equal(model.reference_net.unet.conv_in.weight, expected)


def test_another_reference_net(build, folder: Path) -> None:
    with pytest.raises(ValueError, match=r"norm1\.weight is not in the files .*configs/baselines/ootdiffusion\.yaml"):
        load_published(build(tokens="normalised"), "ootdiffusion", folder)
    (folder / "unet_garm/diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="unet_garm"):
        load_published(build(), "ootdiffusion", folder)
