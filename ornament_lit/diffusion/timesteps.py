"""Which timesteps a training draws.

Shape legend: T timesteps of the noise scheduler.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

__all__ = ["LogitNormalTimesteps", "ShiftedTimesteps", "TimestepSampler", "UniformTimesteps"]


class TimestepSampler(ABC):
    """Draw the timestep of a training sample. To add one: subclass, implement ``draw``, name the class in the YAML."""

    @abstractmethod
    def draw(self, num_timesteps: int, generator: torch.Generator) -> Tensor:
        """Draw one timestep.

        Args:
            num_timesteps: T.
            generator: The sample's own; all randomness comes from it.

        Returns:
            (1,) int64 in [0, T).
        """


class UniformTimesteps(TimestepSampler):
    """Every timestep is as likely as any other, as in the paper."""

    def draw(self, num_timesteps: int, generator: torch.Generator) -> Tensor:
        """Draw one timestep, (1,) int64."""
        return torch.randint(num_timesteps, (1,), generator=generator)


class LogitNormalTimesteps(TimestepSampler):
    """The middle of the noising is drawn more often than its ends (Esser et al., 2024, arXiv 2403.03206, section 3.1).

    The share of the timesteps is ``t = sigmoid(mean + scale n)`` with n standard normal, then shifted by the formula
    for higher resolutions (there, equation 23) to ``shift t / (1 + (shift - 1) t)``; the timestep is ``floor(t T)``.

    Args:
        mean: Above 0 for more noise, below for less.
        scale: Standard deviation of the logit, above 0.
        shift: Above 1 for more noise, below for less; 1 for none.

    Raises:
        ValueError: If ``scale`` or ``shift`` is not above 0.
    """

    def __init__(self, mean: float = 0.0, scale: float = 1.0, shift: float = 1.0) -> None:
        for name, value in (("scale", scale), ("shift", shift)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be greater than 0, got {value}; 1 is usual")
        if not math.isfinite(mean):
            raise ValueError(f"mean must be finite, got {mean}; 0 is usual")
        self.mean = mean
        self.scale = scale
        self.shift = shift

    def draw(self, num_timesteps: int, generator: torch.Generator) -> Tensor:
        """Draw one timestep, (1,) int64."""
        share = torch.sigmoid(self.mean + self.scale * torch.randn(1, generator=generator, dtype=torch.float64))
        shifted = shift_share(share, self.shift)
        return (shifted * num_timesteps).long().clamp(max=num_timesteps - 1)


class ShiftedTimesteps(TimestepSampler):
    """Uniform shares of the timesteps, shifted as by :class:`LogitNormalTimesteps`.

    Args:
        shift: Above 1 for more noise, below for less; 3 is that of Stable Diffusion 3 at 1024 pixels.

    Raises:
        ValueError: If ``shift`` is not above 0.
    """

    def __init__(self, shift: float = 3.0) -> None:
        if not 0 < shift < math.inf:
            raise ValueError(f"shift must be greater than 0, got {shift}; 3 is usual")
        self.shift = shift

    def draw(self, num_timesteps: int, generator: torch.Generator) -> Tensor:
        """Draw one timestep, (1,) int64."""
        shifted = shift_share(torch.rand(1, generator=generator, dtype=torch.float64), self.shift)
        return (shifted * num_timesteps).long().clamp(max=num_timesteps - 1)


def shift_share(share: Tensor, shift: float) -> Tensor:
    """Move shares of the noising in [0, 1] towards its noisy end (``shift`` > 1) or its clean one; ends stay."""
    return shift * share / (1 + (shift - 1) * share)
