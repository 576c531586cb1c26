"""Compiled blocks: no graph breaks, the same losses and gradients, the same names of weights."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ControlNetModel, DDPMScheduler
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from lightning.pytorch import Trainer
from small_unets import stock_unet
from torch import Tensor, nn
from torch._dynamo.utils import counters

from callbacks import ChannelsLast, CompileBlocks
from callbacks.channels_last import to_channels_last
from callbacks.compile_blocks import compile_blocks, find_blocks
from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.losses import DiffusionLoss
from ornament_lit.losses.attention import MaskGuidedAttentionLoss
from ornament_lit.models.autoencoders import SpaceToDepthAutoencoder
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import NoImageEncoder
from ornament_lit.models.mask_heads import PoseAwareMaskHead
from ornament_lit.models.reference_nets import UNetReferenceNet
from ornament_lit.models.warps import PoseAwareWarp
from ornament_lit.models.warps.base import warp_inputs
from ornament_lit.module import TryOnModule


@pytest.fixture
def build() -> Callable[..., TryOnModule]:
    """The method at 32 pixels with the same weights at each call."""

    def build(checkpointing: bool = False, **options: Any) -> TryOnModule:
        torch.manual_seed(0)
        unet = stock_unet(48, 48)
        return TryOnModule(
            SpaceToDepthAutoencoder(4),
            NoImageEncoder(),
            Denoiser(unet, gradient_checkpointing=checkpointing),
            DDPMScheduler(prediction_type="sample", clip_sample=False),
            UNetReferenceNet(gradient_checkpointing=checkpointing),
            PoseAwareMaskHead(num_iterations=2, hidden_channels=8),
            MaskGuidedAttentionLoss(),
            **options,
        ).train()

    return build


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    """Nothing compiled before, and nothing left."""
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def gradients(module: TryOnModule, batch: dict[str, Any]) -> dict[str, Tensor]:
    module.zero_grad()
    losses, _ = module.losses(batch)
    torch.stack(list(losses.values())).sum().backward()
    return {name: value.grad.clone() for name, value in module.named_parameters()} | losses


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])
def test_blocks_have_no_graph_breaks_and_change_nothing(build, tiny_batch, checkpointing: bool) -> None:
    plain, compiled = (build(checkpointing, diffusion_loss=DiffusionLoss(condition_dropout=0.5)) for _ in range(2))
    names = list(compiled.state_dict())
    assert compile_blocks(compiled, "all", backend="eager") == len(list(find_blocks(compiled, "all")))
    batch = tiny_batch()
    expected, got = gradients(plain, batch), gradients(compiled, batch)
    assert not counters["graph_break"], dict(counters["graph_break"])
    count = len(list(find_blocks(compiled, "all")))
    assert count <= counters["stats"]["unique_graphs"] <= (1 + checkpointing) * count, "once more for the recomputation"
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, msg=name)
    again = counters["stats"]["unique_graphs"]
    gradients(compiled, batch)
    assert counters["stats"]["unique_graphs"] == again, "a second step of the same shapes compiles nothing"
    assert list(compiled.state_dict()) == names


def test_the_chosen_blocks_are_those_of_both_unets(build) -> None:
    module = build()
    transformers = list(find_blocks(module, "transformer"))
    assert all(isinstance(block, BasicTransformerBlock) for block in transformers)
    both = [*module.model.denoiser.modules(), *module.model.reference_net.modules()]
    assert transformers == [block for block in both if isinstance(block, BasicTransformerBlock)]
    assert len(list(find_blocks(module, "all"))) > len(transformers) > 4


@pytest.fixture
def control() -> ControlNetModel:
    return ControlNetModel.from_unet(stock_unet(48, 48), conditioning_channels=4)


def test_blocks_of_a_control_net_are_compiled_too(control: ControlNetModel) -> None:
    expected = [block for block in control.modules() if isinstance(block, BasicTransformerBlock | ResnetBlock2D)]
    assert list(find_blocks(nn.ModuleDict({"control": control}))) == expected and len(expected) > 4
    transformers = [block for block in expected if isinstance(block, BasicTransformerBlock)]
    assert list(find_blocks(control, "transformer")) == transformers


def test_a_block_inside_of_two_networks_is_compiled_once(control: ControlNetModel) -> None:
    unet = stock_unet(48, 48)
    apart = [*find_blocks(unet), *find_blocks(control)]
    unet.add_module("control", control)
    assert sorted(map(id, find_blocks(unet))) == sorted(map(id, apart))


def test_channels_last_reaches_a_control_net(control: ControlNetModel) -> None:
    to_channels_last(nn.ModuleDict({"control": control}))
    weights = [part.weight for part in control.modules() if isinstance(part, nn.Conv2d)]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
    assert not control.controlnet_cond_embedding.conv_in.weight.is_contiguous()


def test_copies_are_not_compiled(build) -> None:
    """An export copies the networks; what was compiled belongs to the old ones."""
    module = build()
    compile_blocks(module, "all", backend="eager")
    assert all(block._compiled_call_impl is not None for block in find_blocks(module))
    assert all(block._compiled_call_impl is None for block in find_blocks(copy.deepcopy(module)))


@pytest.mark.slow
def test_drawing_runs_on_compiled_blocks(build, tiny_batch) -> None:
    plain, compiled = (build(sampler=Sampler(2, 2.0)).eval() for _ in range(2))
    compile_blocks(compiled, "transformer", backend="eager")
    batch = tiny_batch()
    with torch.no_grad():
        torch.testing.assert_close(compiled.generate(batch)["image"], plain.generate(batch)["image"])
    assert not counters["graph_break"]


@pytest.mark.slow
def test_a_training_on_compiled_blocks_is_the_same_training(build, tiny_batch, tmp_path: Path) -> None:
    """Two steps, channels last, a checkpoint; against the same without."""
    batch, weights = tiny_batch(), []
    for callbacks in ([], [ChannelsLast(), CompileBlocks("transformer", "aot_eager")]):
        module = build(optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.01))
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            max_steps=2,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            callbacks=callbacks,
            default_root_dir=tmp_path,
        )
        loader = torch.utils.data.DataLoader([batch, batch], batch_size=None)
        trainer.fit(module, loader)
        trainer.save_checkpoint(tmp_path / "last.ckpt")
        weights.append(torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"])
    assert counters["stats"]["unique_graphs"] > 0
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=1e-5, msg=name)


def test_both_networks_of_a_warp_have_no_graph_breaks_and_change_nothing(tiny_batch) -> None:
    sizes = {"size": 32, "pose_channels": 40, "pose_hidden": 16, "stem_channels": 16, "channels": 32}
    plain = PoseAwareWarp(wide_view=False, **sizes).eval()
    compiled = copy.deepcopy(plain)
    assert list(find_blocks(compiled, "all")) == [compiled.pose, compiled.aligner]
    assert not list(find_blocks(compiled, "transformer"))
    assert compile_blocks(compiled, "all", backend="eager") == 2
    inputs = warp_inputs(tiny_batch())
    torch.testing.assert_close(compiled(inputs).composite, plain(inputs).composite)
    assert not counters["graph_break"], dict(counters["graph_break"])
    assert list(compiled.state_dict()) == list(plain.state_dict())


def test_channels_last_keeps_losses_and_names(build, tiny_batch) -> None:
    plain, changed = build(), build()
    to_channels_last(changed)
    assert changed.model.denoiser.unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    assert not changed.model.denoiser.unet.conv_in.weight.is_contiguous()
    assert list(changed.state_dict()) == list(plain.state_dict())
    expected, got = gradients(plain, tiny_batch()), gradients(changed, tiny_batch())
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=1e-4, atol=1e-5, msg=name)
