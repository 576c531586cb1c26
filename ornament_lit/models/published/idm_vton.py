"""Published weights of IDM-VTON, and of IP-Adapter-plus, which it begins with."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ornament_lit.models.published.files import read_file, read_model, read_vae, under
from ornament_lit.models.published.image_encoders import resampler_weights
from ornament_lit.models.published.unet_tail import without_tail
from ornament_lit.models.try_on import TryOnModel

WAY_OUT = ", such as ip-adapter-plus_sd15.safetensors of h94/IP-Adapter"
POSE_FREE = 9
"""Input channels of the UNet before those of the pose's latents."""
_DECOUPLED = re.compile(r"(.+\.attn2)\.processor\.(to_[kv])_ip\.weight")
_ADAPTER = re.compile(r"ip_adapter\.(\d+)\.(to_[kv])_ip\.weight")
_RESAMPLER = "encoder_hid_proj."
_ADDED = "add_embedding."


def weights(path: Path, model: TryOnModel) -> dict[str, Tensor]:
    """Weights of IDM-VTON, by their names in `TryOnModel`.

    Two things differ from the published method. The channels of the pose are cut off the first convolution, which is
    exact for latents of the pose that are zero. And its UNet is Stable Diffusion XL's, whose prompts come from two text
    encoders, pooled and not: here they come from the prompt encoder of the configuration, which must give tokens of
    2048 channels, such as a `CategoryEmbedding` to be trained, and the pooled prompt is zero. The reference net is
    told no size and no pooled text, as published: what it makes of them is set to zero.

    Args:
        path: The folder with ``unet/``, ``unet_encoder/`` and, if they are there, ``image_encoder/`` and ``vae/``.
        model: The model that they are for.

    Raises:
        FileNotFoundError: If a folder or its weights are absent.
        ValueError: If weights are pickled or not those of the method, or the model's image tokens are not decoupled.
    """
    given = read_model(path / "unet")
    unet = {n: t for n, t in given.items() if not _DECOUPLED.fullmatch(n) and not n.startswith(_RESAMPLER)}
    if "conv_in.weight" in unet:
        unet["conv_in.weight"] = unet["conv_in.weight"][:, :POSE_FREE]
    layers = {(m[1], m[2]): tensor for name, tensor in given.items() if (m := _DECOUPLED.fullmatch(name))}
    resampler = {name: tensor for name, tensor in given.items() if name.startswith(_RESAMPLER)}
    reference = without_tail(read_model(path / "unet_encoder"), keep_norm=True)
    reference = {name: tensor for name, tensor in reference.items() if not name.startswith(_ADDED)}
    return {
        **under("denoiser.unet.", unet),
        **_decoupled(layers, model),
        **under("image_encoder.", resampler_weights(resampler)),
        **_clip(path / "image_encoder", model),
        **under("reference_net.unet.", reference),
        **_without_added_conditions(model),
        **read_vae(path),
    }


def adapter_weights(path: Path, model: TryOnModel) -> dict[str, Tensor]:
    """Weights of IP-Adapter-plus: resampler, keys and values of the image tokens; all else is the configuration's.

    Args:
        path: The file, with ``image_proj.*`` and ``ip_adapter.*``.
        model: The model that they are for.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is pickled or not of IP-Adapter-plus, or the model's image tokens are not decoupled.
    """
    given = read_file(path, WAY_OUT)
    order = list(model.denoiser.unet.attn_processors)
    layers: dict[tuple[str, str], Tensor] = {}
    for name, tensor in given.items():
        if match := _ADAPTER.fullmatch(name):
            number = int(match[1])
            layer = order[number].removesuffix(".processor") if number < len(order) else f"number {number}"
            layers[layer, match[2]] = tensor
    resampler = {name: tensor for name, tensor in given.items() if name.startswith("image_proj.")}
    return {**under("image_encoder.", resampler_weights(resampler)), **_decoupled(layers, model)}


def _decoupled(layers: Mapping[tuple[str, str], Tensor], model: TryOnModel) -> dict[str, Tensor]:
    """Keys and values of image tokens, by layer and kind, in the order of the model's layers.

    Raises:
        ValueError: If the model has none, or a layer is not the model's.
    """
    decoupled = model.denoiser.decoupled
    if decoupled is None:
        raise ValueError(
            "the published image tokens have keys and values of their own, and the model has none for them; set "
            "model.denoiser.decoupled_tokens=true"
        )
    unknown = sorted({layer for layer, _ in layers} - set(decoupled.names))
    if unknown:
        raise ValueError(
            f"the published weights have image tokens in a cross-attention that the model has not, {unknown[0]}: its "
            f"UNet has {len(decoupled.names)} layers; choose a UNet of their size"
        )
    return {
        f"denoiser.decoupled.{kind}.{decoupled.names.index(layer)}.weight": tensor
        for (layer, kind), tensor in layers.items()
    }


def _clip(folder: Path, model: TryOnModel) -> dict[str, Tensor]:
    """CLIP of a folder, if it is there; releases of transformers differ in what they put around it."""
    if not folder.is_dir():
        return {}
    own = {_plain(name.removeprefix("clip.")): name for name in model.image_encoder.state_dict()}
    given = {_plain(name): tensor for name, tensor in read_model(folder).items()}
    unused = ("visual_projection.", "embeddings.position_ids")
    kept = {name: tensor for name, tensor in given.items() if not name.startswith(unused)}
    return {f"image_encoder.{own.get(name, f'clip.{name}')}": tensor for name, tensor in kept.items()}


def _plain(name: str) -> str:
    return name.removeprefix("vision_model.")


def _without_added_conditions(model: TryOnModel) -> dict[str, Tensor]:
    """Zeros for the embedding of size and pooled text in the reference net, which then adds nothing."""
    prefix = f"reference_net.unet.{_ADDED}"
    return {name: torch.zeros_like(own) for name, own in model.state_dict().items() if name.startswith(prefix)}
