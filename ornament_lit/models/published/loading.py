"""Put published weights into a model."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from torch import Tensor

from ornament_lit.models.published import anydoor, idm_vton, ootdiffusion, paint_by_example
from ornament_lit.models.published.methods import METHODS, Method
from ornament_lit.models.try_on import TryOnModel

Weights = Callable[[Path, TryOnModel], dict[str, Tensor]]

WEIGHTS: Mapping[Method, Weights] = {
    "paint_by_example": paint_by_example.weights,
    "anydoor": anydoor.weights,
    "idm_vton": idm_vton.weights,
    "ip_adapter_plus": idm_vton.adapter_weights,
    "ootdiffusion": ootdiffusion.weights,
}


def load_published(model: TryOnModel, method: Method, path: Path) -> list[str]:
    """Put published weights into a model that was built from the method's configuration.

    Args:
        model: The model, changed in place.
        method: Whose weights they are.
        path: Folder or file of the published weights.

    Returns:
        The parts that stay as they were configured, because the files have no weights of them, such as
        ``image_encoder.dino``.

    Raises:
        FileNotFoundError: If files are absent.
        ValueError: If the model looks at other inputs, or the weights are pickled, damaged or do not fit it.
    """
    known = METHODS[method]
    if tuple(model.denoiser.inputs) != known.inputs:
        raise ValueError(
            f"{method}: the UNet of these weights looks at {', '.join(known.inputs)}, in this order, and that of the "
            f"model at {', '.join(model.denoiser.inputs) or 'nothing'}; set model.denoiser.inputs to "
            f"[{', '.join(known.inputs)}]"
        )
    given, own = WEIGHTS[method](path.expanduser(), model), model.state_dict()
    wrong = _misfits(given, own, known.may_stay)
    if wrong:
        raise ValueError(f"{method}: the weights in {path} do not fit the model: {wrong}; {known.size}")
    model.load_state_dict(given, strict=False)
    return _parts(name for name in own if name not in given)


def _misfits(given: Mapping[str, Tensor], own: Mapping[str, Tensor], may_stay: tuple[str, ...]) -> str:
    """The first weight of another shape, the first unexpected and the first missing one, and how many there are."""
    shapes = [name for name in own if name in given and given[name].shape != own[name].shape]
    kinds = {
        "has another shape": shapes,
        "is not in the model": [name for name in given if name not in own],
        "is not in the files": [name for name in own if name not in given and not name.startswith(may_stay)],
    }
    found = [f"{names[0]} {kind} ({len(names)} in all)" for kind, names in kinds.items() if names]
    if shapes:
        sizes = f"{tuple(given[shapes[0]].shape)} in the files and {tuple(own[shapes[0]].shape)} in the model"
        found[0] = f"{shapes[0]} is {sizes} ({len(shapes)} of other shapes in all)"
    return ", ".join(found)


def _parts(names: Iterable[str]) -> list[str]:
    """Parts of the model that weights belong to, each once."""
    return list(dict.fromkeys(".".join(name.split(".")[:2]) for name in names))
