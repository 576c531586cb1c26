"""Published weights of AnyDoor: one checkpoint by the names of latent diffusion."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from diffusers.loaders.single_file_utils import (
    convert_controlnet_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from torch import Tensor

from ornament_lit.models.published.files import under
from ornament_lit.models.try_on import TryOnModel

PARTS = ("model.diffusion_model.", "control_model.", "cond_stage_model.projector.", "first_stage_model.")
"""UNet, ControlNet, the layer behind DINOv2, and the VAE."""
_UNET, _CONTROL, _PROJECTOR, _VAE = PARTS


def weights(path: Path, model: TryOnModel) -> dict[str, Tensor]:
    """Weights of AnyDoor, by their names in `TryOnModel`.

    The ControlNet's first convolution becomes zero: its output is replaced by the embedded collage in AnyDoor, and
    added to it in diffusers. DINOv2 is that of the configuration; the checkpoint has another layout of the same
    weights.

    Args:
        path: The checkpoint; only tensors are read from it.
        model: The model that they are for.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it pickles anything else than tensors, or is not of this method.
    """
    state = _read(path)
    config = {"layers_per_block": _layers(state)}
    unet = convert_ldm_unet_checkpoint(_of(_UNET, state), config)
    controlnet = convert_controlnet_checkpoint(_of(_CONTROL, state), config)
    for name in ("conv_in.weight", "conv_in.bias"):
        if controlnet.get(name) is not None:
            controlnet[name] = torch.zeros_like(controlnet[name])
    projector = {name.removeprefix(_PROJECTOR): tensor for name, tensor in _of(_PROJECTOR, state).items()}
    return {
        **under("denoiser.unet.", unet),
        # the converter gives None for what is absent
        **under("reference_net.controlnet.", {name: value for name, value in controlnet.items() if value is not None}),
        **under("image_encoder.projection.", projector),
        **under("autoencoder.vae.", _vae(_of(_VAE, state))),
    }


def _read(path: Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint, which stay on the disk until they are used.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read without unpickling objects, or has other contents.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no published weights at {path}: AnyDoor's are one file (.ckpt); check the path")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{path} cannot be read as tensors alone, and other objects are not unpickled, since they can run code "
            f"({reason}); take the published checkpoint"
        ) from error
    state = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else {}
    found = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    absent = [part for part in (_UNET, _CONTROL, _PROJECTOR) if not _of(part, found)]
    if absent:
        raise ValueError(f"{path} is no checkpoint of AnyDoor: nothing in it is named {absent[0]}*; choose another")
    return found


def _of(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if name.startswith(prefix)}


def _layers(state: Iterable[str]) -> int:
    """Residual blocks of a level of the UNet: as many as there are between its input and its first downsampling."""
    found = [re.match(rf"{re.escape(_UNET)}input_blocks\.(\d+)\.0\.op\.weight", name) for name in state]
    return min((int(match[1]) - 1 for match in found if match), default=2)


def _vae(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The VAE by the names of diffusers; nothing for no VAE."""
    if not state:
        return {}
    levels = len({match[1] for name in state if (match := re.search(r"\.encoder\.down\.(\d+)\.", name))})
    blocks = {"down_block_types": ["DownEncoderBlock2D"] * levels, "up_block_types": ["UpDecoderBlock2D"] * levels}
    converted: dict[str, Tensor] = convert_ldm_vae_checkpoint(state, blocks)
    return converted
