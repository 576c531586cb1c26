"""The tiny configurations of the baselines from training to a drawing, as a user calls them."""

import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ornament_lit.__main__ import main

CONFIGS = sorted(Path("configs/baselines/tiny").glob("*.yaml"))
METHODS = [path.stem for path in CONFIGS]
PROMPTED = ["idm_vton", "ootdiffusion"]
SMALL = [
    "--data.init_args.samples_per_epoch=8",
    "--data.init_args.batch_size=4",
    "--data.init_args.val_batch_size=2",
    "--model.sampler.init_args.num_steps=2",
    "--trainer.max_steps=2",
    "--trainer.limit_val_batches=0",
    "--trainer.limit_test_batches=1",
    "--trainer.enable_model_summary=false",
]

slow = pytest.mark.slow
Trained = Callable[[str], Path]


def words_of(method: str, folder: Path) -> list[str]:
    configs = ["--config=configs/quickstart.yaml", f"--config=configs/baselines/tiny/{method}.yaml"]
    return [*configs, *SMALL, f"--trainer.logger.save_dir={folder}"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Checkpoint of a method after two steps; each is trained once."""

    @cache
    def train(method: str) -> Path:
        folder = tmp_path_factory.mktemp(method)
        assert main(["fit", *words_of(method, folder)]) == 0
        return next(folder.rglob("last.ckpt"))

    return train


def try_on(output: Path, *words: str) -> int:
    given = ["--ornament=examples/earring.jpg", "--person=examples/person.jpg", "--box=140,260,315,500", "--region=box"]
    return main(["try-on", *given, f"--output={output}", *words])


def draw(output: Path, *words: str) -> np.ndarray:
    """Pixels that the command writes."""
    assert try_on(output, *words) == 0
    with Image.open(output) as image:
        return np.asarray(image)


def test_each_baseline_has_a_tiny_configuration() -> None:
    assert METHODS == ["anydoor", "idm_vton", "ootdiffusion", "paint_by_example"]


@slow
@pytest.mark.parametrize("method", METHODS)
def test_training_and_measurement(trained: Trained, method: str, tmp_path: Path) -> None:
    content = torch.load(trained(method), weights_only=True)
    assert content["global_step"] == 2
    assert not any(f".{frozen}." in name for name in content["state_dict"] for frozen in ("clip", "dino"))
    assert main(["test", *words_of(method, tmp_path), f"--ckpt_path={trained(method)}"]) == 0
    report = json.loads(next(tmp_path.rglob("report.json")).read_text())
    assert report["protocol"]["checkpoint"]["step"] == 2 and report["protocol"]["data"]["n"] == 2
    scores = {name: values for each in report["measured"] for name, values in each.get("values", {}).items()}
    assert len(scores["psnr_inside"]) == 2 and all(map(math.isfinite, scores["psnr_inside"]))


@slow
@pytest.mark.parametrize("method", METHODS)
def test_an_exported_pipeline_draws_what_the_checkpoint_draws(trained: Trained, method: str, tmp_path: Path) -> None:
    """The type of the ornament matters where there is a prompt, and nowhere else."""
    checkpoint, exported = f"--checkpoint={trained(method)}", f"--pipeline={tmp_path / 'exported'}"
    assert main(["export", checkpoint, f"--output={tmp_path / 'exported'}"]) == 0
    drawn = draw(tmp_path / "checkpoint.png", checkpoint, "--type=earring")
    assert np.array_equal(draw(tmp_path / "pipeline.png", exported, "--type=earring"), drawn)
    ring = draw(tmp_path / "ring.png", exported, "--type=ring")
    assert np.array_equal(ring, drawn) == (method not in PROMPTED)
    unguided = draw(tmp_path / "unguided.png", exported, "--type=earring", "--guidance=1")
    assert not np.array_equal(unguided, drawn)


@slow
@pytest.mark.parametrize("method", PROMPTED)
def test_a_model_with_a_prompt_wants_the_type(
    trained: Trained, method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert try_on(tmp_path / "worn.png", f"--checkpoint={trained(method)}") == 2
    message = (
        "error: this model is told the type of the ornament; give category (--type), one of bracelet, ring, earring"
    )
    assert capsys.readouterr().err.startswith(message)
    assert not (tmp_path / "worn.png").exists()


@slow
@pytest.mark.parametrize(
    ("method", "other", "first"),
    [
        ("anydoor", "paint_by_example", "192 missing (model.reference_net.controlnet."),
        ("idm_vton", "ootdiffusion", "41 missing (model.image_encoder.projection."),
        ("ootdiffusion", "idm_vton", "41 unexpected (model.image_encoder.projection."),
        ("paint_by_example", "anydoor", "19 missing (model.image_encoder.mapper."),
    ],
)
def test_a_run_does_not_go_on_from_a_checkpoint_of_another_method(
    trained: Trained, method: str, other: str, first: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*words_of(method, tmp_path), "--trainer.max_steps=3", f"--ckpt_path={trained(other)}"]
    capsys.readouterr()
    assert main(["fit", *words]) == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert said.startswith(f"error: the checkpoint is of another model; weights: {first}")
    assert said.endswith("; take the config that lies beside it")
