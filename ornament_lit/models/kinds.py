"""Kinds of models of transformers: whether a folder holds the one that a class wants."""

from collections.abc import Mapping
from typing import Any

from torch import nn


def check_kind(cls: type[nn.Module], config: Mapping[str, Any], where: str) -> None:
    """Check that a configuration of transformers is that of a class, or has it as a part: CLIP has one for pictures.

    Args:
        cls: The class that shall be built.
        config: Content of a ``config.json``; one that names no type is taken for the right one.
        where: The folder that it lies in.

    Raises:
        ValueError: If it is that of another model, which transformers would build with random weights.
    """
    expected = cls.config_class  # type: ignore[attr-defined]
    part = config.get(expected.base_config_key) if expected.base_config_key else None
    kind = (part if isinstance(part, Mapping) else config).get("model_type", expected.model_type)
    if kind != expected.model_type:
        names = ", ".join(config.get("architectures") or ["unknown"])
        raise ValueError(
            f"{cls.__name__} needs a model of type {expected.model_type!r}, got {config.get('model_type')!r} "
            f"(architecture {names}) in {where}; choose another path or subfolder, or another class"
        )
