"""Loading of pretrained parts from a folder or a hub, and freezing them."""

from pathlib import Path
from typing import Any, TypeVar

from diffusers import UNet2DConditionModel
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def load_pretrained(cls: type[Model], path: str, subfolder: str | None = None, **options: Any) -> Model:  # noqa: ANN401
    """Load safetensors weights by the ``from_pretrained`` of diffusers or transformers, in float32.

    Args:
        cls: A class with ``from_pretrained``.
        path: A local folder, or the id of a repository on the hub (``owner/name``).
        subfolder: Folder inside it, such as ``unet``.
        options: More arguments of ``from_pretrained``.

    Raises:
        FileNotFoundError: If ``path`` names a local folder that does not exist or lacks the subfolder or its
            ``config.json``.
    """
    folder = Path(path).expanduser()
    if folder.exists() or path.startswith((".", "/", "~")) or path.count("/") != 1:
        config = folder / (subfolder or "") / "config.json"
        if not config.is_file():
            raise FileNotFoundError(
                f"no pretrained model at {path}: {config} does not exist; give a folder in the diffusers format "
                "or the id of a hub repository (owner/name)"
            )
        path = str(folder)
    load = cls.from_pretrained  # type: ignore[attr-defined]
    model: Model = load(path, subfolder=subfolder or "", use_safetensors=True, **options)
    return model.float()


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
