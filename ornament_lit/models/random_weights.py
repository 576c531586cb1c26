"""Models with random weights and the sizes of pretrained ones: what computes as fast without a download."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from diffusers import ModelMixin
from torch import nn

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
SIZES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "stable-diffusion-v1-5": {"UNet2DConditionModel": _UNET, "AutoencoderKL": _VAE},
    "stable-diffusion-inpainting": {"UNet2DConditionModel": {**_UNET, "in_channels": 9}, "AutoencoderKL": _VAE},
    "clip-vit-large-patch14": {"CLIPVisionModel": _CLIP},
}
"""Sizes of models on the hub, by the name of the repository and the class."""


def build_random(cls: type[Model], path: str, subfolder: str | None = None) -> Model:
    """Build a model of diffusers or transformers with random weights, on torch's current device and in its dtype.

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


def _build_like(cls: type[Model], folder: Path) -> Model:
    """Build a model by the ``config.json`` of a folder."""
    if issubclass(cls, ModelMixin):
        built: Model = cls.from_config(cls.load_config(folder))  # type: ignore[attr-defined]
        return built
    return cls(cls.config_class.from_pretrained(folder))  # type: ignore[attr-defined]


def _make(cls: type[Model], sizes: Mapping[str, Any]) -> Model:
    """Build a model of given sizes; transformers want them in a configuration."""
    if issubclass(cls, ModelMixin):
        return cls(**sizes)
    return cls(cls.config_class(**sizes))  # type: ignore[attr-defined]
