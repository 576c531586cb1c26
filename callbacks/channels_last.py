"""ChannelsLast: the convolutions of UNets and ControlNets in the layout that GPUs prefer."""

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn


class ChannelsLast(Callback):
    """Keep the convolutions of denoiser and reference net in torch's channels-last layout.

    In bfloat16 or float16 on GPUs with tensor cores they are faster for it, and every attention layer does without two
    copies. Weights keep their names and values; losses differ in their last digits.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Lay the weights out, before the optimizer is built."""
        to_channels_last(pl_module)


def to_channels_last(module: nn.Module) -> None:
    """Lay the weights of all UNets and ControlNets in a module out with channels last."""
    for network in module.modules():
        if isinstance(network, UNet2DConditionModel | ControlNetModel):
            network.to(memory_format=torch.channels_last)
