"""IDM-VTON's folder and IP-Adapter-plus's file: each matrix at its layer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ornament_lit.models.autoencoders import KLAutoencoder
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import ResamplerImageEncoder
from ornament_lit.models.mask_heads import BoxMaskHead
from ornament_lit.models.prompt_encoders import CategoryEmbedding
from ornament_lit.models.published.loading import load_published
from ornament_lit.models.reference_nets import OrnamentUNetReferenceNet
from ornament_lit.models.try_on import TryOnModel

State = dict[str, Tensor]
XL = {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 4,
    "projection_class_embeddings_input_dim": 6 * 4 + 8,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
}
RESAMPLER = {"token_dim": 24, "num_tokens": 4, "width": 64, "depth": 4, "heads": 1}
PARTS = ("image_proj", "ip_adapter")
STAYS = ["autoencoder.vae", "image_encoder.clip", "prompt_encoder.table"]


@pytest.fixture
def build(stock_unet, stock_vae, clip_at, tmp_path: Path) -> Callable[..., TryOnModel]:
    """A model of the configuration, with other weights."""
    stock_vae(2, 1).save_pretrained(tmp_path / "configured/vae")
    clip_at(tmp_path / "configured/clip", 2)

    def make(decoupled: bool = True, **options: Any) -> TryOnModel:
        return TryOnModel(
            KLAutoencoder(str(tmp_path / "configured")),
            ResamplerImageEncoder(str(tmp_path / "configured/clip"), **RESAMPLER),
            Denoiser(stock_unet(4, 3, **options), decoupled_tokens=decoupled),
            OrnamentUNetReferenceNet(),
            BoxMaskHead(),
            prompt_encoder=CategoryEmbedding(2, 24),
        ).eval()

    return make


@pytest.fixture
def layers(stock_unet) -> Callable[..., State]:
    """Keys and values of image tokens by the layer that they belong to, ``LAYER.to_k`` and ``LAYER.to_v``."""

    def draw(**options: Any) -> State:
        generator = torch.Generator().manual_seed(4)
        unet = stock_unet(4, 0, **options)
        names = [name.removesuffix(".processor") for name in unet.attn_processors if "attn2" in name]
        return {
            f"{name}.{kind}": torch.randn(unet.get_submodule(name).to_k.weight.shape, generator=generator)
            for name in names
            for kind in ("to_k", "to_v")
        }

    return draw


@pytest.fixture
def publish(stock_unet, layers, resampler_state, write_state, tmp_path: Path) -> Callable[..., Path]:
    """Write their folder."""

    def write(**options: Any) -> Path:
        folder = tmp_path / "published"
        decoupled = {
            name.replace("attn2.to_", "attn2.processor.to_"): value for name, value in layers(**options).items()
        }
        decoupled = {f"{name}_ip.weight": value for name, value in decoupled.items()}
        unet = {**stock_unet(13, 8, **options).state_dict(), **decoupled, **resampler_state("encoder_hid_proj.")}
        write_state(unet, folder / "unet/diffusion_pytorch_model.safetensors")
        reference = stock_unet(4, 9, **options).state_dict()
        write_state(reference, folder / "unet_encoder/diffusion_pytorch_model.safetensors")
        return folder

    return write


def check_layers(model: TryOnModel, expected: State) -> None:
    """Each layer has its own matrices."""
    decoupled = model.denoiser.decoupled
    assert len(expected) == 2 * len(decoupled.names)
    for number, name in enumerate(decoupled.names):
        assert torch.equal(decoupled.to_k[number].weight, expected[f"{name}.to_k"])
        assert torch.equal(decoupled.to_v[number].weight, expected[f"{name}.to_v"])


@pytest.mark.parametrize("options", [{}, XL, {"layers_per_block": 2, "transformer_layers_per_block": 2}])
def test_idm_vton(build, publish, layers, stock_unet, options: dict[str, Any]) -> None:
    model = build(**options)
    assert load_published(model, "idm_vton", publish(**options)) == STAYS
    check_layers(model, layers(**options))
    expected = stock_unet(13, 8, **options).state_dict()
    expected["conv_in.weight"] = expected["conv_in.weight"][:, :9]
    found = model.denoiser.unet.state_dict()
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)
    theirs = stock_unet(4, 9, **options).state_dict()
    own = {n: t for n, t in model.reference_net.unet.state_dict().items() if not n.startswith("add_embedding.")}
    assert own and all(torch.equal(tensor, theirs[name]) for name, tensor in own.items())


def test_the_reference_net_of_sdxl_is_told_no_size(build, publish) -> None:
    model = build(**XL)
    load_published(model, "idm_vton", publish(**XL))
    assert not model.reference_net.unet.add_embedding(torch.randn(2, 32)).any()
    assert model.denoiser.unet.add_embedding(torch.randn(2, 32)).any()


def test_clip_that_comes_with_it_is_taken_and_gives_the_null_tokens(build, publish, clip_at, tiny_batch) -> None:
    folder, model = publish(), build()
    clip_at(folder / "image_encoder", 6)
    assert load_published(model, "idm_vton", folder) == ["autoencoder.vae", "prompt_encoder.table"]
    encoder = model.image_encoder
    assert torch.equal(encoder.null_features, encoder.features_of(torch.zeros(1, 3, 32, 32)))
    fresh = ResamplerImageEncoder(str(folder / "image_encoder"), **RESAMPLER)
    images = tiny_batch(2)["ornament_image"]
    torch.testing.assert_close(encoder.extract(images), fresh.extract(images))
    torch.testing.assert_close(encoder.null_features, fresh.null_features)


@pytest.fixture
def adapter(layers, stock_unet, resampler_state) -> State:
    """IP-Adapter's file: layers have the numbers of all processors of the UNet, self-attention among them."""
    order = list(stock_unet(4, 0).attn_processors)
    numbers = {name.removesuffix(".processor"): number for number, name in enumerate(order)}
    state = {}
    for name, value in layers().items():
        layer, _, kind = name.rpartition(".")
        state[f"ip_adapter.{numbers[layer]}.{kind}_ip.weight"] = value
    assert [int(name.split(".")[1]) for name in state][::2] == [1, 3, 5, 7, 9, 11, 13]
    return {**state, **resampler_state("image_proj.")}


def test_ip_adapter_plus(build, adapter: State, layers, write_state, stock_unet, tmp_path: Path) -> None:
    """Diffusers, which reads the same file, agrees on the layers and on the tokens."""
    model = build()
    unet, reference = (part.state_dict() for part in (stock_unet(4, 3), model.reference_net))
    reference = {name: tensor.clone() for name, tensor in reference.items()}
    stays = load_published(model, "ip_adapter_plus", write_state(adapter, tmp_path / "plus.safetensors"))
    assert sorted(stays) == sorted([*STAYS, "denoiser.unet", "reference_net.unet"])
    check_layers(model, layers())
    assert torch.equal(model.denoiser.unet.conv_out.weight, unet["conv_out.weight"])
    assert all(torch.equal(tensor, reference[name]) for name, tensor in model.reference_net.state_dict().items())

    parts = {part: {n.removeprefix(part + "."): t for n, t in adapter.items() if n.startswith(part)} for part in PARTS}
    theirs = stock_unet(4, 3)
    theirs._load_ip_adapter_weights([parts], low_cpu_mem_usage=False)
    for number, name in enumerate(model.denoiser.decoupled.names):
        processor = theirs.attn_processors[f"{name}.processor"]
        assert torch.equal(model.denoiser.decoupled.to_k[number].weight, processor.to_k_ip[0].weight)
        assert torch.equal(model.denoiser.decoupled.to_v[number].weight, processor.to_v_ip[0].weight)
    features = torch.randn(2, 17, 16)
    projected = theirs.encoder_hid_proj.image_projection_layers[0].state_dict()
    assert all(torch.equal(t, projected[n]) for n, t in model.image_encoder.projection.state_dict().items())
    assert model.image_encoder.project(features).shape == (2, 4, 24)


def test_what_does_not_fit(build, publish, adapter: State, write_state, tmp_path: Path) -> None:
    file = write_state(adapter, tmp_path / "plus.safetensors")
    with pytest.raises(ValueError, match=r"set model\.denoiser\.decoupled_tokens=true"):
        load_published(build(decoupled=False), "ip_adapter_plus", file)
    with pytest.raises(ValueError, match=r"a cross-attention that the model has not, .*4 layers"):
        load_published(build(**XL), "ip_adapter_plus", file)
    with pytest.raises(ValueError, match=r"decoupled\.to_k\.0\.weight is .*size that the weights of IP-Adapter-plus"):
        load_published(build(block_out_channels=(32, 64)), "ip_adapter_plus", file)
    with pytest.raises(ValueError, match=r"plus\.bin is pickled.*ip-adapter-plus_sd15\.safetensors of h94/IP-Adapter"):
        load_published(build(), "ip_adapter_plus", file.rename(file.with_suffix(".bin")))
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        load_published(build(), "ip_adapter_plus", file)
    with pytest.raises(ValueError, match=r"idm_vton: the weights .*with both UNets and the VAE of Stable Diffusion XL"):
        load_published(build(block_out_channels=(32, 64)), "idm_vton", publish())
