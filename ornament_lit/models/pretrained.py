"""Loading of pretrained parts from a folder or a hub, and freezing them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import ModelMixin, UNet2DConditionModel
from diffusers.utils import is_accelerate_available
from torch import nn

from ornament_lit.models.kinds import check_kind
from ornament_lit.models.random_weights import RANDOM, build_random

Model = TypeVar("Model", bound=nn.Module)


def load_pretrained(cls: type[Model], path: str, subfolder: str | None = None, **options: Any) -> Model:  # noqa: ANN401
    """Load safetensors weights by the ``from_pretrained`` of diffusers or transformers, in float32.

    Args:
        cls: A class with ``from_pretrained``.
        path: A local folder, or the id of a repository on the hub (``owner/name``). With ``random:`` before it, weights
            are random and only their sizes are those of the model, see :func:`build_random`.
        subfolder: Folder inside it, such as ``unet``.
        options: More arguments of ``from_pretrained``, such as ``variant`` and ``revision``; those that are None are
            left out.

    Raises:
        FileNotFoundError: If ``path`` names a local folder that does not exist or lacks the subfolder or its
            ``config.json``.
        ValueError: If it holds a model of another kind, lacks weights of ``cls``, or has them in other sizes than its
            ``config.json`` says.
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
    given = {name: value for name, value in options.items() if value is not None}
    where = f"{path}/{subfolder}" if subfolder else path
    load = _load_diffusers if issubclass(cls, ModelMixin) else _load_transformers
    model, report = load(cls, path, subfolder or "", where, given)
    _check_weights(cls, where, report)
    return align_weights(model.float())


def _load_diffusers(
    cls: type[Model], path: str, subfolder: str, where: str, options: Mapping[str, Any]
) -> tuple[Model, Mapping[str, Any]]:
    """Load a model of diffusers, and what was missing in its weights."""
    memory = {} if is_accelerate_available() else {"low_cpu_mem_usage": False}  # else diffusers warns at length
    try:
        return _from_pretrained(cls, path, subfolder, {**memory, **options})
    except RuntimeError as error:
        wrong = next((line.strip() for line in str(error).splitlines() if "size mismatch" in line), None)
        if wrong is None:
            raise
        raise ValueError(_of_another_size(cls, where, wrong)) from error


def _load_transformers(
    cls: type[Model], path: str, subfolder: str, where: str, options: Mapping[str, Any]
) -> tuple[Model, Mapping[str, Any]]:
    """Load a model of transformers, and what was missing in its weights or of another size."""
    revision = {name: value for name, value in options.items() if name == "revision"}
    config, _ = cls.config_class.get_config_dict(path, subfolder=subfolder, **revision)  # type: ignore[attr-defined]
    check_kind(cls, config, where)
    return _from_pretrained(cls, path, subfolder, {"ignore_mismatched_sizes": True, **options})


def _from_pretrained(
    cls: type[Model], path: str, subfolder: str, options: Mapping[str, Any]
) -> tuple[Model, Mapping[str, Any]]:
    load = cls.from_pretrained  # type: ignore[attr-defined]
    loaded: tuple[Model, Mapping[str, Any]] = load(
        path, subfolder=subfolder, use_safetensors=True, output_loading_info=True, **options
    )
    return loaded


def _check_weights(cls: type[nn.Module], where: str, report: Mapping[str, Any]) -> None:
    """Check that the files had every weight, in the size that it has by the configuration.

    Raises:
        ValueError: If not, and the weight would stay random.
    """
    mismatched, missing = sorted(report.get("mismatched_keys") or []), sorted(report.get("missing_keys") or [])
    if mismatched:
        name, found, expected = mismatched[0]
        wrong = f"{name} is {tuple(found)} in the file and {tuple(expected)} by config.json"
        raise ValueError(_of_another_size(cls, where, wrong))
    if missing:
        raise ValueError(
            f"the weights in {where} are not those of {cls.__name__}: {missing[0]} is missing ({len(missing)} in all); "
            "choose another path or subfolder, or another class"
        )


def _of_another_size(cls: type[nn.Module], where: str, wrong: str) -> str:
    return (
        f"the weights in {where} are not of the sizes that its config.json says for {cls.__name__}: {wrong}; take "
        "both from one model"
    )


def align_weights(model: Model) -> Model:
    """Copy the weights of a model to memory of its own.

    Weights that lie in a mapped file may lie at any address, and CPU kernels round by the address: the same weights
    from another file would give other last digits.
    """
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = tensor.data.clone()
    return model


def pretrained_unet(
    path: str, subfolder: str = "unet", variant: str | None = None, revision: str | None = None
) -> UNet2DConditionModel:
    """Load the UNet of a Stable Diffusion folder.

    Args:
        path: A local folder in the diffusers format, or the id of a hub repository (``owner/name``).
        subfolder: Folder of the UNet inside it.
        variant: Word in the names of the files with weights, such as ``fp16``; null for none.
        revision: Branch, tag or commit of the hub repository; null for its main branch.
    """
    return load_pretrained(UNet2DConditionModel, path, subfolder, variant=variant, revision=revision)


def freeze(model: Model) -> Model:
    """Take a model out of training: no gradients, evaluation mode."""
    model.requires_grad_(False)
    model.eval()
    return model
