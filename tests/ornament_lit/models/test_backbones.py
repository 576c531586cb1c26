"""The real formats: folders shaped as Stable Diffusion 1.5, its inpainting variant, 2.1 and XL, a few channels wide."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conditions import told
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from PIL import Image
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel

from ornament_lit.models.attention_layers import self_attention_layers
from ornament_lit.models.autoencoders import KLAutoencoder
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import CLIPImageEncoder
from ornament_lit.models.pretrained import pretrained_unet
from ornament_lit.models.reference_features import LayerTokens, ReferenceFeatures
from ornament_lit.models.reference_nets import UNetReferenceNet
from ornament_lit.models.unet import ConstantCrossAttention
from ornament_lit.pipeline import OrnamentTryOnPipeline
from ornament_lit.pipeline.from_checkpoint import pipeline_of

SD15: dict[str, Any] = {
    "block_out_channels": (8, 8, 16, 16),
    "attention_head_dim": 2,
    "cross_attention_dim": 24,
    "norm_num_groups": 4,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "1.5": SD15,
    "1.5 inpainting": {**SD15, "in_channels": 9},
    "2.1": {**SD15, "cross_attention_dim": 32, "attention_head_dim": (1, 2, 4, 4), "use_linear_projection": True},
    "xl": {
        "block_out_channels": (8, 8, 16),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 3),
        "attention_head_dim": (1, 2, 4),
        "cross_attention_dim": 40,
        "norm_num_groups": 4,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 4,
        "projection_class_embeddings_input_dim": 20 + 6 * 4,
    },
}
LATENT_ONLY = [name for name, options in VARIANTS.items() if options.get("in_channels", 4) == 4]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each variant, with ``unet`` in it."""
    torch.manual_seed(0)
    made = {}
    for name, options in VARIANTS.items():
        made[name] = tmp_path_factory.mktemp("sd") / name
        UNet2DConditionModel(sample_size=16, **options).save_pretrained(made[name] / "unet")
        assert {path.name for path in (made[name] / "unet").iterdir()} == {
            "config.json",
            "diffusion_pytorch_model.safetensors",
        }
    return made


def inputs(width: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = {"noisy": (2, 4, 16, 16), "erased": (2, 4, 16, 16), "mask": (2, 1, 16, 16), "tokens": (2, 5, width)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def run(denoiser: Denoiser, given: dict[str, Tensor], features: ReferenceFeatures | None = None) -> Tensor:
    noisy, erased, mask, tokens = (given[name] for name in ("noisy", "erased", "mask", "tokens"))
    features = features or ReferenceFeatures(noisy[:, :0], noisy[:, :0])
    timesteps = given.get("timesteps", torch.tensor([3, 700]))
    return denoiser(noisy, timesteps, erased, mask, tokens, features, mask).prediction


def stock(unet: UNet2DConditionModel, sample: Tensor, timesteps: Tensor, tokens: Tensor) -> Tensor:
    """The UNet as its own pipeline calls it for an image of 128 pixels and no text."""
    size = torch.tensor([[128.0, 128.0, 0.0, 0.0, 128.0, 128.0]]).expand(len(sample), -1)
    added = {"text_embeds": torch.zeros(len(sample), 20), "time_ids": size}
    wants = unet.config.addition_embed_type == "text_time"
    return unet(sample, timesteps, tokens, added_cond_kwargs=added if wants else None).sample


@pytest.mark.parametrize("name", LATENT_ONLY)
def test_the_first_step_is_that_of_plain_stable_diffusion(folders: dict[str, Path], name: str) -> None:
    plain, denoiser = pretrained_unet(str(folders[name])), Denoiser(pretrained_unet(str(folders[name])))
    given = inputs(denoiser.cross_attention_dim)
    assert denoiser.unet.conv_in.in_channels == denoiser.unet.config.in_channels == 9
    assert not denoiser.unet.conv_in.weight[:, 4:].any()
    expected = stock(plain, given["noisy"], torch.tensor([3, 700]), given["tokens"])
    torch.testing.assert_close(run(denoiser, given), expected)


def test_the_inpainting_variant_is_given_its_channels_in_their_order(folders: dict[str, Path]) -> None:
    path = str(folders["1.5 inpainting"])
    plain, denoiser = pretrained_unet(path), Denoiser(pretrained_unet(path))
    given = inputs(24)
    sample = torch.cat([given["noisy"], given["mask"], given["erased"]], dim=1)
    expected = stock(plain, sample, torch.tensor([3, 700]), given["tokens"])
    assert torch.equal(run(denoiser, given), expected)
    assert denoiser.unet.conv_in.weight[:, 4:].any()


@pytest.mark.parametrize("name", VARIANTS)
def test_a_reference_net_begins_with_the_weights_of_the_folder(folders: dict[str, Path], name: str) -> None:
    plain, denoiser = pretrained_unet(str(folders[name])), Denoiser(pretrained_unet(str(folders[name])))
    net = UNetReferenceNet()
    net.attach(denoiser.unet)
    weights = plain.state_dict()
    for key, value in net.unet.state_dict().items():
        source = key.replace("attn2.bias", "attn2.to_out.0.bias")
        begun = value[:, :4] if key == "conv_in.weight" else value
        kept = weights[source][:, :4] if key == "conv_in.weight" else weights[source]
        assert torch.equal(begun, kept), key
    assert net.unet.conv_in.weight.shape[1] == 5 and not net.unet.conv_in.weight[:, 4:].any()
    names = [layer.removesuffix("attn1") + "attn2" for layer in self_attention_layers(net.unet)]
    assert all(isinstance(net.unet.get_submodule(layer), ConstantCrossAttention) for layer in names)


@pytest.mark.parametrize(("name", "layout"), [*((name, "canvas") for name in VARIANTS), ("xl", "rows")])
def test_every_layer_gets_tokens_and_the_reference_is_seen(folders: dict[str, Path], name: str, layout: str) -> None:
    denoiser, net = Denoiser(pretrained_unet(str(folders[name]))), UNetReferenceNet(layout)
    net.attach(denoiser.unet)
    given = inputs(denoiser.cross_attention_dim)
    features = net(*told(given["noisy"], given["mask"], given["erased"], given["mask"]))
    assert list(features.tokens) == denoiser.self_attention_layers()
    assert not torch.allclose(run(denoiser, given, features), run(denoiser, given))
    torch.testing.assert_close(run(denoiser, given, denoiser.project(features)), run(denoiser, given, features))


@pytest.mark.parametrize("name", LATENT_ONLY)
def test_a_reference_that_is_the_picture_itself_changes_nothing(folders: dict[str, Path], name: str) -> None:
    """Attention to [x ; x ; x] is attention to x: at timestep 0 and without image tokens both nets are the same."""
    plain, denoiser = pretrained_unet(str(folders[name])), Denoiser(pretrained_unet(str(folders[name])))
    net = UNetReferenceNet("rows")
    net.attach(denoiser.unet)
    given = inputs(denoiser.cross_attention_dim)
    given |= {"tokens": torch.zeros(2, 1, denoiser.cross_attention_dim), "timesteps": torch.zeros(2).long()}
    features = net(*told(given["noisy"], given["mask"], given["noisy"], given["mask"]))
    expected = stock(plain, given["noisy"], given["timesteps"], given["tokens"])
    torch.testing.assert_close(run(denoiser, given, features), expected, rtol=1e-4, atol=1e-5)


def test_new_channels_start_unseen_with_a_reference_too(folders: dict[str, Path]) -> None:
    denoiser, net = Denoiser(pretrained_unet(str(folders["1.5"]))), UNetReferenceNet()
    net.attach(denoiser.unet)
    given = inputs(24)
    features = net(*told(given["noisy"], given["mask"], given["erased"], given["mask"]))
    other = {**given, "erased": -given["erased"], "mask": 1 - given["mask"]}
    assert torch.equal(run(denoiser, given, features), run(denoiser, other, features))
    changed = net(*told(given["noisy"], 1 - given["mask"], given["erased"], 1 - given["mask"]))
    assert all(torch.equal(layer.person, changed.tokens[name].person) for name, layer in features.tokens.items())


def test_tokens_of_a_layer_are_appended_to_its_own(folders: dict[str, Path]) -> None:
    """Against softmax by hand in one layer, all others without a reference."""
    denoiser = Denoiser(pretrained_unet(str(folders["2.1"])))
    name = denoiser.highest_resolution_layers()[0]
    layer = denoiser.unet.get_submodule(name)
    ornament, person = torch.randn(2, 2, 256, 8)
    seen: dict[str, Tensor] = {}
    layer.register_forward_hook(lambda _, args, output: seen.update(x=args[0], y=output))
    empty = torch.zeros(2, 0, 16, 16)
    run(denoiser, inputs(32), ReferenceFeatures(empty, empty, {name: LayerTokens(ornament, person)}))
    both = torch.cat([seen["x"], ornament, person], dim=1)
    scores = layer.to_q(seen["x"]) @ layer.to_k(both).transpose(1, 2) * 8**-0.5
    assert layer.heads == 1
    torch.testing.assert_close(seen["y"], layer.to_out[0](scores.softmax(-1) @ layer.to_v(both)), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``vae`` and ``clip``."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("encoders")
    AutoencoderKL(
        block_out_channels=(4, 4, 4, 4),
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        norm_num_groups=2,
    ).save_pretrained(folder / "vae")
    clip = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    CLIPVisionModel(clip).save_pretrained(folder / "clip")
    return folder


@pytest.fixture
def parts(folders: dict[str, Path], encoders: Path) -> Callable[..., dict[str, Any]]:
    """The parts that come from folders, for :func:`build_module`."""

    def load(name: str, token_dim: int | None = None) -> dict[str, Any]:
        width = token_dim or VARIANTS[name]["cross_attention_dim"]
        return {
            "autoencoder": KLAutoencoder(str(encoders)),
            "image_encoder": CLIPImageEncoder(str(encoders / "clip"), token_dim=width),
            "denoiser": Denoiser(pretrained_unet(str(folders[name])), gradient_checkpointing=True),
            "reference_net": UNetReferenceNet(gradient_checkpointing=True),
            "noise_scheduler": DDPMScheduler(clip_sample=False),
        }

    return load


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_trains_with_projected_clip_tokens(name: str, parts, build_module, tiny_batch) -> None:
    module = build_module(**parts(name)).train()
    losses, _ = module.losses(tiny_batch(2, 128))
    torch.stack(list(losses.values())).sum().backward()
    trained = {key: value.grad for key, value in module.named_parameters() if value.requires_grad}
    assert [key for key, gradient in trained.items() if gradient is None] == []
    assert trained["model.image_encoder.projection.weight"].any()
    assert trained["model.denoiser.unet.conv_in.weight"][:, 4:].any(), "the new channels start at zero and learn"


def test_tokens_of_another_width_are_refused(parts, build_module) -> None:
    with pytest.raises(ValueError, match="token_dim=7 must equal the UNet's cross_attention_dim=40"):
        build_module(**parts("xl", token_dim=7))


@pytest.mark.parametrize("name", ["2.1", "xl"])
def test_an_exported_variant_draws_the_same(name: str, parts, build_module, tmp_path: Path) -> None:
    pipeline = pipeline_of(build_module(**parts(name)), resolution=128)
    pipeline.save_pretrained(tmp_path / "exported")
    picture, mask = Image.effect_noise((90, 80), 60).convert("RGB"), Image.new("L", (90, 80), 255)
    images = []
    for each in (pipeline, OrnamentTryOnPipeline.from_pretrained(tmp_path / "exported")):
        each.set_progress_bar_config(disable=True)
        given = {"ornament_image": picture, "ornament_mask": mask, "person_image": picture, "box": (20, 30, 50, 70)}
        images.append(each(**given, seed=3, num_inference_steps=2, region="box").images[0])
    assert images[0].tobytes() == images[1].tobytes() != picture.tobytes()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("class_embed_type", "timestep"),
        ("num_class_embeds", 3),
        ("addition_embed_type", "text"),
        ("encoder_hid_dim_type", "text_proj"),
    ],
)
def test_other_conditions_are_refused(option: str, value: object) -> None:
    more = {"encoder_hid_dim": 24} if option == "encoder_hid_dim_type" else {}
    unet = UNet2DConditionModel(**{**SD15, option: value, **more, "addition_embed_type_num_heads": 4})
    with pytest.raises(ValueError, match=f"{option}={value!r}; use a UNet of Stable Diffusion"):
        Denoiser(unet)
