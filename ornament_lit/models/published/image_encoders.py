"""Published weights of image encoders, by the names that the encoders here give them.

Only names and places change, and no number: the tensors are those that were given, or parts of them.
"""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel

Names = Mapping[str, str]
"""Names by names: the published one, and ours."""

_BOTH = ("weight", "bias")


def class_token_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a :class:`ClassTokenImageEncoder` from the ``image_encoder`` folder of Paint-by-Example.

    Args:
        state: Tensors by the names of diffusers' ``PaintByExampleImageEncoder``.

    Returns:
        The encoder's whole state dictionary.

    Raises:
        ValueError: If a name is unknown or missing.
    """
    given = {_without_wrapper(name): tensor for name, tensor in state.items() if not name.endswith(".position_ids")}
    blocks = _count(given, r"mapper\.blocks\.(\d+)\.")
    layers = _count(given, r"model\.encoder\.layers\.(\d+)\.")
    names = {f"model.{name}": f"clip.{_wrapper()}{name}" for name in _clip_names(layers)}
    names |= {f"mapper.blocks.{name}": f"mapper.{name}" for name in _mapper_names(blocks)}
    names |= {f"final_layer_norm.{kind}": f"norm.{kind}" for kind in _BOTH}
    names |= {f"proj_out.{kind}": f"projection.{kind}" for kind in _BOTH}
    names["uncond_vector"] = "null.weight"
    renamed = _rename(given, names, "Paint-by-Example's image encoder")
    return {**renamed, "null.weight": renamed["null.weight"].flatten(0, 1)}


def resampler_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the trained part of a :class:`ResamplerImageEncoder` from IP-Adapter-plus or IDM-VTON.

    Args:
        state: Tensors by the names of IP-Adapter's ``Resampler``: alone, under ``image_proj`` (a file of IP-Adapter) or
            under ``encoder_hid_proj`` (the UNet of IDM-VTON). What else is in such a file is left out.

    Returns:
        What is under ``projection`` in the encoder's state dictionary; CLIP comes from its own folder.

    Raises:
        ValueError: If a name is unknown or missing.
    """
    given = _under(state, ("image_proj.", "encoder_hid_proj."))
    depth = _count(given, r"layers\.(\d+)\.")
    names = {"latents": "latents"}
    for layer in ("proj_in", "proj_out", "norm_out"):
        names |= {f"{layer}.{kind}": f"{layer}.{kind}" for kind in _BOTH}
    for block in range(depth):
        names |= {f"layers.{block}.{name}": f"layers.{block}.{ours}" for name, ours in _RESAMPLER_BLOCK.items()}
    renamed = _rename(given, names, "IP-Adapter's resampler")
    for block in range(depth):
        attention = f"layers.{block}.attn"
        both = renamed.pop(f"{attention}.to_kv.weight")
        renamed[f"{attention}.to_k.weight"], renamed[f"{attention}.to_v.weight"] = both.chunk(2)
    return {f"projection.{name}": tensor for name, tensor in renamed.items()}


_RESAMPLER_BLOCK: Names = {
    **{f"0.norm1.{kind}": f"ln0.{kind}" for kind in _BOTH},
    **{f"0.norm2.{kind}": f"ln1.{kind}" for kind in _BOTH},
    "0.to_q.weight": "attn.to_q.weight",
    "0.to_kv.weight": "attn.to_kv.weight",
    "0.to_out.weight": "attn.to_out.0.weight",
    **{f"1.0.{kind}": f"ff.0.{kind}" for kind in _BOTH},
    "1.1.weight": "ff.1.net.0.proj.weight",
    "1.3.weight": "ff.1.net.2.weight",
}


def _rename(given: Mapping[str, Tensor], names: Names, what: str) -> dict[str, Tensor]:
    """Rename tensors.

    Raises:
        ValueError: If their names are not exactly the known ones.
    """
    unknown, missing = sorted(set(given) - set(names)), sorted(set(names) - set(given))
    if unknown or missing:
        found = [f"{word} {group[0]} ({len(group)} in all)" for word, group in _groups(unknown, missing) if group]
        raise ValueError(f"these are not the weights of {what}: {', '.join(found)}; choose another file")
    return {ours: given[name] for name, ours in names.items()}


def _groups(unknown: list[str], missing: list[str]) -> Iterable[tuple[str, list[str]]]:
    return ("unknown name", unknown), ("missing name", missing)


def _count(names: Iterable[str], pattern: str) -> int:
    """Number of layers: one more than the largest number at a place in names."""
    found = [re.match(pattern, name) for name in names]
    return max((int(match[1]) + 1 for match in found if match), default=0)


def _under(state: Mapping[str, Tensor], prefixes: Iterable[str]) -> dict[str, Tensor]:
    """What is under the first prefix that a name begins with, without it; all, if none does."""
    for prefix in prefixes:
        found = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
        if found:
            return found
    return dict(state)


def _mapper_names(blocks: int) -> list[str]:
    layers = ("norm1", "attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0", "norm3", "ff.net.0.proj", "ff.net.2")
    return [f"{block}.{layer}.{kind}" for block in range(blocks) for layer in layers for kind in _BOTH]


def _clip_names(layers: int) -> list[str]:
    """Names in a CLIP vision model."""
    attention = [f"self_attn.{kind}_proj" for kind in ("q", "k", "v", "out")]
    inner = ["layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2", *attention]
    around = [
        "pre_layrnorm",
        "post_layernorm",
        *(f"encoder.layers.{i}.{name}" for i in range(layers) for name in inner),
    ]
    table = ["class_embedding", "patch_embedding.weight", "position_embedding.weight"]
    return [*(f"embeddings.{name}" for name in table), *(f"{name}.{kind}" for name in around for kind in _BOTH)]


def _without_wrapper(name: str) -> str:
    """The name of a weight of CLIP without what transformers 4 put around the model."""
    return re.sub(r"^model\.vision_model\.", "model.", name)


def _wrapper() -> str:
    """What the installed transformers puts around the weights of a CLIP vision model."""
    with torch.device("meta"):
        tiny = CLIPVisionModel(
            CLIPVisionConfig(hidden_size=2, intermediate_size=2, num_hidden_layers=1, num_attention_heads=1)
        )
    return "vision_model." if hasattr(tiny, "vision_model") else ""
