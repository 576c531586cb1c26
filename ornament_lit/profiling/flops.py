"""FLOPs of a training step, counted by torch; a FLOP is an addition or a multiplication."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from diffusers import ModelMixin
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ornament_lit.batch import TryOnBatch
from ornament_lit.module import TryOnModule


def count_step(module: TryOnModule, batch: TryOnBatch) -> int:
    """FLOPs of the losses of a batch and their gradients, as they are computed.

    What recomputes activations in the backward pass is counted again, which :func:`without_checkpointing` avoids.

    Args:
        module: On any device: on ``meta`` nothing is computed, so that the full size costs neither time nor memory.
        batch: On the same device.
    """
    module.train()
    on_cpu = batch["person_image"].device.type == "cpu"  # whose fused attention torch does not count
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH) if on_cpu else nullcontext():
        losses, _ = module.losses(batch)
        torch.stack(list(losses.values())).sum().backward()
    module.zero_grad()
    return int(counter.get_total_flops())


@contextmanager
def without_checkpointing(module: TryOnModule) -> Iterator[bool]:
    """Switch gradient checkpointing off for a while.

    Yields:
        Whether it was on anywhere.
    """
    models = [part for part in module.modules() if isinstance(part, ModelMixin) and part.is_gradient_checkpointing]
    for model in models:
        model.disable_gradient_checkpointing()
    try:
        yield bool(models)
    finally:
        for model in models:
            model.enable_gradient_checkpointing()
