"""RefreshPolicy: the contract of the family."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor


class RefreshPolicy(ABC):
    """Decide when mask and reference features are computed anew while an image is generated.

    They are always computed before the first step, from the box. Between refreshes they are frozen, and their keys
    and values are kept.

    To add one: subclass, implement ``is_due``, name the class in the YAML.
    """

    @abstractmethod
    def is_due(self, step: int, masks: Sequence[Tensor]) -> Tensor:
        """Choose the samples to refresh before a denoising step.

        Args:
            step: Denoising steps done so far, at least 1.
            masks: The mask after each refresh so far, (B, 1, h, w) in [0, 1]; at least one.

        Returns:
            (B,) bool on the CPU. It must depend on each sample alone, so that a generated image does not depend on its
            batch.
        """
