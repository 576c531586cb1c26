"""Loading of pretrained parts from a folder or a hub, and freezing them."""

from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import ModelMixin, UNet2DConditionModel
from diffusers.utils import is_accelerate_available
from torch import nn

from ornament_lit.models.random_weights import RANDOM, build_random

Model = TypeVar("Model", bound=nn.Module)


def load_pretrained(cls: type[Model], path: str, subfolder: str | None = None, **options: Any) -> Model:  # noqa: ANN401
    """Load safetensors weights by the ``from_pretrained`` of diffusers or transformers, in float32.

    Args:
        cls: A class with ``from_pretrained``.
        path: A local folder, or the id of a repository on the hub (``owner/name``). With ``random:`` before it, weights
            are random and only their sizes are those of the model, see :func:`build_random`.
        subfolder: Folder inside it, such as ``unet``.
        options: More arguments of ``from_pretrained``.

    Raises:
        FileNotFoundError: If ``path`` names a local folder that does not exist or lacks the subfolder or its
            ``config.json``.
    """
    if path.startswith(RANDOM):
        return build_random(cls, path.removeprefix(RANDOM), subfolder)
    folder = Path(path).expanduser()
    if folder.exists() or path.startswith((".", "/", "~")) or path.count("/") != 1:
        config = folder / (subfolder or "") / "config.json"
        if not config.is_file():
            raise FileNotFoundError(
                f"no pretrained model at {path}: {config} does not exist; give a folder in the diffusers format "
                "or the id of a hub repository (owner/name)"
            )
        path = str(folder)
    if issubclass(cls, ModelMixin) and not is_accelerate_available():
        options = {"low_cpu_mem_usage": False, **options}  # what diffusers does then anyway, after a long warning
    load = cls.from_pretrained  # type: ignore[attr-defined]
    model: Model = load(path, subfolder=subfolder or "", use_safetensors=True, **options)
    return align_weights(model.float())


def align_weights(model: Model) -> Model:
    """Copy the weights of a model to memory of its own.

    Weights that lie in a mapped file may lie at any address, and CPU kernels round by the address: the same weights
    from another file would give other last digits.
    """
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = tensor.data.clone()
    return model


def pretrained_unet(path: str, subfolder: str = "unet") -> UNet2DConditionModel:
    """Load the UNet of a Stable Diffusion folder.

    Args:
        path: A local folder in the diffusers format, or the id of a hub repository (``owner/name``).
        subfolder: Folder of the UNet inside it.
    """
    return load_pretrained(UNet2DConditionModel, path, subfolder)


def freeze(model: Model) -> Model:
    """Take a model out of training: no gradients, evaluation mode."""
    model.requires_grad_(False)
    model.eval()
    return model
