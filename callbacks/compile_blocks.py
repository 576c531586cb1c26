"""CompileBlocks: torch.compile for blocks of UNets and ControlNets and networks of a warp, one by one and in place."""

import inspect
from collections.abc import Iterator
from typing import Any, Literal

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import nn

from ornament_lit.models.warps import Warp

Blocks = Literal["transformer", "all"]

VARIANTS_OF_A_BLOCK = 8
"""Shapes and modes that a block may be compiled for, as torch has it by default."""


class CompileBlocks(Callback):
    """Compile denoiser, reference net and warp with torch.compile, which a long training on a GPU gains from.

    Each block is compiled by itself when it first runs, and again for other shapes and without gradients: whole UNets
    would take longer to compile and gain little more. Of a warp both networks are compiled whole. Weights keep their
    names, so that checkpoints fit trainings with and without this callback, and gradient checkpointing goes on to
    work. Losses differ in their last digits.

    Args:
        blocks: ``transformer`` for the transformer blocks, ``all`` for the residual blocks and a warp's
            networks, too.
        backend: Backend of torch.compile.
        mode: Mode of torch.compile, such as ``max-autotune-no-cudagraphs``; null for its default.
    """

    def __init__(self, blocks: Blocks = "all", backend: str = "inductor", mode: str | None = None) -> None:
        """Note the options."""
        self.blocks: Blocks = blocks
        self.backend = backend
        self.mode = mode

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Mark the blocks; nothing is compiled until they run."""
        count = compile_blocks(pl_module, self.blocks, backend=self.backend, mode=self.mode)
        rank_zero_info(f"{count} blocks will be compiled when they first run, which takes minutes")


def compile_blocks(module: nn.Module, blocks: Blocks = "all", **options: Any) -> int:  # noqa: ANN401
    """Let torch.compile compile the blocks of all UNets, ControlNets and warps in a module, in place.

    Args:
        module: Anything that holds UNets or ControlNets of diffusers, or warps.
        blocks: See :class:`CompileBlocks`.
        options: More arguments of torch.compile.

    Returns:
        How many blocks there are.
    """
    found = list(find_blocks(module, blocks))
    if "isolate_recompiles" in inspect.signature(torch.compile).parameters:
        options["isolate_recompiles"] = True
    else:  # all blocks share one cache: each has its own layer's name, and so its own entries
        limit = max(torch._dynamo.config.cache_size_limit, VARIANTS_OF_A_BLOCK * len(found))
        torch._dynamo.config.cache_size_limit = limit
    for block in found:
        block.compile(**options)
    return len(found)


def find_blocks(module: nn.Module, blocks: Blocks = "all") -> Iterator[nn.Module]:
    """Transformer blocks, and residual blocks, of the UNets and ControlNets in a module, each once.

    With ``all`` those of warps, too.
    """
    yield from dict.fromkeys(_blocks(module, blocks))


def _blocks(module: nn.Module, blocks: Blocks) -> Iterator[nn.Module]:
    """What :func:`find_blocks` finds, a block of networks inside each other once for each."""
    kinds = (BasicTransformerBlock, ResnetBlock2D) if blocks == "all" else (BasicTransformerBlock,)
    for part in module.modules():
        if isinstance(part, UNet2DConditionModel | ControlNetModel):
            yield from (block for block in part.modules() if isinstance(block, kinds))
        elif isinstance(part, Warp) and blocks == "all":
            yield from part.children()
