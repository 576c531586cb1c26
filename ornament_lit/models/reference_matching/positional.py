"""PositionalMatching: queries and ornament keys know where they are, and may be normalised.

Shape legend: B batch, N queries, K keys, heads x d channels of a layer, h, w latent size, F features of a place.
"""

from collections.abc import Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ornament_lit.models.reference_matching.base import MatchFunction, ReferenceMatching
from ornament_lit.models.reference_matching.head_norm import HeadNorm, NoHeadNorm
from ornament_lit.models.token_places import fourier_features, grid_size, mask_box, relative_places, token_centres


class PositionalMatching(ReferenceMatching):
    """Tell queries where they are in the box, and ornament keys where they are on the ornament.

    Places are relative to centre and half sizes of the box, or of the box around the ornament's mask, so that the same
    place of both has the same coordinates. Their Fourier features go through linear layers that start at zero, one for
    the queries and one for the keys of each layer, and are added: a pretrained UNet behaves at first as without them.
    The keys of the person and the layer's own are not told.

    It needs a reference net that gives tokens to every self-attention layer, as `UNetReferenceNet` does.

    Args:
        num_frequencies: Octaves of the Fourier features. The longest wave is 8 half sizes of the box, the shortest one
            2^-(``num_frequencies`` - 1) of that: a quarter of a half size with 6.
        qk_norm: Share of a root-mean-square norm of queries and keys at the beginning of a training, see
            :class:`HeadNorm`; it is learned for each head. 0 starts as a UNet without it; 1 is for UNets that are
            trained from scratch; null for no norm.

    Raises:
        ValueError: If ``num_frequencies`` is less than 1 or ``qk_norm`` lies outside of [0, 1].
    """

    def __init__(self, num_frequencies: int = 6, qk_norm: float | None = None) -> None:
        super().__init__()
        if num_frequencies < 1:
            raise ValueError(f"num_frequencies must be at least 1, got {num_frequencies}; 6 is usual")
        if qk_norm is not None and not 0 <= qk_norm <= 1:
            raise ValueError(f"qk_norm must lie in [0, 1], or be null for no norm, got {qk_norm}")
        self.num_frequencies = num_frequencies
        self.qk_norm = qk_norm
        self.numbers: dict[str, int] = {}
        self.layers = nn.ModuleList()

    def attach(self, layers: Mapping[str, tuple[int, int]]) -> None:
        """Build the weights of every layer."""
        self.numbers = {name: number for number, name in enumerate(layers)}
        self.layers.extend(
            LayerPlaces(heads, dim, 4 * self.num_frequencies, self.qk_norm) for heads, dim in layers.values()
        )

    def bind(self, box_mask: Tensor | None, ornament_mask: Tensor) -> MatchFunction:
        """Measure the boxes of a batch, and give the function that uses them."""
        if box_mask is None:
            raise ValueError("PositionalMatching needs the box; give box_mask to the denoiser")
        return partial(self.match, mask_box(box_mask), mask_box(ornament_mask), box_mask)

    def match(
        self, box: Tensor, ornament_box: Tensor, like: Tensor, name: str, query: Tensor, key: Tensor, num_ornament: int
    ) -> tuple[Tensor, Tensor]:
        """Add the places of a layer's tokens, and normalise.

        Args:
            box: (B, 4), see :func:`ornament_lit.models.token_places.mask_box`.
            ornament_box: (B, 4).
            like: Anything with the aspect of the latents, (B, 1, h, w).
            name: Name of the layer.
            query: (B, heads, N, d).
            key: (B, heads, K, d), the layer's own first, then the ornament's.
            num_ornament: How many keys are the ornament's.

        Returns:
            Query and key of the same shapes.
        """
        layer = self.layers[self.numbers[name]]
        own = query.shape[2]
        on_person = self._features(box, own, like)
        on_ornament = self._features(ornament_box, num_ornament, like) if num_ornament else on_person[:, :0]
        matched: tuple[Tensor, Tensor] = layer(query, key, on_person, on_ornament)
        return matched

    def _features(self, box: Tensor, num_tokens: int, like: Tensor) -> Tensor:
        centres = token_centres(*grid_size(num_tokens, like), device=box.device)
        return fourier_features(relative_places(centres, box), self.num_frequencies)


class LayerPlaces(nn.Module):
    """What one self-attention layer learns of places.

    Args:
        heads: Its heads.
        dim: Channels of a head, d.
        num_features: F.
        qk_norm: See :class:`PositionalMatching`.
    """

    def __init__(self, heads: int, dim: int, num_features: int, qk_norm: float | None) -> None:
        super().__init__()
        self.heads = heads
        self.query_places = nn.Parameter(torch.zeros(heads * dim, num_features))
        self.key_places = nn.Parameter(torch.zeros(heads * dim, num_features))
        self.norm = NoHeadNorm() if qk_norm is None else HeadNorm(heads, qk_norm)

    def forward(self, query: Tensor, key: Tensor, on_person: Tensor, on_ornament: Tensor) -> tuple[Tensor, Tensor]:
        """Add the places and normalise.

        Args:
            query: (B, heads, N, d).
            key: (B, heads, K, d).
            on_person: Features of the queries' places, (B, N, F).
            on_ornament: Features of the places of the ornament's M keys, which follow the layer's own, (B, M, F).
        """
        behind = key.shape[2] - query.shape[2] - on_ornament.shape[1]
        key = key + F.pad(self._project(on_ornament, self.key_places, key), (0, 0, query.shape[2], behind))
        query = query + self._project(on_person, self.query_places, query)
        matched: tuple[Tensor, Tensor] = self.norm(query, key)
        return matched

    def _project(self, features: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        projected = F.linear(features.to(weight.dtype), weight).to(like.dtype)
        heads: Tensor = projected.unflatten(2, (self.heads, -1))
        return heads.transpose(1, 2)
