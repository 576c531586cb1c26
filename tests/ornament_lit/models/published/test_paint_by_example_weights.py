"""Paint-by-Example's folder: the denoiser is its UNet, the token that of its encoder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CLIPVisionConfig

from ornament_lit.models.autoencoders import KLAutoencoder
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import ClassTokenImageEncoder
from ornament_lit.models.mask_heads import BoxMaskHead
from ornament_lit.models.published.loading import load_published
from ornament_lit.models.reference_nets import NoReferenceNet
from ornament_lit.models.try_on import TryOnModel

try:
    from diffusers.pipelines.deprecated.paint_by_example.image_encoder import PaintByExampleImageEncoder
except ImportError:  # diffusers before 0.37
    from diffusers.pipelines.paint_by_example.image_encoder import PaintByExampleImageEncoder

SIZES = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}


@pytest.fixture
def theirs(shaken) -> Any:
    """Their image encoder; with one block after CLIP, since there is one for five layers."""
    return shaken(PaintByExampleImageEncoder(CLIPVisionConfig(num_hidden_layers=5, **SIZES), proj_size=24), 7)


@pytest.fixture
def folder(theirs, stock_unet, stock_vae, tmp_path: Path) -> Path:
    stock_unet(9, 8).save_pretrained(tmp_path / "published/unet")
    stock_vae(2, 9).save_pretrained(tmp_path / "published/vae")
    theirs.save_pretrained(tmp_path / "published/image_encoder")
    return tmp_path / "published"


@pytest.fixture
def build(stock_unet, stock_vae, clip_at, tmp_path: Path) -> Callable[..., TryOnModel]:
    """A model of the configuration, with other weights."""
    stock_vae(2, 1).save_pretrained(tmp_path / "configured/vae")
    clip_at(tmp_path / "configured/clip", 2, layers=5)

    def make(unet: Any = None, inputs: tuple[str, ...] = ("noisy", "erased", "keep")) -> TryOnModel:
        encoder = ClassTokenImageEncoder(str(tmp_path / "configured/clip"), token_dim=24, num_blocks=1)
        autoencoder = KLAutoencoder(str(tmp_path / "configured"))
        denoiser = Denoiser(unet or stock_unet(4, 3), inputs=inputs)
        return TryOnModel(autoencoder, encoder, denoiser, NoReferenceNet(), BoxMaskHead()).eval()

    return make


@torch.no_grad()
def test_denoiser_and_tokens_are_the_published_ones(build, folder: Path, theirs, stock_unet, stock_vae, tiny_batch):
    model, batch = build(), tiny_batch(2)
    assert load_published(model, "paint_by_example", folder) == []
    conditioning = model.encode(batch)
    tokens, null = theirs(model.image_encoder.pixels(batch["ornament_image"]), return_uncond_vector=True)
    torch.testing.assert_close(conditioning.image_tokens, tokens, atol=1e-5, rtol=1e-5)
    assert torch.equal(conditioning.null_tokens, null.expand_as(tokens))
    erased = stock_vae(2, 9).encode(conditioning.masked_person_image).latent_dist.mode() * 0.18215
    noisy, timesteps, mask = torch.randn(2, 4, 16, 16), torch.tensor([3, 700]), conditioning.box_mask
    expected = stock_unet(9, 8)(torch.cat([noisy, erased, 1 - mask], dim=1), timesteps, tokens).sample
    found = model.denoise(noisy, timesteps, conditioning, model.refine(conditioning)).prediction
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_no_vae_in_the_folder(build, folder: Path) -> None:
    (folder / "vae").rename(folder / "another")
    model = build()
    before = {name: tensor.clone() for name, tensor in model.autoencoder.state_dict().items()}
    assert load_published(model, "paint_by_example", folder) == ["autoencoder.vae"]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.autoencoder.state_dict().items())


def test_a_vae_with_the_names_of_2022(build, folder: Path, write_state, stock_vae) -> None:
    (folder / "vae/diffusion_pytorch_model.safetensors").unlink()
    state = stock_vae(2, 9).state_dict()
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    for new, name in old.items():
        state = {key.replace(f"attentions.0.{new}.", f"attentions.0.{name}."): value for key, value in state.items()}
    assert sum(".proj_attn." in name for name in state) == 4
    write_state(state, folder / "vae/diffusion_pytorch_model.safetensors")
    assert load_published(build(), "paint_by_example", folder) == []


def test_a_folder_of_several_files(build, folder: Path, write_state, stock_unet) -> None:
    """A large model comes in parts; files with a variant in their names are not mixed with those without."""
    published = folder / "unet/diffusion_pytorch_model.safetensors"
    published.unlink()
    state = list(stock_unet(9, 8).state_dict().items())
    for number, part in enumerate((state[:100], state[100:]), 1):
        write_state(dict(part), published.with_stem(f"{published.stem}-0000{number}-of-00002"))
    write_state(stock_unet(9, 4).half().state_dict(), published.with_stem(f"{published.stem}.fp16"))
    model = build()
    load_published(model, "paint_by_example", folder)
    assert torch.equal(model.denoiser.unet.conv_in.weight, stock_unet(9, 8).conv_in.weight)


def test_other_sizes(build, folder: Path, stock_unet) -> None:
    wide = build(stock_unet(9, 3, block_out_channels=(32, 64)))
    expected = (
        r"^paint_by_example: the weights in \S+published do not fit the model: denoiser\.unet\.conv_in\.weight is "
        r"\(16, 9, 3, 3\) in the files and \(32, 9, 3, 3\) in the model \(\d+ of other shapes in all\); "
        r"configs/baselines/paint_by_example\.yaml is the size that Paint-by-Example's weights fit$"
    )
    before = wide.denoiser.unet.conv_in.weight.clone()
    with pytest.raises(ValueError, match=expected):
        load_published(wide, "paint_by_example", folder)
    assert torch.equal(wide.denoiser.unet.conv_in.weight, before), "nothing is loaded then"
    with pytest.raises(ValueError, match=r"conv_in\.weight is .*down_blocks\S+ is not in the files \(\d+ in all\)"):
        load_published(
            build(stock_unet(4, 3, layers_per_block=2, block_out_channels=(8, 16))), "paint_by_example", folder
        )
    (folder / "unet/diffusion_pytorch_model.safetensors").unlink()
    deep = stock_unet(9, 8, layers_per_block=2)
    deep.save_pretrained(folder / "unet")
    with pytest.raises(ValueError, match=r"down_blocks\S+ is not in the model \(\d+ in all\)"):
        load_published(build(), "paint_by_example", folder)


def test_other_inputs(build, folder: Path) -> None:
    model = build(inputs=("noisy", "keep", "erased"))
    with pytest.raises(
        ValueError, match=r"paint_by_example: .* noisy, erased, keep, in this order.*noisy, keep, erased"
    ):
        load_published(model, "paint_by_example", folder)


def test_pickles_and_absent_files(build, folder: Path) -> None:
    file = folder / "image_encoder/model.safetensors"
    file.rename(file.with_name("pytorch_model.bin"))
    with pytest.raises(ValueError, match=r"pytorch_model\.bin is pickled.*revision refs/pr/3 of Fantasy-Studio"):
        load_published(build(), "paint_by_example", folder)
    file.with_name("pytorch_model.bin").unlink()
    with pytest.raises(FileNotFoundError, match="image_encoder: it holds no file of safetensors"):
        load_published(build(), "paint_by_example", folder)
    file.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"model\.safetensors is no file of safetensors, or damaged"):
        load_published(build(), "paint_by_example", folder)
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        load_published(build(), "paint_by_example", folder / "nowhere")
