"""Checkpoints without frozen weights, which rebuild the module that they hold."""

from argparse import ArgumentError
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.mixins.hparams_mixin import _given_hyperparameters, _given_hyperparameters_context
from torch import Tensor, nn

from ornament_lit.utils.imports import forbidden, import_plugins, restrict_imports


def save_configuration(module: LightningModule) -> None:
    """Keep the configuration that the CLI or a checkpoint builds a module from, for its own checkpoints.

    A module built by hand keeps none: its parts themselves would be copied and pickled. Its checkpoints hold the
    weights, and the parts are given again when they are loaded.
    """
    if _given_hyperparameters.get() is not None:
        module.save_hyperparameters(logger=False)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of this package, on the CPU and without unpickling.

    Args:
        path: A file that a training run wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is none, is damaged, or holds pickled objects.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"a checkpoint must be a file, got {str(path)!r}; check the path")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except UnpicklingError as error:
        raise ValueError(refusal(path)) from error
    except (RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
        raise ValueError(f"{path} is no checkpoint, or is damaged: {str(error).partition('. ')[0][:120]}") from error
    if not isinstance(checkpoint, dict) or "mask_threshold" not in checkpoint.get("state_dict", {}):
        raise ValueError(foreign(path))
    return checkpoint


def refusal(path: str | Path) -> str:
    """What is said of a file that holds pickled objects."""
    return (
        f"{path} holds more than weights and plain values (or is no checkpoint), so it is not read: pickled objects "
        "can run any code"
    )


def foreign(path: str | Path) -> str:
    """What is said of a file that holds something else than a checkpoint of a training run."""
    return f"{path} is a checkpoint of another project; give one that `ornament_lit fit` wrote"


@contextmanager
def configuration_of(path: str | Path) -> Iterator[None]:
    """Build, within this context, modules that keep the configuration in a checkpoint.

    Only the packages that :func:`restrict_imports` allows are imported for it.

    Args:
        path: A checkpoint; it is read without unpickling.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no checkpoint of this package, or the configuration cannot be built here.
    """
    restrict_imports()
    import_plugins()
    configuration = dict(read_checkpoint(path).get("hyper_parameters", {}))
    instantiator = configuration.pop("_instantiator", None)
    kept = _given_hyperparameters_context(configuration, instantiator) if instantiator else nullcontext()
    try:
        with kept:
            yield
    except ArgumentError as error:
        raise ValueError(
            f"the configuration in {path} cannot be built here: {forbidden(str(error)) or error}"
        ) from error


def frozen_state(module: nn.Module) -> dict[str, Tensor]:
    """Weights and buffers of every sub-module whose parameters are all frozen, by name.

    A part that says ``kept_when_frozen`` has no file of its own that they could come from, and is left out.
    """
    kept = {name for name, part in module.named_modules() if getattr(part, "kept_when_frozen", False)}
    parts = ((name, part) for name, part in module.named_modules() if name and not _inside(f"{name}.", kept))
    frozen = {name for name, part in parts if is_frozen(part)}
    return {key: value for key, value in module.state_dict().items() if _inside(key, frozen)}


def is_frozen(part: nn.Module) -> bool:
    """Whether a module has parameters and none of them trains."""
    parameters = list(part.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def _inside(key: str, names: set[str]) -> bool:
    """Whether an entry of a state dictionary belongs to one of the named modules."""
    words = key.split(".")
    return any(".".join(words[:depth]) in names for depth in range(1, len(words)))


def drop_frozen(module: nn.Module, state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave the weights of frozen parts out of a state dictionary."""
    frozen = frozen_state(module)
    return {key: value for key, value in state_dict.items() if key not in frozen}


def restore_frozen(module: nn.Module, state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Complete a state dictionary by the module's own frozen weights."""
    return {**frozen_state(module), **state_dict}
