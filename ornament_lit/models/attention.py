"""Attention of the denoiser on a reference, and its mass on the ornament without the attention map.

Shape legend: B batch, Q queries, K keys, N tokens of a layer, C channels, heads x d = C, m value columns.
"""

import inspect
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor

from ornament_lit.models.reference_features import LayerTokens, ProjectedTokens
from ornament_lit.models.reference_matching import MatchFunction, as_they_are
from ornament_lit.models.token_places import grid_size, token_centres, tokens_at

COLUMNS = 8


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
        given: (B,) bool; a sample where it is False attends to itself alone. None where all are given their tokens.
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
    """

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
        """Attend from ``hidden_states``, (B, N, C), to itself and to the context's tokens of this layer."""
        if context is not None and context.captured is not None:
            context.captured.setdefault(self.name, hidden_states)
        tokens = context.tokens.get(self.name) if context is not None else None
        if context is None or tokens is None:
            plain: Tensor = self.plain(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
            return plain
        reference = tokens if isinstance(tokens, ProjectedTokens) else project_tokens(attn, tokens)
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
            attended = torch.cat([attended, F.scaled_dot_product_attention(*alone, value[rows:])])
        projected: Tensor = attn.to_out[0](attended.transpose(1, 2).flatten(2).to(hidden_states.dtype))
        return projected

    def attend(self, query: Tensor, key: Tensor, value: Tensor, num_ornament: int, context: AttentionContext) -> Tensor:
        """Choose the plain, the directly masked or the mass-measuring attention; (B, heads, N, d)."""
        allowed = (
            None if context.keep_condition is None else given_keys(context.keep_condition, query.shape[2], key.shape[2])
        )
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


class CrossAttnProcessor:
    """Diffusers' attention for the cross-attention layers, which have no part in the context."""

    def __init__(self) -> None:
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
        output: Tensor = self.plain(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        return output


def project_tokens(attn: Attention, tokens: LayerTokens) -> ProjectedTokens:
    """Apply a layer's key and value projections to the tokens of a reference."""
    both = torch.cat([tokens.ornament, tokens.person], dim=1)
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


def self_attention_layers(unet: UNet2DConditionModel) -> list[str]:
    """Names of the self-attention layers of a diffusers UNet, from its input to its output."""
    names = [name.removesuffix(".processor") for name in unet.attn_processors]
    return sorted((name for name in names if name.endswith("attn1")), key=_depth)


def _depth(name: str) -> tuple[int, list[int]]:
    """Sort key that follows the data through a UNet: down blocks, middle block, up blocks."""
    part, *rest = name.split(".")
    return ("down_blocks", "mid_block", "up_blocks").index(part), [int(word) for word in rest if word.isdigit()]


def highest_resolution_layers(unet: UNet2DConditionModel) -> list[str]:
    """Self-attention layers of the highest resolution in the encoder and in the decoder (METHOD of the paper)."""
    layers = self_attention_layers(unet)
    blocks = [name.rsplit(".attentions.", 1)[0] for name in layers]
    encoder = [block for block in blocks if block.startswith("down_blocks")]
    decoder = [block for block in blocks if block.startswith("up_blocks")]
    wanted = {*encoder[:1], *decoder[-1:]}
    return [name for name, block in zip(layers, blocks, strict=True) if block in wanted]


def install_processors(unet: UNet2DConditionModel) -> None:
    """Let the self-attention layers of a UNet read an :class:`AttentionContext` from ``cross_attention_kwargs``."""
    unet.set_attn_processor(
        {
            name: ReferenceAttnProcessor(name.removesuffix(".processor"))
            if name.endswith("attn1.processor")
            else CrossAttnProcessor()
            for name in unet.attn_processors
        }
    )


def keep_processors(unet: UNet2DConditionModel) -> None:
    """Install our processors again, with a warning, where others that know no context have taken their places.

    ``set_attention_slice`` and its like put such in; with them the UNet would not look at the reference.
    """
    if any("context" not in inspect.signature(used.__call__).parameters for used in unet.attn_processors.values()):
        warnings.warn(
            "the attention was given processors that do not look at the ornament (by slicing, xformers or fused "
            "projections), and is given back its own, which need no more memory",
            stacklevel=2,
        )
        install_processors(unet)
