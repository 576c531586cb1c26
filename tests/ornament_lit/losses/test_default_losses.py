"""New options are neutral: three steps of the tiny training lose what they lost before there were any of them."""

from typing import Any

import pytest
import torch

from ornament_lit.losses import DiffusionLoss

ALL_OPTIONS = {
    "num_noise_samples": 2,
    "condition_dropout": 0.3,
    "foreground_weight": 4.0,
    "offset_noise": 0.1,
    "min_snr_gamma": 5.0,
}
RECORDED = [
    (
        {},
        [
            (0.4599412679672241, 0.06886187940835953, 0.11876038461923599),
            (0.44137731194496155, 0.06885352730751038, 0.11879467964172363),
            (0.42630934715270996, 0.06884534657001495, 0.11881696432828903),
        ],
    ),
    (
        ALL_OPTIONS,
        [
            (0.008635050617158413, 0.06886187940835953, 0.061390891671180725),
            (0.0086209112778306, 0.06885206699371338, 0.061389774084091187),
            (0.008606898598372936, 0.06884230673313141, 0.061388663947582245),
        ],
    ),
]


@pytest.mark.parametrize(("options", "recorded"), RECORDED)
def test_losses_of_three_steps_are_those_recorded(
    build_module: Any, tiny_batch: Any, options: dict[str, Any], recorded: list[tuple[float, ...]]
) -> None:
    """Recorded before positions, correspondence and new options came; equal to the digit where they were recorded."""
    module = build_module(diffusion_loss=DiffusionLoss(**options)).train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
    for expected in recorded:
        losses, _ = module.losses(tiny_batch())
        assert [value.item() for value in losses.values()] == pytest.approx(expected, rel=1e-5)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
