from torch import nn

from ornament_lit.utils.frozen import count_parameters, drop_frozen, frozen_state, is_frozen, restore_frozen


class Kept(nn.Linear):
    """A part without a file of its own."""

    kept_when_frozen = True


def build(trains: bool) -> nn.Module:
    """A model that holds a frozen part, a frozen part that is kept, and one that may train."""
    model = nn.ModuleDict({"frozen": nn.Linear(1, 1), "kept": Kept(1, 1), "head": nn.Linear(1, 1)})
    model.requires_grad_(False)
    model["head"].requires_grad_(trains)
    return nn.ModuleDict({"model": model})


def test_frozen_parts_are_left_out_but_for_those_that_have_no_file() -> None:
    module = build(trains=True)
    assert set(frozen_state(module)) == {"model.frozen.weight", "model.frozen.bias"}
    dropped = drop_frozen(module, module.state_dict())
    assert set(dropped) == {f"model.{part}.{name}" for part in ("kept", "head") for name in ("weight", "bias")}
    assert restore_frozen(module, dropped).keys() == module.state_dict().keys()


def test_a_part_without_a_file_is_kept_where_everything_around_it_is_frozen() -> None:
    module = build(trains=False)
    assert is_frozen(module["model"])
    assert set(drop_frozen(module, module.state_dict())) == {"model.kept.weight", "model.kept.bias"}


def test_a_module_without_parameters_is_not_frozen() -> None:
    assert not is_frozen(nn.Identity())


def test_parameters_are_counted_once_and_by_whether_they_train() -> None:
    shared = nn.Linear(2, 3)
    parts = nn.ModuleDict({"one": shared, "same": shared, "frozen": nn.Linear(4, 1).requires_grad_(False)})
    assert count_parameters(parts) == (9, 5)
    assert count_parameters(nn.Identity()) == (0, 0)
