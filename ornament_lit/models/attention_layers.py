"""The attention layers of a UNet: their names, from input to output, and what they compute with."""

import inspect
import warnings

from diffusers import UNet2DConditionModel

from ornament_lit.models.attention import CrossAttnProcessor, RawCaptureProcessor, RawLayerNorm, ReferenceAttnProcessor
from ornament_lit.models.decoupled_attention import DecoupledAttention


def self_attention_layers(unet: UNet2DConditionModel) -> list[str]:
    """Names of the self-attention layers of a diffusers UNet, from its input to its output."""
    return _layers(unet, "attn1")


def cross_attention_layers(unet: UNet2DConditionModel) -> list[str]:
    """Names of the cross-attention layers of a diffusers UNet, from its input to its output."""
    return _layers(unet, "attn2")


def _layers(unet: UNet2DConditionModel, ending: str) -> list[str]:
    names = [name.removesuffix(".processor") for name in unet.attn_processors]
    return sorted((name for name in names if name.endswith(ending)), key=_depth)


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


def install_processors(unet: UNet2DConditionModel, decoupled: DecoupledAttention | None = None) -> None:
    """Let the attention layers of a UNet read an :class:`AttentionContext` from ``cross_attention_kwargs``.

    Args:
        unet: The UNet, changed in place.
        decoupled: Keys and values of the cross-attention layers for the context's image tokens; None for none.
    """

    def processor(name: str) -> ReferenceAttnProcessor | RawCaptureProcessor | CrossAttnProcessor:
        if not name.endswith("attn1"):
            return CrossAttnProcessor(name, decoupled)
        norm = unet.get_submodule(name.removesuffix("attn1") + "norm1")
        return RawCaptureProcessor(name) if isinstance(norm, RawLayerNorm) else ReferenceAttnProcessor(name, norm)

    unet.set_attn_processor({name: processor(name.removesuffix(".processor")) for name in unet.attn_processors})


def keep_processors(unet: UNet2DConditionModel, decoupled: DecoupledAttention | None = None) -> None:
    """Install processors again, with a warning, where others that know no context have taken their places.

    ``set_attention_slice`` and its like put such in; with them the UNet would not look at the reference.

    Args:
        unet: See :func:`install_processors`.
        decoupled: See :func:`install_processors`.
    """
    if any("context" not in inspect.signature(used.__call__).parameters for used in unet.attn_processors.values()):
        warnings.warn(
            "the attention was given processors that do not look at the ornament (by slicing, xformers or fused "
            "projections), and is given back its own, which need no more memory",
            stacklevel=2,
        )
        install_processors(unet, decoupled)
