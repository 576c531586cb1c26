"""Frozen parts of a module: their weights come from files of their own, and no checkpoint has them."""

from torch import Tensor, nn


def frozen_state(module: nn.Module) -> dict[str, Tensor]:
    """Weights and buffers of every sub-module whose parameters are all frozen, by name.

    A part that says ``kept_when_frozen`` has no file of its own that they could come from, and is left out.
    """
    kept = {name for name, part in module.named_modules() if getattr(part, "kept_when_frozen", False)}
    frozen = {name for name, part in module.named_modules() if name and is_frozen(part)}
    state = module.state_dict().items()
    return {key: value for key, value in state if _inside(key, frozen) and not _inside(key, kept)}


def is_frozen(part: nn.Module) -> bool:
    """Whether a module has parameters and none of them trains."""
    parameters = list(part.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def count_parameters(module: nn.Module) -> tuple[int, int]:
    """Numbers of trained and of frozen parameters, each counted once."""
    counts = {True: 0, False: 0}
    for parameter in module.parameters():
        counts[parameter.requires_grad] += parameter.numel()
    return counts[True], counts[False]


def check_gradients(module: nn.Module) -> None:
    """Check, after a backward pass, that every parameter that should train has a gradient.

    Raises:
        RuntimeError: If one has none.
    """
    idle = [name for name, value in module.named_parameters() if value.requires_grad and value.grad is None]
    if not idle:
        return
    null = any("null" in name for name in idle)
    hint = (
        "; null tokens train on dropped conditions alone: set diffusion_loss.condition_dropout above 0" if null else ""
    )
    raise RuntimeError(f"trained parameters that got no gradient: {', '.join(idle)}{hint}")


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
