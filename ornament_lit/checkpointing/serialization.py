"""Parts as class path and arguments, and their weights as safetensors: how the pipeline's folder keeps them.

A part is written down by what its constructor takes. So it must keep every argument as an attribute of the same name.
One that takes ``path`` and ``subfolder`` loads a pretrained model of diffusers or transformers from there: that one is
saved by its own ``save_pretrained`` and loaded from the new folder.
"""

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from torch import Tensor, nn

from ornament_lit.utils.imports import forbidden, import_plugins, restrict_imports

FOUND_BY = ("path", "subfolder", "variant", "revision")
HERE = "{folder}"
"""Stands for the folder that is being loaded."""


def describe(part: object) -> dict[str, Any]:
    """Write a part down as ``class_path`` and ``init_args``, in JSON's types.

    Args:
        part: An object that keeps its constructor's arguments as attributes.

    Raises:
        ValueError: If it does not keep one of them.
    """
    arguments = _arguments(part)
    absent = [name for name in arguments if not hasattr(part, name)]
    if absent:
        raise ValueError(
            f"{type(part).__qualname__} must keep the argument {absent[0]!r} of its constructor as an attribute of "
            "that name, so that it can be built again; add it"
        )
    return {"class_path": _path(type(part)), "init_args": {name: _plain(getattr(part, name)) for name in arguments}}


def describe_pretrained(part: nn.Module, subfolder: str) -> dict[str, Any]:
    """Write a part down that loads a pretrained model, as if it came from a subfolder of the pipeline's folder.

    Args:
        part: A part with the arguments ``path`` and ``subfolder``.
        subfolder: Where its model will be.
    """
    others = {name: _plain(getattr(part, name)) for name in _arguments(part) if name not in FOUND_BY}
    return {"class_path": _path(type(part)), "init_args": {"path": HERE, "subfolder": subfolder, **others}}


def pretrained_child(part: nn.Module) -> str | None:
    """Name of the model that a part loads by ``path`` and ``subfolder``; None for a part without these arguments.

    Raises:
        ValueError: If it takes these arguments, but holds no model or more than one.
    """
    if not {"path", "subfolder"} <= set(_arguments(part)):
        return None
    found = [name for name, child in part.named_children() if hasattr(child, "save_pretrained")]
    if len(found) != 1:
        raise ValueError(
            f"{type(part).__qualname__} takes path and subfolder, so it must hold one model with save_pretrained, "
            f"got {found}; keep it as an attribute"
        )
    return found[0]


def own_weights(part: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Weights and buffers of a part, without those of its pretrained model, as contiguous tensors on the CPU."""
    child = pretrained_child(part)
    for name, tensor in part.state_dict().items():
        if child is None or not name.startswith(f"{child}."):
            yield name, tensor.detach().cpu().contiguous()


def build(
    descriptions: Mapping[str, Mapping[str, Any]], types: Mapping[str, type], folder: Path, variant: str | None = None
) -> dict[str, Any]:
    """Build parts from their descriptions. Only packages that :func:`restrict_imports` allows are imported.

    Args:
        descriptions: What :func:`describe` returned, by the name of the part.
        types: The base class of each part, by the same names.
        folder: The folder that pretrained models are in.
        variant: Word in the names of their files; None for none.

    Returns:
        The parts by name.

    Raises:
        ValueError: If one is not described, or cannot be built here.
    """
    restrict_imports()
    import_plugins()
    absent = sorted(set(types) - set(descriptions))
    if absent:
        raise ValueError(f"{folder} describes no {', '.join(absent)}; export the pipeline again")
    parser = ArgumentParser(exit_on_error=False)
    for name, base in types.items():
        parser.add_argument(f"--{name}", type=base)
    found = {name: _resolve(descriptions[name], folder, variant) for name in types}
    try:
        built = parser.instantiate(parser.parse_object(found))
    except Exception as error:
        raise ValueError(
            f"a part described in {folder} cannot be built here: {forbidden(str(error)) or error}"
        ) from error
    return {name: built[name] for name in types}


def _arguments(part: object) -> list[str]:
    various = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    constructor = type(part).__init__
    if constructor in (object.__init__, nn.Module.__init__):
        return []
    parameters = list(inspect.signature(constructor).parameters.values())[1:]
    return [parameter.name for parameter in parameters if parameter.kind not in various]


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _plain(value: object) -> Any:  # noqa: ANN401
    """A value in JSON's types; other objects are described as parts."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return _path(value) if isinstance(value, type) else describe(value)


def _resolve(description: Mapping[str, Any], folder: Path, variant: str | None) -> dict[str, Any]:
    arguments = description.get("init_args", {})
    if variant is not None and HERE in arguments.values():
        arguments = {**arguments, "variant": variant}
    known = {name: str(folder) if value == HERE else value for name, value in arguments.items()}
    return {"class_path": description.get("class_path"), "init_args": known}
