"""Weights of encoders: where they lie, what to bring if they are absent, and their hashes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlparse

import torch
from torch import nn

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


class LazyNetwork:
    """A frozen network that is loaded when it is first needed, and follows the images to their device.

    It is no module, so that its weights are neither saved in checkpoints nor seen by optimisers.

    Args:
        load: Makes the network.
    """

    def __init__(self, load: Callable[[], nn.Module]) -> None:
        self._load = load
        self._network: nn.Module | None = None

    def on(self, device: torch.device | str = "cpu") -> nn.Module:
        """The network, loaded, in evaluation mode, on the device."""
        if self._network is None:
            self._network = self._load().requires_grad_(False).eval().float()
        return self._network.to(device)


def model_folder(path: str) -> Path:
    """Find a folder in the transformers format: a local one, or the local copy of a hub repository.

    Args:
        path: A local folder, or the id of a repository on the hub (``owner/name``).

    Raises:
        FileNotFoundError: If the folder has no model, or the repository can be had neither from the local cache nor
            from the network.
    """
    folder = Path(path).expanduser()
    if not folder.exists() and path.count("/") == 1 and not path.startswith((".", "/", "~")):
        folder = _from_hub(path)
    if not (folder / "config.json").is_file() or not any((folder / name).is_file() for name in WEIGHT_FILES):
        raise FileNotFoundError(
            f"no encoder at {path}: {folder} needs config.json and {' or '.join(WEIGHT_FILES)}, as save_pretrained of "
            "transformers writes them; give such a folder or the id of a hub repository (owner/name)"
        )
    return folder


def model_weights(folder: Path) -> Path:
    """The file of weights that transformers takes from a folder found by :func:`model_folder`."""
    return next(folder / name for name in WEIGHT_FILES if (folder / name).is_file())


def load_model(cls: Any, folder: Path, **options: Any) -> nn.Module:  # noqa: ANN401
    """Load a model of transformers from a folder, and refuse it where weights are absent or of another shape.

    transformers itself draws such weights at random and only warns; figures would then mean nothing.

    Args:
        cls: A class with ``from_pretrained``.
        folder: As :func:`model_folder` found it.
        options: More arguments of ``from_pretrained``.

    Raises:
        ValueError: If the weights do not fit. A pooling layer may be absent, since no metric uses it.
    """
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # of the text part it says at length that it is not needed
    try:
        network, found = cls.from_pretrained(
            folder, local_files_only=True, weights_only=True, output_loading_info=True, **options
        )
    finally:
        logging.set_verbosity(verbosity)
    absent = sorted(name for name in found["missing_keys"] if "pooler" not in name)
    mismatched = sorted(entry[0] for entry in found["mismatched_keys"])
    if absent or mismatched:
        raise ValueError(
            f"the weights in {folder} do not fit a {type(network).__name__}: "
            f"{', '.join([*absent, *mismatched][:3])} absent or of another shape; give the folder of such a model"
        )
    return cast(nn.Module, network)


def weights_file(path: str | None, url: str) -> Path:
    """Find a file of weights: a given one, or the one that belongs to a URL, from torch's cache or the network.

    Args:
        path: A local file; None for torch's cache (``$TORCH_HOME/hub/checkpoints``), filled from ``url``.
        url: Where the file is published. Its name ends in the first digits of its SHA-256.

    Raises:
        FileNotFoundError: If there is none; it says which file to bring where.
    """
    if path is not None:
        file = Path(path).expanduser()
        if not file.is_file():
            raise FileNotFoundError(f"no weights at {path}; bring the file from {url}, or leave the path out")
        return file
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(file), hash_prefix=file.stem.rpartition("-")[2], progress=False)
        except OSError as error:
            raise FileNotFoundError(
                f"no weights at {file}, and {url} cannot be reached ({error}); on a machine with network download that "
                f"file, and put it there or give its path"
            ) from error
    return file


def _from_hub(repository: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repository, allow_patterns=["config.json", *WEIGHT_FILES]))
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"no encoder {repository!r}: it is no local folder, not in the local cache of the hub, and the hub cannot "
            f"be reached or does not have it; on a machine with network download config.json and {WEIGHT_FILES[0]} of "
            f"{repository} into a folder, bring it, and give its path"
        ) from error
