"""Sharded weights (FSDP2) train as whole ones do, and leave the same checkpoints."""

import json
import os
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import torch.distributed as dist
from diffusers import ControlNetModel
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from small_unets import stock_unet
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

from callbacks import LossWeightDecay, MaskReport, MaskVisualizer, TrainableEMA
from datamodules import OrnamentDataModule
from ornament_lit.batch import TryOnBatch
from ornament_lit.checkpointing.state import check_weights
from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.distributed.fsdp import shard, sharded_units
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.reference_matching import PositionalMatching
from ornament_lit.models.reference_nets import UNetReferenceNet
from ornament_lit.module import TryOnModule

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*returned a view tensor", "ignore:.*LeafSpec", "ignore:.*sync_dist", "ignore:.*exists and is not empty"
)
Build = Callable[..., TryOnModule]


def on_two_processes(function: Callable[..., None], *arguments: Any) -> None:
    """Call ``function(rank, port, *arguments)`` in two processes that know of each other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(function, (port, *arguments), nprocs=2, start_method="fork")


def know_each_other(rank: int, port: int) -> None:
    names = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": 2, "LOCAL_RANK": rank, "NODE_RANK": 0}
    os.environ.update({name: str(value) for name, value in names.items()})
    os.environ["RANK"] = str(rank)


def compare_gradients(rank: int, port: int, whole: TryOnModule, sharded: TryOnModule, batch: TryOnBatch) -> None:
    know_each_other(rank, port)
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    shard(sharded, init_device_mesh("cpu", (2,)))
    shard(sharded, init_device_mesh("cpu", (2,)))  # does nothing
    if rank:
        batch = {**batch, "person_image": -batch["person_image"]}
    for module in (whole, sharded):
        torch.stack(list(module.train().losses(batch)[0].values())).sum().backward()
    parts = dict(sharded.named_parameters())
    for name, parameter in whole.named_parameters():
        assert isinstance(parts[name], DTensor) == parameter.requires_grad, name
        if parameter.requires_grad:
            dist.all_reduce(parameter.grad)
            gathered = parts[name].grad.full_tensor()
            torch.testing.assert_close(gathered, parameter.grad / 2, rtol=1e-4, atol=1e-6, msg=name)
    dist.destroy_process_group()


@pytest.mark.parametrize(("checkpointing", "matching"), [(False, False), (True, False), (True, True)])
def test_gradients_are_those_of_whole_weights(
    build_module: Build,
    build_unet: Callable[..., Any],
    tiny_batch: Callable[..., TryOnBatch],
    checkpointing: bool,
    matching: bool,
) -> None:
    def build() -> TryOnModule:
        part = PositionalMatching(qk_norm=0.5) if matching else None
        denoiser = Denoiser(build_unet(), checkpointing, reference_matching=part, input_skip=matching)
        nets = (denoiser, UNetReferenceNet(gradient_checkpointing=checkpointing))
        return build_module(denoiser=nets[0], reference_net=nets[1])

    on_two_processes(compare_gradients, build(), build(), tiny_batch())


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_of_a_decoder_alone_are_those_of_whole_weights(
    build_module: Build, build_unet: Callable[..., Any], tiny_batch: Callable[..., TryOnBatch], checkpointing: bool
) -> None:
    """What the attention layers of the decoder write down must arrive: features, and the mass that a loss looks at."""

    def build() -> TryOnModule:
        denoiser = Denoiser(build_unet(), checkpointing, inputs=["noisy"], trained="decoder")
        return build_module(denoiser=denoiser, reference_net=UNetReferenceNet(gradient_checkpointing=checkpointing))

    on_two_processes(compare_gradients, build(), build(), tiny_batch())


def partly_frozen_networks() -> torch.nn.ModuleDict:
    """A UNet whose decoder trains alone, and a ControlNet whose first layer is frozen; no weight is zero."""
    torch.manual_seed(0)
    unet = stock_unet(4)
    sizes = {"conditioning_channels": 4, "conditioning_embedding_out_channels": (16, 32)}
    control = ControlNetModel.from_unet(unet, **sizes)
    for parameter in control.parameters():
        parameter.data.add_(0.01 * torch.randn_like(parameter))
    control.conv_in.requires_grad_(False)
    for name in ("conv_in", "time_embedding", "down_blocks", "mid_block"):
        unet.get_submodule(name).requires_grad_(False)
    return torch.nn.ModuleDict({"unet": unet, "control": control})


def squared_output(networks: torch.nn.ModuleDict, seed: int) -> Tensor:
    """Both networks in one pass."""
    generator = torch.Generator().manual_seed(seed)
    latents, tokens, hint = (torch.randn(2, *size, generator=generator) for size in ((4, 8, 8), (3, 24), (4, 16, 16)))
    steps = torch.tensor([3, 500])
    down, middle = networks["control"](torch.zeros_like(latents), steps, tokens, hint, return_dict=False)
    residuals = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
    return networks["unet"](latents, steps, tokens, **residuals).sample.square().mean()


def compare_partly_frozen(rank: int, port: int, checkpointing: bool) -> None:
    know_each_other(rank, port)
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    whole, sharded = (partly_frozen_networks() for _ in range(2))
    shard(sharded, init_device_mesh("cpu", (2,)))
    for network in (*whole.values(), *sharded.values()) if checkpointing else ():
        network.enable_gradient_checkpointing()
    losses = [squared_output(networks.train(), rank) for networks in (whole, sharded)]
    torch.testing.assert_close(*losses)
    for loss in losses:
        loss.backward()
    parts = dict(sharded.named_parameters())
    for name, parameter in whole.named_parameters():
        assert isinstance(parts[name], DTensor) == parameter.requires_grad == (parts[name].grad is not None), name
        if parameter.requires_grad:
            dist.all_reduce(parameter.grad)
            gathered = parts[name].grad.full_tensor()
            torch.testing.assert_close(gathered, parameter.grad / 2, rtol=1e-4, atol=1e-7, msg=name)
    dist.destroy_process_group()


@pytest.mark.parametrize("checkpointing", [False, True])
def test_networks_that_train_in_part_are_sharded_where_they_train(checkpointing: bool) -> None:
    on_two_processes(compare_partly_frozen, checkpointing)


class Log(pl.Callback):
    """Writes the losses and, of each validation, a checksum of the weights in use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, trainer: pl.Trainer, name: str, *values: float) -> None:
        with (self.folder / f"{name}-{trainer.global_rank}").open("a") as log:
            log.write(f"{json.dumps(values)}\n")

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: TryOnBatch, batch_idx: int) -> None:
        self.write(trainer, "loss", trainer.global_step, float(outputs["loss"]))

    def on_validation_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        weights = [parameter.detach().double().abs().sum() for parameter in module.parameters()]
        self.write(trainer, "weights", trainer.global_step, float(torch.stack(weights).sum()))


def read(folder: Path, name: str, rank: int = 0) -> list[list[float]]:
    return [json.loads(line) for line in (folder / f"{name}-{rank}").read_text().splitlines()]


def fit(rank: int, port: int, module: TryOnModule, shards: Path, folder: Path, kind: str, checkpoint: Any) -> None:
    """Four steps, two an epoch, of a global batch of 4; five validation samples for two processes."""
    if kind != "auto":
        know_each_other(rank, port)
    sharding = ModelParallelStrategy(2, 1, save_distributed_checkpoint=False, timeout=timedelta(seconds=60))
    strategy = {"fsdp": sharding, "ddp": DDPStrategy(timeout=timedelta(seconds=60)), "auto": "auto"}[kind]
    devices = 1 if kind == "auto" else 2
    train, val = (str(shards / f"{name}-*.tar") for name in ("train", "val"))
    data = OrnamentDataModule(
        train, val, resolution=32, batch_size=4 // devices, val_batch_size=1, samples_per_epoch=8, strict=False
    )
    saving = pl.callbacks.ModelCheckpoint(folder, "{step}", every_n_train_steps=3, save_top_k=-1)
    looking = [MaskReport(1), MaskVisualizer(2, 32, sampling_steps=1), LossWeightDecay(), saving]
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=devices,
        strategy=strategy,
        max_epochs=2,
        limit_val_batches=3,
        gradient_clip_val=0.1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[TrainableEMA(0.5), Log(folder), *looking],
    )
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    trainer.validate(module, data, verbose=False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_training_averages_and_checkpoints_are_those_of_ddp(
    build_module: Build, shard_dir: Path, tmp_path: Path, write_shard: Any, draw_entries: Any
) -> None:
    """Also with validation batches that only one of two processes has, and images that only one draws."""
    write_shard(shard_dir / "val-000000.tar", {f"val-{i}": draw_entries(i) for i in range(5)})

    def train(name: str, kind: str, checkpoint: Path | None = None) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        module = build_module(sampler=Sampler(1), optimizer=lambda weights: torch.optim.Adam(weights, 1e-3))
        module.model.autoencoder.frozen = torch.nn.Linear(3, 3).requires_grad_(False)
        arguments = (module, shard_dir, folder, kind, checkpoint)
        fit(0, 0, *arguments) if kind == "auto" else on_two_processes(fit, *arguments)
        return folder

    def near(one: Any, other: Any) -> None:
        assert one == [pytest.approx(row, rel=1e-4) for row in other]

    ddp, fsdp = train("ddp", "ddp"), train("fsdp", "fsdp")
    for rank in range(2):
        near(read(fsdp, "loss", rank), read(ddp, "loss", rank))
        near(read(fsdp, "weights", rank), read(ddp, "weights", rank))
        assert read(fsdp, "weights", rank) == read(fsdp, "weights")
    assert len(read(fsdp, "weights")) == 4 and len(read(fsdp, "loss")) == 4
    files = [torch.load(folder / "step=3.ckpt", weights_only=True) for folder in (fsdp, ddp)]
    assert files[0]["state_dict"].keys() == files[1]["state_dict"].keys()
    for name, value in files[1]["state_dict"].items():
        torch.testing.assert_close(files[0]["state_dict"][name], value, rtol=1e-3, atol=1e-5, msg=name)
    raw, expected = (file["callbacks"]["TrainableEMA"]["raw_parameters"] for file in files)
    for name, value in expected.items():
        torch.testing.assert_close(raw[name], value, rtol=1e-3, atol=1e-5, msg=name)
    # From a whole run a sharded one goes on, and from a sharded one a single process, as if nothing had happened.
    near(read(train("fsdp on", "fsdp", ddp / "step=3.ckpt"), "weights")[-2:], read(ddp, "weights")[-2:])
    near(read(train("one on", "auto", fsdp / "step=3.ckpt"), "weights")[-2:], read(ddp, "weights")[-2:])


def refuse(rank: int, port: int, module: TryOnModule) -> None:
    know_each_other(rank, port)
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    module.model.mask_head.extra = torch.nn.Linear(2, 2).requires_grad_(False)
    module.model.mask_head.bias = torch.nn.Parameter(torch.zeros(3))
    with pytest.raises(ValueError, match=r"parameters all train, to be sharded: model\.mask_head\.bias"):
        shard(module, init_device_mesh("cpu", (2,)))
    assert sharded_units(module)
    dist.destroy_process_group()


def test_a_parameter_that_cannot_be_sharded_is_named(build_module: Build) -> None:
    on_two_processes(refuse, build_module())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tensor_parallel_size": 1}, "set save_distributed_checkpoint=False"),
        ({"save_distributed_checkpoint": False}, r"tensor_parallel_size must be 1, got 'auto'"),
    ],
)
def test_other_ways_to_shard_are_refused(build_module: Build, options: dict[str, Any], message: str) -> None:
    strategy = ModelParallelStrategy(data_parallel_size=1, **options)
    trainer = pl.Trainer(accelerator="cpu", devices=1, strategy=strategy, logger=False)
    module = build_module()
    module.trainer = trainer
    with pytest.raises(ValueError, match=message):
        module.configure_callbacks()


def test_a_checkpoint_of_another_model_is_refused(build_module: Build, tmp_path: Path) -> None:
    module = build_module()
    weights = dict(module.state_dict())
    torch.save({"state_dict": weights}, tmp_path / "same.ckpt")
    check_weights(module, tmp_path / "same.ckpt")
    weights["other"] = weights.pop("model.denoiser.unet.conv_in.bias")
    torch.save({"state_dict": weights}, tmp_path / "other.ckpt")
    with pytest.raises(
        ValueError, match=r"other\.ckpt is of another model: it lacks model\.denoiser\.unet\.conv_in\.bias"
    ):
        check_weights(module, tmp_path / "other.ckpt")
