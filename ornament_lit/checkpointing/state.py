"""Checkpoints without frozen weights, which rebuild the module that they hold."""

from argparse import ArgumentError
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.mixins.hparams_mixin import _given_hyperparameters, _given_hyperparameters_context
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.optim import Optimizer

from ornament_lit.utils.frozen import frozen_state
from ornament_lit.utils.imports import forbidden, import_plugins, restrict_imports

PARTS_BEFORE = ("autoencoder.", "image_encoder.", "denoiser.", "reference_net.", "mask_head.", "warp.")
"""What names of weights began with before the networks became one model."""
RAW_PARAMETERS = "raw_parameters"
"""Where a callback that averages weights keeps the raw ones, in its state."""


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
    check_names(path, checkpoint["state_dict"])
    return checkpoint


def check_names(path: str | Path, state_dict: Mapping[str, Tensor]) -> None:
    """Check that a checkpoint has the names of weights that this release writes.

    Raises:
        ValueError: If it was written before the networks became one `TryOnModel`.
    """
    old = [name for name in state_dict if name.startswith(PARTS_BEFORE)]
    if old:
        raise ValueError(
            f"{path} is a checkpoint of an earlier release, whose parts have other names ({old[0]} is called "
            f"model.{old[0]} now); train again, or go on with that release"
        )


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


def number_all_parameters(module: LightningModule, states: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Number the parameters of optimizers by their places among all of a module's, frozen ones included.

    Torch counts the parameters of an optimizer. A strategy that shards weights counts the frozen ones, too, and takes
    the states of any checkpoint by these numbers; all others go by the order, whatever the numbers are.

    Args:
        module: What is trained.
        states: State dictionaries of its optimizers; they are not changed.
    """
    trainer = module.trainer
    if isinstance(trainer.strategy, ModelParallelStrategy):
        return list(states)
    places = {parameter: place for place, parameter in enumerate(module.parameters())}
    return [_number(optimizer, state, places) for optimizer, state in zip(trainer.optimizers, states, strict=True)]


def _number(optimizer: Optimizer, state: dict[str, Any], places: Mapping[nn.Parameter, int]) -> dict[str, Any]:
    given = [number for group in state["param_groups"] for number in group["params"]]
    own = [places[parameter] for group in optimizer.param_groups for parameter in group["params"]]
    numbers = dict(zip(given, own, strict=True))
    groups = [{**group, "params": [numbers[number] for number in group["params"]]} for group in state["param_groups"]]
    return {
        **state,
        "state": {numbers[number]: each for number, each in state["state"].items()},
        "param_groups": groups,
    }


def raw_weights(checkpoint: Mapping[str, Any]) -> Mapping[str, Tensor] | None:
    """Raw weights by name, where a callback has put averaged ones into the checkpoint's ``state_dict``."""
    states = (state for state in checkpoint["callbacks"].values() if isinstance(state, Mapping))
    return next((state[RAW_PARAMETERS] for state in states if state.get(RAW_PARAMETERS)), None)


def check_weights(module: nn.Module, path: str | Path) -> None:
    """Check that a checkpoint has all weights of a module but the frozen ones, and no others.

    Raises:
        ValueError: If not.
    """
    saved, wanted = set(read_checkpoint(path)["state_dict"]), module.state_dict().keys() - frozen_state(module).keys()
    if saved != wanted:
        absent, unknown = sorted(wanted - saved), sorted(saved - wanted)
        raise ValueError(
            f"{path} is of another model: it lacks {', '.join(absent[:5]) or 'nothing'}, and has besides "
            f"{', '.join(unknown[:5]) or 'nothing'} ({len(absent)} and {len(unknown)} names)"
        )
