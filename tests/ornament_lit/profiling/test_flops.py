"""FLOPs that can be counted by hand, on any device."""

from typing import Any

import torch
from torch import Tensor, nn

from ornament_lit.models.denoiser import Denoiser
from ornament_lit.profiling.batches import draw_batch, without_values
from ornament_lit.profiling.flops import count_step, without_checkpointing


class OneLayer(nn.Module):
    """A linear layer of 4 channels to 3, whose loss is the sum of what it says of ones."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def losses(self, batch: Any) -> tuple[dict[str, Tensor], None]:
        return {"sum": self.layer(torch.ones(len(batch["key"]), 4)).sum()}, None


def test_a_layer_by_hand() -> None:
    forward, gradient_of_weights = 2 * 5 * 4 * 3, 2 * 5 * 4 * 3
    assert count_step(OneLayer(), draw_batch(8, 5)) == forward + gradient_of_weights  # type: ignore[arg-type]


def test_the_meta_device_counts_what_the_cpu_does(build_module: Any) -> None:
    batch = draw_batch(32, 2)
    counted = count_step(build_module(), batch)
    with torch.device("meta"):
        module = build_module()
    assert count_step(module, without_values(batch)) == counted > 0
    assert module.model.denoiser.unet.conv_in.weight.device.type == "meta"


def test_checkpointing_costs_more_and_comes_back(build_module: Any, build_unet: Any) -> None:
    batch = draw_batch(32, 1)
    module = build_module(denoiser=Denoiser(build_unet(), gradient_checkpointing=True))
    plain = count_step(build_module(), batch)
    assert count_step(module, batch) > plain
    with without_checkpointing(module) as recomputes:
        assert recomputes
        assert count_step(module, batch) == plain
    assert module.model.denoiser.unet.is_gradient_checkpointing
    with without_checkpointing(build_module()) as recomputes:
        assert not recomputes
