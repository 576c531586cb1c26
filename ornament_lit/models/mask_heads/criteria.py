"""How far a predicted mask is from the true one: pure functions of (logits, target), both (B, 1, H, W)."""

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

CriterionName = Literal["mse", "bce_dice"]


def mse(logits: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of the probabilities: L2 of the paper."""
    return F.mse_loss(logits.sigmoid(), target)


def bce_dice(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy plus soft Dice: its gradient does not vanish where a thin mask is missed altogether.

    The Dice term is 1 - (2 sum(p t) + 1) / (sum(p) + sum(t) + 1) of each sample (Milletari et al., V-Net, 2016).
    """
    probabilities = logits.sigmoid()
    overlap = (probabilities * target).sum(dim=(1, 2, 3))
    total = (probabilities + target).sum(dim=(1, 2, 3))
    dice = 1 - (2 * overlap + 1) / (total + 1)
    return F.binary_cross_entropy_with_logits(logits, target) + dice.mean()


CRITERIA: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": mse, "bce_dice": bce_dice}
