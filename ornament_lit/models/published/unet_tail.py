"""What a published UNet has behind its last self-attention, which a reference net does not need."""

import re
from collections.abc import Mapping

from torch import Tensor

_BLOCK = re.compile(r"up_blocks\.(\d+)\.attentions\.(\d+)\.transformer_blocks\.(\d+)\.")


def without_tail(state: Mapping[str, Tensor], keep_norm: bool) -> dict[str, Tensor]:
    """Leave out what :func:`ornament_lit.models.unet.cut_tail` removes.

    Args:
        state: A whole UNet, by the names of diffusers.
        keep_norm: Keep the first norm of the last transformer block, whose output is its token; a net that hands out
            raw tokens has none.

    Raises:
        ValueError: If its decoder has no attention.
    """
    blocks = [tuple(map(int, match.groups())) for name in state if (match := _BLOCK.match(name))]
    if not blocks:
        raise ValueError(
            "this is no UNet of a reference net: nothing in it is named up_blocks.*.attentions.*.transformer_blocks; "
            "choose another folder"
        )
    level, layer, block = max(blocks)
    transformer = f"up_blocks.{level}.attentions.{layer}."
    tail = ("conv_norm_out.", "conv_out.", f"up_blocks.{level}.upsamplers.", f"{transformer}proj_out.")
    last = f"{transformer}transformer_blocks.{block}."

    def kept(name: str) -> bool:
        if name.startswith(last):
            return keep_norm and name.startswith(f"{last}norm1.")
        return not name.startswith(tail) and _level(name) <= level

    return {name: tensor for name, tensor in state.items() if kept(name)}


def _level(name: str) -> int:
    match = re.match(r"up_blocks\.(\d+)\.", name)
    return int(match[1]) if match else 0
