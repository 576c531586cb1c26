"""Models with random weights and the sizes of pretrained ones: what computes as fast without a download."""

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import ModelMixin
from torch import nn

from ornament_lit.models.kinds import check_kind

Model = TypeVar("Model", bound=nn.Module)

RANDOM = "random:"
"""What a path begins with that names the sizes of weights and not the weights."""

_UNET = {"sample_size": 64, "attention_head_dim": 8, "cross_attention_dim": 768}
_VAE = {
    "sample_size": 512,
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "scaling_factor": 0.18215,
}
_CLIP = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
    "image_size": 224,
}
_CLIP_H = {
    **_CLIP,
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "hidden_act": "gelu",
    "projection_dim": 1024,
}
_CLIP_TEXT = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
}
_UNET_2 = {
    **_UNET,
    "attention_head_dim": [5, 10, 20, 20],
    "cross_attention_dim": 1024,
    "use_linear_projection": True,
}
_DINO = {
    "hidden_size": 1536,
    "num_hidden_layers": 40,
    "num_attention_heads": 24,
    "mlp_ratio": 4,
    "use_swiglu_ffn": True,
    "patch_size": 14,
    "image_size": 518,
}
_INPAINTING: Mapping[str, Mapping[str, Any]] = {
    "UNet2DConditionModel": {**_UNET, "in_channels": 9},
    "AutoencoderKL": _VAE,
}
SIZES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "stable-diffusion-v1-5": {"UNet2DConditionModel": _UNET, "AutoencoderKL": _VAE, "CLIPTextModel": _CLIP_TEXT},
    "stable-diffusion-inpainting": _INPAINTING,
    "stable-diffusion-2-1-base": {"UNet2DConditionModel": _UNET_2, "AutoencoderKL": _VAE},
    "Paint-by-Example": {**_INPAINTING, "CLIPVisionModel": _CLIP},
    "clip-vit-large-patch14": {
        "CLIPVisionModel": _CLIP,
        "CLIPVisionModelWithProjection": {**_CLIP, "projection_dim": 768},
    },
    "IP-Adapter": {"CLIPVisionModel": _CLIP_H, "CLIPVisionModelWithProjection": _CLIP_H},
    "dinov2-giant": {"Dinov2Model": _DINO},
}
"""Sizes of models on the hub, by the name of the repository and the class."""

_BOOKKEEPING = ("architectures", "dtype", "torch_dtype", "transformers_version")


def build_random(cls: type[Model], path: str, subfolder: str | None = None) -> Model:
    """Build a model of diffusers or transformers with random weights, on torch's current device and in its dtype.

    The same class and sizes always give the same weights on one kind of device, whatever torch's random state, which
    stays as it is: a checkpoint leaves frozen weights out, and who loads it builds them again.

    Args:
        cls: Its class.
        path: A local folder that holds ``config.json`` (weights are not needed), or the id of a repository on the hub
            whose sizes are known here, see :data:`SIZES`.
        subfolder: Folder inside it, such as ``unet``.

    Raises:
        ValueError: If the sizes are not known.
    """
    folder = Path(path).expanduser() / (subfolder or "")
    if (folder / "config.json").is_file():
        return _build_like(cls, folder)
    sizes = SIZES.get(path.rpartition("/")[2], {}).get(cls.__name__)
    if sizes is None:
        known = ", ".join(name for name, models in SIZES.items() if cls.__name__ in models)
        raise ValueError(
            f"random weights need the sizes of {cls.__name__}, and those of {path!r} are not known; give a folder that "
            f"holds {subfolder or '.'}/config.json, or a repository named {known or '(none has this class)'}"
        )
    return _make(cls, sizes)


def _seed(cls: type[nn.Module], sizes: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps([cls.__name__, sizes], sort_keys=True).encode())


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the generators that weights are drawn from, and put them back after it; those of other devices stay idle."""
    device = torch.get_default_device()
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def _build_like(cls: type[Model], folder: Path) -> Model:
    """Build a model by the ``config.json`` of a folder; who wrote it, and where it lay, does not change the weights."""
    config = json.loads((folder / "config.json").read_text())
    sizes = {key: value for key, value in config.items() if not key.startswith("_") and key not in _BOOKKEEPING}
    with _seeded(_seed(cls, sizes)):
        if issubclass(cls, ModelMixin):
            built: Model = cls.from_config(cls.load_config(folder))  # type: ignore[attr-defined]
            return built
        check_kind(cls, config, str(folder))
        return cls(cls.config_class.from_pretrained(folder))  # type: ignore[attr-defined]


def _make(cls: type[Model], sizes: Mapping[str, Any]) -> Model:
    """Build a model of given sizes; transformers want them in a configuration."""
    with _seeded(_seed(cls, sizes)):
        if issubclass(cls, ModelMixin):
            return cls(**sizes)
        return cls(cls.config_class(**sizes))  # type: ignore[attr-defined]
