"""Weights that ship, by name."""

from pathlib import Path

import pytest

from ornament_lit.utils.bundled import DEFAULT_WEIGHTS, weights_path


def test_paths_stay_and_names_lead_into_the_package() -> None:
    assert weights_path("runs/last.ckpt") == Path("runs/last.ckpt") == weights_path(Path("runs/last.ckpt"))
    assert (weights_path(DEFAULT_WEIGHTS) / "model_index.json").is_file()
    assert weights_path(Path(DEFAULT_WEIGHTS)) == weights_path(DEFAULT_WEIGHTS)


@pytest.mark.parametrize("name", ["bundled:large", "bundled:", "bundled:..", "bundled:small/../small"])
def test_other_names_are_answered_by_those_there_are(name: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"the weights that ship are bundled:small, got 'bundled:"):
        weights_path(name)
