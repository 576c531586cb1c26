"""The weights of a pipeline for ``validate``, ``test`` and ``predict``."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ornament_lit.cli.pipeline_weights import take_pipeline
from ornament_lit.cli.trainer import build
from ornament_lit.module import TryOnModule
from ornament_lit.pipeline.serialization import read_weights
from ornament_lit.utils.bundled import DEFAULT_WEIGHTS, weights_path
from ornament_lit.utils.files import file_hash

SMALL = str(Path(__file__).parents[3] / "configs" / "small.yaml")


@pytest.fixture
def module() -> TryOnModule:
    model: TryOnModule = build(["--config", SMALL]).model
    return model


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_a_measurement_gets_them_in_the_place_of_a_checkpoint(command: str, module: TryOnModule) -> None:
    options: dict[str, Any] = {"ckpt_path": DEFAULT_WEIGHTS, "verbose": True}
    take_pipeline(command, module, options)
    assert options == {"ckpt_path": None, "verbose": True}
    expected, found = read_weights(weights_path(DEFAULT_WEIGHTS)), module.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    weights = weights_path(DEFAULT_WEIGHTS) / "try_on.safetensors"
    assert module.weights_from["file"] == DEFAULT_WEIGHTS and module.weights_from["sha256"] == file_hash(weights)
    assert module.steps_taken == module.weights_from["step"] > 0


def test_a_folder_is_named_by_its_own_name(module: TryOnModule) -> None:
    options: dict[str, Any] = {"ckpt_path": str(weights_path(DEFAULT_WEIGHTS))}
    take_pipeline("test", module, options)
    assert options["ckpt_path"] is None and module.weights_from["file"] == "small"


@pytest.mark.parametrize("named", [None, "auto", "runs/small/checkpoints/last.ckpt"])
def test_all_else_stays_as_it_is(named: str | None, module: TryOnModule) -> None:
    options = {"ckpt_path": named}
    take_pipeline("test", module, options)
    assert options == {"ckpt_path": named} and module.weights_from == {}


def test_a_training_is_told_how_to_begin_from_them(module: TryOnModule) -> None:
    with pytest.raises(ValueError, match=r"callbacks\+=InitialWeights --trainer.callbacks.checkpoint=bundled:small"):
        take_pipeline("fit", module, {"ckpt_path": DEFAULT_WEIGHTS})
    with pytest.raises(FileNotFoundError, match="the weights that ship are"):
        take_pipeline("test", module, {"ckpt_path": "bundled:large"})
