"""Paint-by-Example as a configuration: against its pipeline in diffusers, and what is particular to it."""

from dataclasses import replace
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import diffusers
import lightning.pytorch as pl
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, PNDMScheduler, UNet2DConditionModel
from small_unets import stock_unet
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import CLIPVisionConfig

from ornament_lit.batch import TryOnBatch
from ornament_lit.diffusion.noise import draw_noising
from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.losses import DiffusionLoss
from ornament_lit.losses.attention import ZeroAttentionLoss
from ornament_lit.models.autoencoders import KLAutoencoder, SpaceToDepthAutoencoder
from ornament_lit.models.conditioning import mask_person
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import ClassTokenImageEncoder
from ornament_lit.models.mask_heads import BoxMaskHead
from ornament_lit.models.published.image_encoders import class_token_weights
from ornament_lit.models.reference_features import ReferenceFeatures
from ornament_lit.models.reference_nets import NoReferenceNet, UNetReferenceNet
from ornament_lit.module import TryOnModule

try:
    from diffusers.pipelines.deprecated.paint_by_example import pipeline_paint_by_example as published
except ImportError:  # diffusers before 0.37
    from diffusers.pipelines.paint_by_example import pipeline_paint_by_example as published

LAYOUT = ["noisy", "erased", "keep"]
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
PLMS = {"skip_prk_steps": True, "steps_offset": 1, "set_alpha_to_one": False}


def build_unet(in_channels: int, out_channels: int = 4) -> UNet2DConditionModel:
    torch.manual_seed(0)
    return stock_unet(in_channels, out_channels)


def shaken(model: torch.nn.Module, deviation: float = 0.1) -> torch.nn.Module:
    """The same model in evaluation mode, and no weight of it is zero or one."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(deviation * torch.randn_like(parameter))
    return model.eval()


@pytest.fixture
def their_encoder() -> torch.nn.Module:
    """Their image encoder for 32 pixels, with one block after CLIP: it has one for five layers."""
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    return shaken(published.PaintByExampleImageEncoder(CLIPVisionConfig(num_hidden_layers=5, **sizes), proj_size=24))


@pytest.fixture
def our_encoder(their_encoder: torch.nn.Module, tmp_path: Path) -> ClassTokenImageEncoder:
    """Ours, with their weights."""
    their_encoder.model.save_pretrained(tmp_path / "clip")
    encoder = ClassTokenImageEncoder(str(tmp_path / "clip"), token_dim=24, num_blocks=1)
    encoder.load_state_dict(class_token_weights(their_encoder.state_dict()))
    return encoder


@pytest.fixture
def autoencoder(tmp_path: Path) -> KLAutoencoder:
    """The VAE of Stable Diffusion, tiny: latents have half of the sides."""
    torch.manual_seed(0)
    blocks = {"down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2}
    vae = AutoencoderKL(block_out_channels=(8, 8), norm_num_groups=4, scaling_factor=0.5, **blocks)
    shaken(vae).save_pretrained(tmp_path / "sd/vae")
    return KLAutoencoder(str(tmp_path / "sd"))


@pytest.fixture
def build(our_encoder: ClassTokenImageEncoder, autoencoder: KLAutoencoder) -> partial[TryOnModule]:
    """Paint-by-Example at 32 pixels; parts can be replaced by name."""
    return partial(
        TryOnModule,
        autoencoder=autoencoder,
        image_encoder=our_encoder,
        denoiser=Denoiser(build_unet(9), inputs=LAYOUT),
        noise_scheduler=DDPMScheduler(**BETAS, clip_sample=False),
        reference_net=NoReferenceNet(),
        mask_head=BoxMaskHead(),
        attention_loss=ZeroAttentionLoss(),
    )


def draw_by_diffusers(module: TryOnModule, encoder: Any, batch: TryOnBatch, noise: Tensor, scheduler: Any) -> Tensor:
    """Latents that diffusers' own pipeline draws with the networks of a module, and its own image encoder."""
    unet = build_unet(9).eval()
    unet.load_state_dict(module.model.denoiser.unet.state_dict())
    pipeline = published.PaintByExamplePipeline(
        vae=module.model.autoencoder.vae,
        image_encoder=encoder,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
    )
    pipeline.set_progress_bar_config(disable=True)
    example = module.model.image_encoder.pixels(batch["ornament_image"])
    options = {"num_inference_steps": 6, "guidance_scale": 5.0, "latents": noise, "output_type": "latent"}
    return pipeline(example, batch["person_image"], batch["box_mask"], **options).images


@pytest.mark.parametrize(
    ("scheduler", "options"),
    [(DDIMScheduler, {"steps_offset": 1, "set_alpha_to_one": False}), (PNDMScheduler, PLMS)],
)
def test_a_drawing_is_that_of_the_pipeline_of_diffusers(
    build, their_encoder, tiny_batch, monkeypatch, scheduler: type, options: dict[str, Any]
) -> None:
    """Its latents of the erased person are samples of the VAE's posterior, and ours its mode."""
    module, batch = build().eval(), tiny_batch(3)
    shaken(module.model.denoiser, 0.02)
    noise = torch.randn(3, 4, 16, 16, generator=torch.Generator().manual_seed(7))
    monkeypatch.setattr(published, "retrieve_latents", lambda encoded, generator: encoded.latent_dist.mode())
    clipping = {"clip_sample": False} if scheduler is DDIMScheduler else {}
    expected = draw_by_diffusers(module, their_encoder, batch, noise, scheduler(**BETAS, **options, **clipping))

    sampler = Sampler(6, 5.0, scheduler, options)
    draw = partial(sampler, module.model, module.noise_scheduler, sample_seed=batch["sample_seed"], latents=noise)
    with torch.no_grad():
        conditioning = module.model.encode(batch)
        drawn = draw(conditioning=conditioning).latents
        other = draw(conditioning=replace(conditioning, image_tokens=conditioning.image_tokens.flip(0))).latents
    torch.testing.assert_close(drawn, expected, atol=1e-5, rtol=1e-5)
    assert drawn.std() > 1 and (drawn - other).abs().max() > 0.1, "the ornament must matter"


@pytest.mark.parametrize(
    "layout", [["noisy"], ["noisy", "erased"], *(["noisy", *rest] for rest in permutations(["erased", "keep", "mask"]))]
)
def test_inputs_are_joined_in_the_order_that_is_asked_for(layout: list[str]) -> None:
    noisy, erased = torch.randn(2, 2, 4, 8, 8)
    mask, tokens, timesteps = torch.rand(2, 1, 8, 8), torch.randn(2, 3, 24), torch.tensor([3, 700])
    by_hand = {"noisy": noisy, "erased": erased, "mask": mask, "keep": 1 - mask}
    inputs = torch.cat([by_hand[name] for name in layout], dim=1)
    denoiser = Denoiser(build_unet(inputs.shape[1]), inputs=layout)
    nothing = ReferenceFeatures(noisy[:, :0], noisy[:, :0])
    with torch.no_grad():
        expected = build_unet(inputs.shape[1])(inputs, timesteps, tokens).sample
        prediction = denoiser(noisy, timesteps, erased, mask, tokens, nothing, mask).prediction
        halves = denoiser.guided(noisy, timesteps, erased, mask, tokens, nothing, mask)
    assert torch.equal(prediction, expected)
    torch.testing.assert_close(halves[0], expected)


def test_without_the_option_the_inputs_are_those_of_an_inpainting_unet() -> None:
    noisy, erased, tokens = *torch.randn(2, 2, 4, 8, 8), torch.randn(2, 3, 24)
    mask, nothing = torch.rand(2, 1, 8, 8), ReferenceFeatures(noisy[:, :0], noisy[:, :0])
    with torch.no_grad():
        prediction = Denoiser(build_unet(9))(noisy, torch.tensor([9, 9]), erased, mask, tokens, nothing, mask)
        expected = build_unet(9)(torch.cat([noisy, mask, erased], dim=1), 9, tokens).sample
    assert torch.equal(prediction.prediction, expected)


@pytest.mark.parametrize(
    "inputs", [["noisy", "mask", "pose"], ["noisy", "mask", "mask"], ["mask", "noisy"], ["erased", "keep"], []]
)
def test_inputs_that_are_unknown_or_named_twice_or_do_not_begin_with_the_noise_are_refused(inputs: list[str]) -> None:
    message = rf"inputs must be noisy and then any of mask, erased, keep, each once, got \[{str(inputs)[1:-1]}\]"
    with pytest.raises(ValueError, match=message):
        Denoiser(build_unet(9), inputs=inputs)


def test_a_unet_of_another_width_is_refused() -> None:
    message = r"4 input channels \(latents\) or 8 \(noisy, erased\), got in_channels=9"
    with pytest.raises(ValueError, match=message):
        Denoiser(build_unet(9), inputs=["noisy", "erased"])


def test_a_unet_of_latents_alone_begins_blind_for_its_other_inputs() -> None:
    widened = Denoiser(build_unet(4), inputs=LAYOUT).unet.conv_in.weight
    assert torch.equal(widened[:, :4], build_unet(4).conv_in.weight)
    assert torch.equal(widened[:, 4:], torch.zeros(16, 5, 3, 3))


@pytest.fixture
def scene(build, tiny_batch) -> Any:
    """A module in evaluation mode, and what one of its denoising steps takes, for two samples."""
    module, batch = build().eval(), tiny_batch(2)
    conditioning = module.model.encode(batch)
    refinement = module.model.refine(conditioning)
    noisy = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(3))
    return module, conditioning, partial(module.model.denoise, noisy, torch.tensor([30, 600]), refinement=refinement)


def test_a_dropped_sample_sees_the_learned_token_in_the_place_of_its_own(scene) -> None:
    module, conditioning, denoise = scene
    null = module.model.image_encoder.null.weight
    fed = torch.stack([conditioning.image_tokens[0], null])
    dropped = denoise(conditioning=conditioning, keep_condition=torch.tensor([True, False])).prediction
    expected = denoise(conditioning=replace(conditioning, image_tokens=fed)).prediction
    assert torch.equal(dropped, expected)
    zeros = denoise(conditioning=replace(conditioning, image_tokens=fed * torch.tensor([1.0, 0.0]).view(2, 1, 1)))
    whole = denoise(conditioning=conditioning)
    assert all((dropped - other.prediction)[1].abs().max() > 1e-3 for other in (zeros, whole))


@pytest.mark.parametrize("kept", [[True, True], [True, False], [False, False]])
def test_the_learned_token_learns_from_dropped_samples_alone(scene, kept: list[bool]) -> None:
    module, conditioning, denoise = scene
    null = module.model.image_encoder.null.weight
    denoise(conditioning=conditioning, keep_condition=torch.tensor(kept)).prediction.square().sum().backward()
    fed = null.detach().expand(2, 1, 24).clone().requires_grad_()
    by_hand = denoise(conditioning=replace(conditioning, image_tokens=fed)).prediction.square().sum((1, 2, 3))
    by_hand[~torch.tensor(kept)].sum().backward()
    assert null.grad is not None and bool(null.grad.any()) == (not all(kept))
    torch.testing.assert_close(null.grad, fed.grad.sum(0), atol=1e-4, rtol=1e-4)


def test_training_drops_some_samples_of_a_batch_and_not_the_others(build, tiny_batch) -> None:
    module, batch = build(diffusion_loss=DiffusionLoss(condition_dropout=0.5)).train(), tiny_batch(4)
    kept = draw_noising(batch["sample_seed"], 1000, torch.zeros(4, 4, 16, 16), 0.5).keep_condition
    assert kept.any() and not kept.all()
    tokens: list[Tensor] = []
    module.model.denoiser.unet.register_forward_pre_hook(
        lambda _, __, told: tokens.append(told["encoder_hidden_states"].detach()), with_kwargs=True
    )
    module.losses(batch)
    own = module.model.encode(batch).image_tokens
    expected = [own[row] if kept[row] else module.model.image_encoder.null.weight for row in range(4)]
    assert torch.equal(tokens[0], torch.stack(expected))


def take_a_step(module: TryOnModule, batch: TryOnBatch, folder: Path) -> None:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet |= {"enable_model_summary": False, "default_root_dir": folder}
    trainer = pl.Trainer(accelerator="cpu", devices=1, max_steps=1, **quiet)
    trainer.fit(module, DataLoader([batch], batch_size=None))


def test_without_dropped_samples_training_stops_and_says_what_to_set(build, tiny_batch, tmp_path: Path) -> None:
    message = r"got no gradient: model.image_encoder.null.weight; .*set diffusion_loss.condition_dropout above 0"
    with pytest.raises(RuntimeError, match=message):
        take_a_step(build(), tiny_batch(4), tmp_path)
    take_a_step(build(diffusion_loss=DiffusionLoss(condition_dropout=0.5)), tiny_batch(4), tmp_path)


class Watched(SpaceToDepthAutoencoder):
    """Keeps what it encodes."""

    def __init__(self) -> None:
        super().__init__(2)
        self.seen: list[Tensor] = []

    def encode(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        return super().encode(images)


@pytest.mark.parametrize(
    ("layout", "reference_net", "needed"),
    [
        (LAYOUT, NoReferenceNet, ["erased"]),
        (["noisy"], NoReferenceNet, []),
        (["noisy", "keep"], UNetReferenceNet, ["erased", "ornament"]),
    ],
)
def test_only_what_is_looked_at_is_encoded(build, tiny_batch, layout, reference_net, needed) -> None:
    autoencoder, batch = Watched(), tiny_batch(2)
    denoiser = Denoiser(build_unet(12, 12), inputs=layout)
    module = build(autoencoder=autoencoder, denoiser=denoiser, reference_net=reference_net()).eval()
    images = {"erased": mask_person(batch), "ornament": batch["ornament_image"], "target": batch["person_image"]}
    module.model.encode(batch)
    assert len(autoencoder.seen) == bool(needed)
    assert not needed or torch.equal(autoencoder.seen[0], torch.cat([images[name] for name in needed]))
    autoencoder.seen.clear()
    module.losses(batch)
    expected = torch.cat([images[name] for name in (*needed, "target")])
    assert torch.equal(torch.cat(autoencoder.seen), expected)


def test_what_is_not_looked_at_does_not_change_a_drawing(build, tiny_batch) -> None:
    """The latents of the ornament are zeros; of its image, the token is all that is left."""
    module, batch = build(sampler=Sampler(2, 5.0, diffusers.DDIMScheduler)).eval(), tiny_batch(2)
    conditioning = module.model.encode(batch)
    assert not conditioning.ornament_latents.any() and conditioning.masked_person_latents.any()
    draw = partial(module.sampler, module.model, module.noise_scheduler, sample_seed=batch["sample_seed"])
    noisy = replace(conditioning, ornament_latents=torch.randn_like(conditioning.ornament_latents))
    assert torch.equal(draw(conditioning=noisy).latents, draw(conditioning=conditioning).latents)
