"""Sharding of the trained weights over processes (FSDP2): each keeps a part of them, of gradients and of averages."""

import inspect
from collections.abc import Iterator

from diffusers import ModelMixin
from diffusers.models.attention import FeedForward
from diffusers.models.resnet import ResnetBlock2D
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

BLOCKS = (FeedForward, ResnetBlock2D)
"""What is gathered by itself: two thirds of a UNet. FSDP2 hands a copy of their arguments to such modules, so that the
attention layers, which write into the context that they are given, are not among them."""


def shard(module: nn.Module, mesh: DeviceMesh) -> None:
    """Shard every trained parameter in place; frozen parameters stay whole on each process.

    The units that are gathered at once are feed-forward and residual blocks of UNets, and what is around them in the
    largest parts that train as a whole, or that hold a network of diffusers. A module that is sharded already stays as
    it is.

    Args:
        module: Anything with trained parameters, not itself called by its ``forward``.
        mesh: The processes, one dimension.

    Raises:
        ValueError: If a trained parameter lies directly in a part whose other parameters are frozen.
    """
    for part in list(_trained_parts(module)):
        if any(isinstance(unit, FSDPModule) for unit in part.modules()):
            continue
        for block in part.modules():
            if isinstance(block, BLOCKS) and block is not part and all(_trained(block)):
                fully_shard(block, mesh=mesh, reshard_after_forward=True)
        _shard_trained(part, mesh)
    whole = [name for name, p in module.named_parameters() if p.requires_grad and not isinstance(p, DTensor)]
    if whole:
        raise ValueError(
            f"a trained parameter must lie in a module whose parameters all train, to be sharded: {', '.join(whole)}"
        )


def _shard_trained(part: nn.Module, mesh: DeviceMesh) -> None:
    """Shard what trains of a part and is not sharded yet."""
    frozen = {parameter for parameter in part.parameters() if not parameter.requires_grad}
    if not frozen:
        fully_shard(part, mesh=mesh, reshard_after_forward=True)
    elif "ignored_params" in inspect.signature(fully_shard).parameters:
        fully_shard(part, mesh=mesh, reshard_after_forward=True, ignored_params=frozen)
    else:
        raise ValueError(
            f"a part that trains in part, as {type(part).__qualname__} does, can be sharded from torch 2.7 on; install "
            "it, or choose another strategy than ModelParallelStrategy"
        )


def _trained_parts(module: nn.Module) -> Iterator[nn.Module]:
    """The largest sub-modules with a ``forward`` all of whose parameters train, or that hold a network."""
    for part in module.children():
        trained = _trained(part)
        if any(trained) and _is_called(part) and (all(trained) or _holds_network(part)):
            yield part
        elif any(trained):
            yield from _trained_parts(part)


def _trained(part: nn.Module) -> list[bool]:
    """Of each parameter, whether it trains."""
    return [parameter.requires_grad for parameter in part.parameters()]


def _holds_network(part: nn.Module) -> bool:
    """Whether a part is, or calls, a network of diffusers that trains at least in part.

    It hands the attention layers of the network what they write into, and FSDP2 would hand a copy to any unit in it.
    """
    return any(isinstance(each, ModelMixin) and any(_trained(each)) for each in (part, *part.children()))


def _is_called(part: nn.Module) -> bool:
    """Whether a module has a ``forward``, where FSDP2 gathers its weights; others only hold modules."""
    return type(part).forward is not nn.Module.forward


def check_strategy(strategy: ModelParallelStrategy) -> None:
    """Refuse what the sharding here does not do.

    Raises:
        ValueError: If checkpoints were folders, or single layers were to be shared out.
    """
    if strategy._save_distributed_checkpoint:
        raise ValueError(
            "checkpoints must be single files, as test, try-on and other strategies read them; set "
            "save_distributed_checkpoint=False for ModelParallelStrategy"
        )
    if strategy._tensor_parallel_size != 1:
        raise ValueError(
            f"tensor_parallel_size must be 1, got {strategy._tensor_parallel_size!r}: weights are sharded over all "
            "processes, and data_parallel_size is their number (trainer.devices x trainer.num_nodes)"
        )


def sharded_units(module: nn.Module) -> list[FSDPModule]:
    """Everything in a module that is gathered by itself, from the outside to the inside."""
    return [unit for unit in module.modules() if isinstance(unit, FSDPModule)]


class WholeInEvaluation(Callback):
    """Gather sharded weights once before a validation, test or prediction, and drop them after it.

    A process can then run the networks alone, as often as it likes: processes have unequally many batches there, and
    images are generated by the first one only.
    """

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather, after averaged weights have been swapped in."""
        self._gather(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop."""
        self._drop(pl_module)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather, after averaged weights have been swapped in."""
        self._gather(pl_module)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop."""
        self._drop(pl_module)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather, after averaged weights have been swapped in."""
        self._gather(pl_module)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop."""
        self._drop(pl_module)

    def _gather(self, module: nn.Module) -> None:
        for unit in sharded_units(module):
            unit.set_reshard_after_forward(False, recurse=False)
            unit.unshard()

    def _drop(self, module: nn.Module) -> None:
        for unit in sharded_units(module):
            unit.set_reshard_after_forward(True, recurse=False)
            unit.reshard()
