"""Files with published weights: safetensors, and nothing that is pickled."""

import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

PICKLES = (".bin", ".ckpt", ".pt", ".pth")
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Layers of a VAE's attention as diffusers named them until 2023."""


def read_model(folder: Path, way_out: str = "") -> dict[str, Tensor]:
    """Read the tensors of a model, in one file or in several.

    Args:
        folder: Its folder in the format of diffusers or transformers. Of files with and without a variant in their
            names, such as ``fp16``, those without are taken.
        way_out: Where to have safetensors from, for those who have only pickles.

    Raises:
        FileNotFoundError: If there is no such folder, or no weights in it.
        ValueError: If all that is there is pickled, or a file is damaged.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no published model at {folder}: there is no such folder; give the one that holds it")
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        _refuse(folder, way_out)
    variant = min(_variant(file) for file in files)
    tensors: dict[str, Tensor] = {}
    for file in files:
        if _variant(file) == variant:
            tensors |= read_file(file)
    return tensors


def read_file(file: Path, way_out: str = "") -> dict[str, Tensor]:
    """Read the tensors of a file.

    Args:
        file: A file of safetensors.
        way_out: Where to have one from.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is pickled or damaged.
    """
    if not file.is_file():
        raise FileNotFoundError(f"no published weights at {file}: there is no such file; check the path")
    if file.suffix in PICKLES:
        raise ValueError(_pickled(file, way_out))
    try:
        return load_file(file)
    except SafetensorError as error:
        raise ValueError(f"{file} is no file of safetensors, or damaged ({error}); fetch it again") from error


def read_vae(folder: Path) -> dict[str, Tensor]:
    """The VAE beside other models, if there is one, by the names in `TryOnModel`.

    Args:
        folder: The folder that ``vae/`` may be in.
    """
    if not (folder / "vae").is_dir():
        return {}
    return {f"autoencoder.vae.{_newer(name)}": tensor for name, tensor in read_model(folder / "vae").items()}


def under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put a prefix before all names."""
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def _newer(name: str) -> str:
    return re.sub(
        r"(attentions\.\d+)\.(query|key|value|proj_attn)\.", lambda m: f"{m[1]}.{_OLD_ATTENTION[m[2]]}.", name
    )


def _variant(file: Path) -> str:
    """The variant in a file's name: ``fp16`` of ``model.fp16-00001-of-00002.safetensors``; empty for none."""
    return file.stem.partition(".")[2].partition("-")[0]


def _refuse(folder: Path, way_out: str) -> None:
    pickles = [file for file in sorted(folder.iterdir()) if file.suffix in PICKLES]
    if pickles:
        raise ValueError(_pickled(pickles[0], way_out))
    raise FileNotFoundError(f"no published weights in {folder}: it holds no file of safetensors; check the folder")


def _pickled(file: Path, way_out: str) -> str:
    return f"{file} is pickled, and is not read, since pickles can run code; take safetensors{way_out}"
