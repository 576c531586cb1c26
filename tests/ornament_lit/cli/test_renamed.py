"""Old names lead to names that exist."""

import importlib

import pytest

import callbacks
from ornament_lit.cli.introspection import class_options
from ornament_lit.cli.renamed import NOW, name_now


def test_classes_follow_their_module_and_other_names_stay() -> None:
    assert name_now("ornament_lit.mask_heads.BoxMaskHead") == "ornament_lit.models.mask_heads.BoxMaskHead"
    assert name_now("ornament_lit.mask_heads.box.BoxMaskHead") == "ornament_lit.models.mask_heads.box.BoxMaskHead"
    assert name_now("model.worn_weight") == "model.diffusion_loss.foreground_weight"
    assert name_now("model.mask_head") is name_now("BoxMaskHead") is name_now("") is None


@pytest.mark.parametrize("old", NOW)
def test_every_new_name_exists_and_no_old_one(old: str) -> None:
    new = NOW[old]
    assert new not in NOW
    if old.startswith("ornament_lit."):
        importlib.import_module(new)
        with pytest.raises(ImportError):
            importlib.import_module(old)
    elif old.startswith("model."):
        assert new.rpartition(".")[2] in class_options("ornament_lit.losses.DiffusionLoss")
        assert old.rpartition(".")[2] not in class_options("ornament_lit.module.TryOnModule")
    else:
        names = {f"{name}.{option}" for name in callbacks.__all__ for option in class_options(f"callbacks.{name}")}
        names |= set(callbacks.__all__)
        assert new in names and old not in names
