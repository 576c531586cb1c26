"""AnyDoor as a configuration: against stock networks called by hand, drawn and trained; nets that run in every step."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from diffusers import ControlNetModel, DDIMScheduler, DDPMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader
from transformers import Dinov2Config, Dinov2Model

from ornament_lit.batch import TryOnBatch
from ornament_lit.diffusion.refresh_policies import RefreshEverySteps, RefreshOnce, RefreshPolicy
from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.losses import DiffusionLoss
from ornament_lit.losses.attention import ZeroAttentionLoss
from ornament_lit.models.autoencoders import SpaceToDepthAutoencoder
from ornament_lit.models.collage import collage, detail_map
from ornament_lit.models.conditioning import Conditioning, mask_person
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import DINOv2ImageEncoder
from ornament_lit.models.mask_heads import BoxMaskHead
from ornament_lit.models.pretrained import pretrained_unet
from ornament_lit.models.reference_features import ReferenceFeatures
from ornament_lit.models.reference_nets import ControlNetReference, ReferenceNet
from ornament_lit.module import TryOnModule

CHANNELS = 12
SHAPE = {
    "block_out_channels": (16, 32),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "cross_attention_dim": 24,
    "attention_head_dim": 2,
}
SKIPS = 5
"""Outputs of the UNet's encoder and of its middle block."""
FROZEN = ("conv_in", "time_embedding", "down_blocks", "mid_block")


def build_unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    decoder = {"up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D")}
    return UNet2DConditionModel(in_channels=CHANNELS, out_channels=CHANNELS, **SHAPE, **decoder)


def shake(*parts: nn.Module) -> None:
    """Move trained weights, so that none is zero."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in (parameter for part in parts for parameter in part.parameters() if parameter.requires_grad):
            parameter.add_(0.1 * torch.randn_like(parameter))


@pytest.fixture
def dino(tmp_path: Path) -> str:
    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14)
    Dinov2Model(config).save_pretrained(tmp_path / "dino")
    return str(tmp_path / "dino")


@pytest.fixture
def build(dino: str) -> Callable[..., TryOnModule]:
    """AnyDoor at 32 pixels and 16 x 16 latents, with no weight that is zero; parts can be replaced by name."""

    def build(**parts: Any) -> TryOnModule:
        given = {
            "autoencoder": SpaceToDepthAutoencoder(2),
            "image_encoder": DINOv2ImageEncoder(dino, token_dim=24, image_size=28),
            "noise_scheduler": DDPMScheduler(clip_sample=False),
            "reference_net": ControlNetReference(erosion=1, threshold=20, embedding_channels=(8, 16)),
            "mask_head": BoxMaskHead(),
            "attention_loss": ZeroAttentionLoss(),
            **parts,
        }
        denoiser = given.pop("denoiser", None) or Denoiser(build_unet(), inputs=["noisy"], trained="decoder")
        torch.manual_seed(2)
        module = TryOnModule(denoiser=denoiser, **given)
        shake(module.model.reference_net, module.model.image_encoder)
        return module

    return build


@pytest.fixture
def drawn_batch(tiny_batch: Callable[..., TryOnBatch]) -> Callable[[int], TryOnBatch]:
    """A batch whose ornaments are large enough to leave details behind."""

    def build(batch_size: int) -> TryOnBatch:
        batch = tiny_batch(batch_size)
        batch["ornament_mask"] = torch.zeros_like(batch["box_mask"])
        for row in range(batch_size):
            batch["ornament_mask"][row, :, 4 + row : 28, 6 : 26 - row] = 1
        return batch

    return build


def hint_by_hand(batch: TryOnBatch) -> Tensor:
    details = detail_map(batch["ornament_image"], batch["ornament_mask"], erosion=1, threshold=20)
    hint = collage(mask_person(batch), batch["box_mask"], details)
    assert (hint[:, :3] - mask_person(batch)).abs().amax((1, 2, 3)).min() > 0.1, "each sample has details to see"
    return hint


def stock_controlnet(net: ControlNetReference) -> ControlNetModel:
    """A stock ControlNet with the weights of a net, and a first convolution that is zero."""
    sizes = {"conditioning_channels": 4, "conditioning_embedding_out_channels": (8, 16)}
    stock = ControlNetModel(in_channels=CHANNELS, **SHAPE, **sizes).eval()
    missing = stock.load_state_dict(
        {name: value for name, value in net.controlnet.state_dict().items() if not name.startswith("conv_in.")}, False
    )
    assert missing.missing_keys == ["conv_in.weight", "conv_in.bias"] and not missing.unexpected_keys
    for parameter in stock.conv_in.parameters():
        nn.init.zeros_(parameter)
    return stock


def test_residuals_are_those_of_a_stock_controlnet_that_sees_no_latents(build, drawn_batch) -> None:
    module, batch, timesteps = build().eval(), drawn_batch(2), torch.tensor([20, 700])
    net, noisy = module.model.reference_net, torch.randn(2, CHANNELS, 16, 16)
    with torch.no_grad():
        conditioning = replace(module.model.encode(batch), timesteps=timesteps)
        features = net(conditioning, conditioning.box_mask)
        told = {"controlnet_cond": hint_by_hand(batch), "encoder_hidden_states": conditioning.image_tokens}
        down, middle = stock_controlnet(net)(noisy, timesteps, **told, return_dict=False)
    assert len(features.skip_residuals) == SKIPS and features.own_null and not features.tokens
    for ours, expected in zip(features.skip_residuals, [*down, middle], strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)
        assert expected.std() > 0.01


def test_convolutions_that_do_not_fit_the_latents_are_refused(build) -> None:
    message = r"must have 2 entries, .* latents 2 times smaller, got \[16, 32, 96, 256\]; set reference_net.init_args"
    with pytest.raises(ValueError, match=message):
        build(reference_net=ControlNetReference())


def test_a_denoiser_without_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no denoiser or no token; set model.denoiser.unet and model.image_encoder"):
        ControlNetReference().attach(None)


def test_a_guided_step_is_two_calls_of_stock_networks(build, drawn_batch) -> None:
    """The hint is in both halves, and the tokens of a black picture in the second."""
    module, batch, timesteps = build().eval(), drawn_batch(2), torch.tensor([20, 700])
    model, hint, noisy = module.model, hint_by_hand(batch), torch.randn(2, CHANNELS, 16, 16)
    unet, controlnet = build_unet().eval(), stock_controlnet(model.reference_net)
    unet.load_state_dict(model.denoiser.unet.state_dict())

    def predict(tokens: Tensor) -> Tensor:
        told = {"controlnet_cond": hint, "encoder_hidden_states": tokens}
        down, middle = controlnet(torch.randn_like(noisy), timesteps, **told, return_dict=False)
        residuals = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        return unet(noisy, timesteps, tokens, **residuals).sample

    with torch.no_grad():
        conditioning = replace(model.encode(batch), timesteps=timesteps)
        refinement = model.project(model.refine_guided(conditioning))
        conditional, unconditional = model.denoise_guided(noisy, timesteps, conditioning, refinement)
        c = predict(model.image_encoder(batch["ornament_image"], batch["ornament_mask"]))
        u = predict(model.image_encoder(torch.full((2, 3, 28, 28), -1.0)))
    assert len(refinement.mask) == 2 and len(refinement.features.skip_residuals[0]) == 4
    expected = u + 5 * (c - u)
    torch.testing.assert_close(torch.lerp(unconditional, conditional, 5.0), expected, atol=1e-5, rtol=1e-5)
    assert (c - u).abs().max() > 1e-2


class Clock(ReferenceNet):
    """Tells the time: its residuals are the timesteps that it is given."""

    needs = frozenset()
    per_step = True

    def __init__(self, own_null: bool = False) -> None:
        super().__init__()
        self.own_null = own_null
        self.seen: list[Tensor] = []

    def attach(self, unet: UNet2DConditionModel) -> None:
        shapes = [(16, 16), (16, 16), (16, 8), (32, 8), (32, 8)]
        self.shapes = [(channels, size, size) for channels, size in shapes]

    def forward(self, conditioning: Conditioning, input_mask: Tensor) -> ReferenceFeatures:
        timesteps = conditioning.timesteps
        assert timesteps is not None and len(timesteps) == len(input_mask) == len(conditioning.image_tokens)
        self.seen.append(timesteps)
        residuals = tuple(timesteps.view(-1, 1, 1, 1).expand(-1, *shape) / 1000.0 for shape in self.shapes)
        empty = input_mask[:, :0]
        return ReferenceFeatures(empty, empty, skip_residuals=residuals, own_null=self.own_null)


DDIM_TIMES = [750, 500, 250, 0]
POLICIES = [RefreshOnce(), RefreshEverySteps(), RefreshEverySteps(2)]


@pytest.mark.parametrize("own_null", [False, True])
@pytest.mark.parametrize("scale", [1.0, 5.0])
@pytest.mark.parametrize(("policy", "masks"), list(zip(POLICIES, [1, 4, 2], strict=True)))
def test_features_are_those_of_each_timestep_of_a_drawing(build, drawn_batch, policy, masks, scale, own_null) -> None:
    module, batch = build(reference_net=Clock(own_null)).eval(), drawn_batch(2)
    told: list[tuple[Tensor, Tensor]] = []
    module.model.denoiser.unet.register_forward_pre_hook(
        lambda _, given, named: told.append((given[1], named["mid_block_additional_residual"][:, 0, 0, 0])),
        with_kwargs=True,
    )
    with torch.no_grad():
        conditioning = module.model.encode(batch)
        sampler = Sampler(4, scale, DDIMScheduler, refresh=policy)
        drawn = sampler(module.model, module.noise_scheduler, conditioning, batch["sample_seed"])
    assert [times.unique().tolist() for times in module.model.reference_net.seen] == [[time] for time in DDIM_TIMES]
    assert [times.unique().tolist() for times, _ in told] == [[time] for time in DDIM_TIMES]
    for times, residual in told:
        withheld = scale > 1 and not own_null
        expected = times / 1000 * (torch.tensor([1, 1, 0, 0]) if withheld else 1)
        torch.testing.assert_close(residual, expected)
    assert len(drawn.refinements) == masks
    assert len(drawn.refinements[-1].features.skip_residuals[0]) == len(drawn.refinements[-1].mask) == 2
    assert all(not refinement.features.skip_residuals for refinement in drawn.refinements[:-1]), "one is enough"


@pytest.mark.parametrize("net", [lambda: ControlNetReference(1, 20, (8, 16)), Clock, partial(Clock, own_null=True)])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_guided_drawing_does_not_depend_on_the_batch(build, drawn_batch, net, policy: RefreshPolicy) -> None:
    module, batch = build(reference_net=net()).eval(), drawn_batch(3)
    sampler = Sampler(3, 5.0, DDIMScheduler, refresh=policy)
    last = {name: values[2:] for name, values in batch.items()}
    together, alone = (module.generate(each, sampler)["image"] for each in (batch, last))
    torch.testing.assert_close(together[2:], alone, atol=1e-4, rtol=1e-4)
    assert (together[2] - together[1]).abs().max() > 0.1


def watch(module: TryOnModule) -> list[dict[str, Tensor]]:
    """What the ControlNet is told, each time that it runs."""
    told: list[dict[str, Tensor]] = []
    names = ("encoder_hidden_states", "controlnet_cond")
    module.model.reference_net.controlnet.register_forward_pre_hook(
        lambda _, given, named: told.append({name: named[name].detach() for name in names} | {"timesteps": given[1]}),
        with_kwargs=True,
    )
    return told


def test_a_dropped_sample_has_other_tokens_and_the_same_hint(build, drawn_batch) -> None:
    module, batch = build(diffusion_loss=DiffusionLoss(condition_dropout=0.5)).train(), drawn_batch(4)
    noisy = module.diffusion_loss.add_noise(
        module.noise_scheduler, module.model.encode_target(batch), batch["sample_seed"], training=True
    )
    kept = noisy.keep_condition
    assert kept.any() and not kept.all()
    told, denoiser_tokens = watch(module), []
    module.model.denoiser.unet.register_forward_pre_hook(
        lambda _, __, named: denoiser_tokens.append(named["encoder_hidden_states"]), with_kwargs=True
    )
    module.losses(batch)
    conditioning = module.model.encode(batch)
    expected = torch.where(kept.view(-1, 1, 1), conditioning.image_tokens, conditioning.null_tokens)
    assert torch.equal(told[0]["encoder_hidden_states"], expected) and torch.equal(denoiser_tokens[0], expected)
    assert (conditioning.image_tokens - conditioning.null_tokens).abs().amax((1, 2)).min() > 1e-2
    assert torch.equal(told[0]["controlnet_cond"], hint_by_hand(batch))
    assert torch.equal(told[0]["timesteps"], noisy.timesteps)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("net", [lambda: ControlNetReference(1, 20, (8, 16)), Clock, partial(Clock, own_null=True)])
def test_two_noises_of_a_sample_cost_as_much_as_one_after_the_other(build, drawn_batch, net, dropout: float) -> None:
    options = DiffusionLoss(condition_dropout=dropout, num_noise_samples=2)
    module, batch = build(reference_net=net(), diffusion_loss=options).train(), drawn_batch(3)
    model = module.model
    noisy = options.add_noise(module.noise_scheduler, model.encode_target(batch), batch["sample_seed"], training=True)
    assert len(noisy.timesteps) == 6 and len(noisy.timesteps.unique()) == 6
    by_hand = []
    with torch.no_grad():
        for rows in (slice(0, 3), slice(3, 6)):
            kept = None if noisy.keep_condition is None else noisy.keep_condition[rows]
            stage = {"timesteps": noisy.timesteps[rows], "given": kept}
            conditioning = replace(model.encode(batch), **stage)
            refinement = model.refine(conditioning)
            told = (noisy.latents[rows], noisy.timesteps[rows], conditioning, refinement, kept)
            by_hand.append(mse_loss(model.denoise(*told).prediction, noisy.target[rows]))
        loss = module.losses(batch)[0]["noise"]
    torch.testing.assert_close(loss, torch.stack(by_hand).mean())
    assert (by_hand[0] - by_hand[1]).abs() > 1e-4


def train(module: TryOnModule, batch: TryOnBatch, path: Path) -> dict[str, Any]:
    """Take one step, in which a parameter without gradient would be an error, and write and read a checkpoint."""
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet |= {"enable_model_summary": False, "default_root_dir": path.parent}
    trainer = pl.Trainer(accelerator="cpu", devices=1, max_steps=1, **quiet)
    trainer.fit(module, DataLoader([batch], batch_size=None))
    trainer.save_checkpoint(path)
    return torch.load(path, weights_only=True)["state_dict"]


def is_of_frozen_half(name: str) -> bool:
    return name.split(".")[0] in FROZEN


def test_a_step_trains_the_decoder_and_not_the_encoder(build, drawn_batch, tmp_path: Path) -> None:
    module = build(optimizer=partial(torch.optim.Adam, lr=0.01))
    before = {name: value.clone() for name, value in module.named_parameters()}
    train(module, drawn_batch(2), tmp_path / "one.ckpt")
    moved = {name for name, value in module.named_parameters() if not torch.equal(value, before[name])}
    unet = {name for name, _ in module.model.denoiser.unet.named_parameters()}
    assert {name.split(".")[0] for name in unet} == {*FROZEN, "up_blocks", "conv_norm_out", "conv_out"}
    frozen = {f"model.denoiser.unet.{name}" for name in unet if is_of_frozen_half(name)}
    frozen |= {name for name in before if ".dino." in name or ".controlnet.conv_in." in name}
    assert moved == before.keys() - frozen
    assert not any(weights.any() for weights in module.model.reference_net.controlnet.conv_in.parameters())


def test_checkpoints_hold_the_frozen_half_unless_a_folder_holds_it(build, drawn_batch, tmp_path: Path) -> None:
    build_unet().save_pretrained(tmp_path / "sd/unet")
    whole = {f"model.denoiser.unet.{name}" for name in build_unet().state_dict()}
    trained = {f"model.denoiser.unet.{name}" for name in build_unet().state_dict() if not is_of_frozen_half(name)}
    for unet, expected in ((build_unet(), whole), (pretrained_unet(str(tmp_path / "sd")), trained)):
        module = build(denoiser=Denoiser(unet, inputs=["noisy"], trained="decoder"))
        saved = train(module, drawn_batch(2), tmp_path / "one.ckpt")
        assert {name for name in saved if name.startswith("model.denoiser.unet.")} == expected
        assert not any(".dino." in name or ".controlnet.conv_in." in name for name in saved)


def test_a_module_comes_back_from_a_checkpoint_without_its_frozen_half(build, drawn_batch, tmp_path: Path) -> None:
    build_unet().save_pretrained(tmp_path / "sd/unet")
    module, other = (
        build(denoiser=Denoiser(pretrained_unet(str(tmp_path / "sd")), inputs=["noisy"], trained="decoder"))
        for _ in range(2)
    )
    train(module, drawn_batch(2), tmp_path / "one.ckpt")
    content = torch.load(tmp_path / "one.ckpt", weights_only=True)
    other.on_load_checkpoint(content)
    other.load_state_dict(content["state_dict"])
    for name, value in module.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


def test_decoder_of_a_unet_that_would_be_widened_is_refused() -> None:
    with pytest.raises(ValueError, match=r"trained=decoder freezes the first convolution.* or inputs of 12"):
        Denoiser(build_unet(), trained="decoder")
