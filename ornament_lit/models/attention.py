"""Attention of the denoiser on a reference, and its mass on the ornament without the attention map.

Shape legend: B batch, Q queries, K keys, N tokens of a layer, C channels, heads x d = C, m value columns.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor, nn

from ornament_lit.models.decoupled_attention import DecoupledAttention
from ornament_lit.models.reference_features import LayerTokens, ProjectedTokens
from ornament_lit.models.reference_matching import MatchFunction, as_they_are
from ornament_lit.models.token_places import grid_size, token_centres, tokens_at

COLUMNS = 8
AbsentReference = Literal["dropped", "zeros"]


def attention_with_mass(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    columns: Tensor,
    scale: float | None = None,
    allowed: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Attend, and sum the attention of each query over weighted keys, at the cost of fused attention.

    The sum ``sum_j softmax(QK^T)_ij m_j`` is attention whose value is ``m``. The columns are appended to the value,
    and query, key and value are all padded by the same 8 channels: unequal widths or a width that is no multiple of
    8 would make `torch.nn.functional.scaled_dot_product_attention` fall back to the quadratic map without a word.

    Args:
        query: (B, heads, Q, d).
        key: (B, heads, K, d).
        value: (B, heads, K, d).
        columns: (B, K, m) weights of the keys, m at most 8; the same for all heads.
        scale: Factor of the scores; 1 / sqrt(d) by default.
        allowed: Which query may attend to which key, bool, broadcastable to (B, heads, Q, K); None for all.

    Returns:
        The attention's output, (B, heads, Q, d), and the mass, (B, Q, m), averaged over heads. Both are
        differentiable in query and key, the output in value too.

    Raises:
        ValueError: If there are more than 8 columns.
    """
    batch, heads, num_keys, dim = key.shape
    num_columns = columns.shape[-1]
    if num_columns > COLUMNS:
        raise ValueError(f"at most {COLUMNS} columns fit beside the value, got {num_columns}; call it twice")
    extra = F.pad(columns.to(value.dtype), (0, COLUMNS - num_columns))
    wide_value = torch.cat([value, extra[:, None].expand(batch, heads, num_keys, COLUMNS)], dim=-1)
    wide_query, wide_key = F.pad(query, (0, COLUMNS)), F.pad(key, (0, COLUMNS))
    scale = 1 / math.sqrt(dim) if scale is None else scale
    wide = F.scaled_dot_product_attention(wide_query, wide_key, wide_value, attn_mask=allowed, scale=scale)
    output, mass, _ = wide.split((dim, num_columns, COLUMNS - num_columns), dim=-1)
    return output, mass.mean(dim=1)


def attention_at(query: Tensor, ornament_key: Tensor, tokens: Tensor) -> Tensor:
    """Attention of some queries among the ornament's keys alone; the map of all queries is not made.

    Args:
        query: (B, heads, Q, d).
        ornament_key: (B, heads, M, d).
        tokens: Numbers of the queries that are wanted, (B, S) int64.

    Returns:
        Logarithm of the mean over heads of ``softmax(q k^T / sqrt(d))``, (B, S, M), in float32 at least; differentiable
        in query and key.
    """
    _, heads, _, dim = query.shape
    chosen = query.gather(2, tokens[:, None, :, None].expand(-1, heads, -1, dim))
    with torch.autocast(query.device.type, enabled=False):
        wide = torch.promote_types(query.dtype, torch.float32)
        scores = chosen.to(wide) @ ornament_key.to(wide).transpose(-1, -2) / math.sqrt(dim)
        return scores.log_softmax(dim=-1).logsumexp(dim=1) - math.log(heads)


def mask_to_tokens(mask: Tensor, num_tokens: int) -> Tensor:
    """Bring a mask to the tokens of a layer by area averaging.

    Args:
        mask: (B, 1, h, w), at the size of the latents.
        num_tokens: N, tokens of a layer whose map is h x w divided by a power of two.

    Returns:
        (B, N, 1), row by row.
    """
    factor = math.sqrt(mask.shape[-2] * mask.shape[-1] / num_tokens)
    size = (round(mask.shape[-2] / factor), round(mask.shape[-1] / factor))
    return F.interpolate(mask, size=size, mode="area").flatten(2).transpose(1, 2)


@dataclass(frozen=True)
class AttentionContext:
    """What the self-attention layers of one call of a UNet read and write; nothing is left on the modules.

    Attributes:
        tokens: Tokens appended to the keys and values, by layer name.
        ornament_mask: (B, 1, h, w) in [0, 1]; where the ornament is in its own image.
        mass_layers: Layers whose attention mass on the ornament is wanted.
        visible_from: Ablation: (B, 1, h, w) in [0, 1], by which the attention of the queries to the ornament is
            multiplied before it is made to sum to 1; of the ornament they see what is in its mask. None leaves the
            attention free, as the paper does.
        keep_condition: (B,) bool; a sample where it is False attends to itself alone, or to zeros beside itself. None
            where all are given their tokens.
        absent: What stands in the place of tokens that a sample is not given: ``dropped`` for nothing, ``zeros`` for as
            many keys and values of zeros, which take their share of the attention.
        image_tokens: Tokens of the ornament for a cross-attention that has keys and values of their own for them, (B,
            L, D).
        guided: The UNet's batch is 2B rows: B samples that are given their tokens, and the same B without; everything
            else here has B rows.
        match: What layers with tokens do to queries and keys, see
            :data:`ornament_lit.models.reference_matching.MatchFunction`.
        points: By layer, points of the person's image whose attention is wanted, (B, S, 2) of x and y in [-1, 1].
        captured: Written: normalised input tokens of every layer, (B, N, C), if it is not None.
        mass: Written: attention mass on the masked ornament keys, (B, N, 1), for ``mass_layers``.
        places: Written: x and y of these keys in [-1, 1], weighted by that attention and summed, (B, N, 2), for
            ``mass_layers``.
        point_attention: Written: see :func:`attention_at`, (B, S, M), for the layers in ``points``.
    """

    tokens: Mapping[str, LayerTokens | ProjectedTokens] = field(default_factory=dict)
    ornament_mask: Tensor | None = None
    mass_layers: frozenset[str] = frozenset()
    visible_from: Tensor | None = None
    keep_condition: Tensor | None = None
    guided: bool = False
    absent: AbsentReference = "dropped"
    image_tokens: Tensor | None = None
    match: MatchFunction = as_they_are
    points: Mapping[str, Tensor] = field(default_factory=dict)
    captured: dict[str, Tensor] | None = None
    mass: dict[str, Tensor] = field(default_factory=dict)
    places: dict[str, Tensor] = field(default_factory=dict)
    point_attention: dict[str, Tensor] = field(default_factory=dict)


class ReferenceAttnProcessor:
    """Self-attention with keys and values [self ; ornament ; person]; queries come from the layer alone.

    It computes what diffusers' `AttnProcessor2_0` computes where the context has no tokens for the layer.

    Args:
        name: Name of the layer in its UNet, as :func:`self_attention_layers` gives it.
        norm: The normalisation before that layer, for tokens that are raw.
    """

    def __init__(self, name: str, norm: nn.Module) -> None:
        self.name = name
        self.norm = norm
        self.plain = AttnProcessor2_0()

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        context: AttentionContext | None = None,
    ) -> Tensor:
        """Attend from ``hidden_states``, (B, N, C), to itself and to the context's tokens of this layer."""
        if context is not None and context.captured is not None:
            context.captured.setdefault(self.name, hidden_states)
        tokens = context.tokens.get(self.name) if context is not None else None
        if context is None or tokens is None:
            plain: Tensor = self.plain(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
            return plain
        reference = tokens if isinstance(tokens, ProjectedTokens) else project_tokens(attn, tokens, self.norm)
        query, key, value = (
            attn.head_to_batch_dim(layer(hidden_states), out_dim=4) for layer in (attn.to_q, attn.to_k, attn.to_v)
        )
        rows = len(query) // 2 if context.guided else len(query)
        wide_key, wide_value = (
            torch.cat([own[:rows], other], dim=2) for own, other in ((key, reference.key), (value, reference.value))
        )
        matched = context.match(self.name, query[:rows], wide_key, reference.num_ornament)
        attended = self.attend(*matched, wide_value, reference.num_ornament, context)
        if context.guided:
            alone = context.match(self.name, query[rows:], key[rows:], 0)
            attended = torch.cat([attended, _alone(*alone, value[rows:], reference.key.shape[2], context.absent)])
        projected: Tensor = attn.to_out[0](attended.transpose(1, 2).flatten(2).to(hidden_states.dtype))
        return projected

    def attend(self, query: Tensor, key: Tensor, value: Tensor, num_ornament: int, context: AttentionContext) -> Tensor:
        """Choose the plain, the directly masked or the mass-measuring attention; (B, heads, N, d)."""
        allowed, kept = None, context.keep_condition
        if kept is not None and context.absent == "zeros":
            key, value = (zero_absent(kept, query.shape[2], each) for each in (key, value))
        elif kept is not None:
            allowed = given_keys(kept, query.shape[2], key.shape[2])
        if context.visible_from is not None:
            bias = direct_mask(context, query.shape[2], key.shape[2], num_ornament).to(query.dtype)
            allowed = bias if allowed is None else bias.masked_fill(~allowed, -math.inf)
        if context.visible_from is None and self.name in context.points:
            self._look(query, key, num_ornament, context)
        if context.visible_from is not None or self.name not in context.mass_layers:
            return F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        columns = ornament_columns(context, query.shape[2], key.shape[2], num_ornament)
        weighted = columns * place_columns(context, query.shape[2], key.shape[2], num_ornament)
        output, sums = attention_with_mass(query, key, value, torch.cat([columns, weighted], dim=-1), allowed=allowed)
        mass, places = sums.split((1, 2), dim=-1)
        context.mass.setdefault(self.name, mass)
        context.places.setdefault(self.name, places)
        return output

    def _look(self, query: Tensor, key: Tensor, num_ornament: int, context: AttentionContext) -> None:
        """Note the attention at the points that are asked for."""
        assert context.ornament_mask is not None
        tokens = tokens_at(context.points[self.name], *grid_size(query.shape[2], context.ornament_mask))
        ornament_key = key[:, :, query.shape[2] : query.shape[2] + num_ornament]
        context.point_attention.setdefault(self.name, attention_at(query, ornament_key, tokens))


class RawCaptureProcessor:
    """Diffusers' attention for a layer behind a :class:`RawLayerNorm`, whose raw half is captured."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.plain = AttnProcessor2_0()

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        context: AttentionContext | None = None,
    ) -> Tensor:
        """Attend from the normalised half of ``hidden_states``, (B, N, 2C), to itself."""
        normalised, raw = hidden_states.chunk(2, dim=-1)
        if context is not None and context.captured is not None:
            context.captured.setdefault(self.name, raw)
        output: Tensor = self.plain(attn, normalised, encoder_hidden_states, attention_mask, temb)
        return output


class RawLayerNorm(nn.LayerNorm):
    """A layer norm that returns what it was given, too: [normalised ; raw], (B, N, 2C)."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, N, C)."""
        return torch.cat([super().forward(input), input], dim=-1)


class CrossAttnProcessor:
    """Attention of the cross-attention layers: diffusers' own, or one that attends to the ornament's tokens apart.

    Args:
        name: Name of the layer in its UNet.
        decoupled: Keys and values for the context's image tokens; None for diffusers' attention.
    """

    def __init__(self, name: str = "", decoupled: DecoupledAttention | None = None) -> None:
        self.name = name
        self.decoupled = decoupled
        self.plain = AttnProcessor2_0()

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        context: AttentionContext | None = None,
    ) -> Tensor:
        """Attend from ``hidden_states``, (B, N, C), to ``encoder_hidden_states``, (B, L, D)."""
        if self.decoupled is not None and context is not None and context.image_tokens is not None:
            told = (encoder_hidden_states, context.image_tokens)
            apart: Tensor = self.decoupled(self.name, attn, hidden_states, *told)
            return apart
        output: Tensor = self.plain(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        return output


def project_tokens(attn: Attention, tokens: LayerTokens, norm: nn.Module | None = None) -> ProjectedTokens:
    """Apply a layer's key and value projections to the tokens of a reference, and before them ``norm`` to raw ones."""
    both = torch.cat([tokens.ornament, tokens.person], dim=1)
    if tokens.raw:
        assert norm is not None
        both = norm(both)
    key, value = (attn.head_to_batch_dim(projection(both), out_dim=4) for projection in (attn.to_k, attn.to_v))
    return ProjectedTokens(key, value, tokens.ornament.shape[1])


def ornament_columns(context: AttentionContext, num_queries: int, num_keys: int, num_ornament: int) -> Tensor:
    """Value column that is the ornament's mask on the ornament's keys and 0 on all others, (B, K, 1)."""
    assert context.ornament_mask is not None
    mask = mask_to_tokens(context.ornament_mask, num_ornament)
    return F.pad(mask, (0, 0, num_queries, num_keys - num_queries - num_ornament))


def place_columns(context: AttentionContext, num_queries: int, num_keys: int, num_ornament: int) -> Tensor:
    """Value columns that are the x and y of the ornament's keys in [-1, 1], and 0 for all others, (1, K, 2)."""
    assert context.ornament_mask is not None
    centres = token_centres(*grid_size(num_ornament, context.ornament_mask), device=context.ornament_mask.device)
    return F.pad(centres[None], (0, 0, num_queries, num_keys - num_queries - num_ornament))


def given_keys(keep_condition: Tensor, num_queries: int, num_keys: int) -> Tensor:
    """Which keys a sample may attend to: its own always, those of the reference where it is given, (B, 1, 1, K)."""
    own = torch.arange(num_keys, device=keep_condition.device) < num_queries
    return (own | keep_condition[:, None])[:, None, None]


def zero_absent(keep_condition: Tensor, num_queries: int, tensor: Tensor) -> Tensor:
    """Keys or values, (B, heads, K, d), with zeros for those of the reference where it is not given."""
    own, reference = tensor.split((num_queries, tensor.shape[2] - num_queries), dim=2)
    return torch.cat([own, reference * keep_condition.view(-1, 1, 1, 1).to(tensor.dtype)], dim=2)


def _alone(query: Tensor, key: Tensor, value: Tensor, num_absent: int, absent: AbsentReference) -> Tensor:
    """Attention of samples without their reference, (B, heads, N, d)."""
    if absent == "zeros":
        key, value = (F.pad(each, (0, 0, 0, num_absent)) for each in (key, value))
    return F.scaled_dot_product_attention(query, key, value)


def direct_mask(context: AttentionContext, num_queries: int, num_keys: int, num_ornament: int) -> Tensor:
    """What is added to the scores of queries and keys when the attention itself is masked, (B, 1, N, K).

    A token counts by the most that a mask has in it, since its mean would hide what is thinner than half a token: keys
    of the ornament count where its mask touches them, times the wearing mask at the query.
    """
    assert context.visible_from is not None
    inside = F.adaptive_max_pool2d(context.visible_from, grid_size(num_queries, context.visible_from))
    touched = ornament_columns(context, num_queries, num_keys, num_ornament).transpose(1, 2) > 0
    weights = inside.flatten(2).transpose(1, 2) * touched
    place = torch.arange(num_keys, device=weights.device) - num_queries
    is_ornament = (place >= 0) & (place < num_ornament)
    return torch.where(is_ornament, weights, 1.0).log()[:, None]
