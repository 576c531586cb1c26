"""ReferenceMatching: the contract of the family.

Shape legend: B batch, N queries, K keys, heads x d channels of a layer, h, w latent size.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from torch import Tensor, nn

MatchFunction = Callable[[str, Tensor, Tensor, int], tuple[Tensor, Tensor]]
"""Called by a self-attention layer that has tokens of a reference, with its name, its queries (B, heads, N, d), its
keys (B, heads, K, d), which are [self ; ornament ; person], and how many of them are the ornament's (0 for a sample
that does without). Returns queries and keys to attend with, of the same shapes."""


def as_they_are(name: str, query: Tensor, key: Tensor, num_ornament: int) -> tuple[Tensor, Tensor]:
    """Queries and keys as the layer made them: a :data:`MatchFunction`."""
    return query, key


class ReferenceMatching(nn.Module, ABC):
    """Change queries and keys of the layers that attend to the ornament, so that each query finds its place there.

    Its weights train with the denoiser's. To add one: subclass, implement ``bind`` (and ``attach``, if there are
    weights), name the class in the YAML.
    """

    def attach(self, layers: Mapping[str, tuple[int, int]]) -> None:
        """Build what depends on the denoiser; called once, at its construction.

        Args:
            layers: By the name of each self-attention layer, its heads and the channels of a head.
        """

    @abstractmethod
    def bind(self, box_mask: Tensor | None, ornament_mask: Tensor) -> MatchFunction:
        """Give the function that the layers call for a batch.

        Args:
            box_mask: The coarse box in the person's image, (B, 1, h, w) in [0, 1].
            ornament_mask: Where the ornament is in its own image, (B, 1, h, w) in [0, 1].

        Raises:
            ValueError: If it needs a box, and is told none.
        """
