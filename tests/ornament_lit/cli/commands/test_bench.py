"""``bench`` from the command line, on the quickstart's parts made small."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jsonargparse import Namespace

from ornament_lit.__main__ import main
from ornament_lit.cli.commands.bench_parts import count_devices, count_samples, randomised

ROOT = Path(__file__).resolve().parents[4]
SMALL = [
    f"--config={ROOT}/configs/quickstart.yaml",
    "--model.denoiser.unet.init_args.block_out_channels=[16, 32]",
    "--model.denoiser.unet.init_args.down_block_types=[CrossAttnDownBlock2D, CrossAttnDownBlock2D]",
    "--model.denoiser.unet.init_args.up_block_types=[CrossAttnUpBlock2D, CrossAttnUpBlock2D]",
    "--data.init_args.resolution=32",
    "--data.init_args.batch_size=2",
]
QUICK = ["--steps=1", "--warm_up=1", "--seconds=0", "--device=cpu"]


def bench(*words: str) -> int:
    return main(["bench", *SMALL, *QUICK, *words])


def test_all_figures_of_a_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(f"--output={tmp_path}/bench.json", "--trainer.max_epochs=3", "--trainer.num_nodes=2") == 0
    content = json.loads((tmp_path / "bench.json").read_text())
    values = {name: entry["value"] for name, entry in content["figures"].items()}
    measured = ("trained_parameters", "step_flop", "matmul_peak", "step", "training", "peak_memory", "mfu", "loader")
    assert all(values[name] > 0 for name in (*measured, "loader_margin", "whole_run"))
    assert values["mfu"] == pytest.approx(100 * values["step_flop"] * values["training"] / values["matmul_peak"])
    assert values["whole_run"] == pytest.approx(3 * 640 / (2 * values["training"]) / 3600)
    assert values["largest_batch"] is None
    assert "--largest_batch=true" in content["figures"]["largest_batch"]["note"]
    assert content["about"]["training"] == "32 px, 2 a batch, 32-true"
    assert "a batch of the training data" in capsys.readouterr().out


def test_without_data_and_without_steps(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--data.init_args.train_shards=/nowhere/train.tar", "--steps=0") == 0
    lines = {line[:34].strip(): line[34:] for line in capsys.readouterr().out.splitlines()}
    assert "not measured: " in lines["loader"] and "/nowhere/train.tar" in lines["loader"]
    assert "needs" in lines["mfu"] and "needs" in lines["whole run"]
    assert lines["step flop"].strip()[0].isdigit()


@pytest.mark.slow
def test_largest_batch_on_a_cpu_is_looked_for_in_processes(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--no_data", "--largest_batch=true", "--memory_limit=1.75", "--data.init_args.batch_size=64") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("largest batch"))
    assert int(line.split()[2].replace(",", "")) > 64
    assert line.endswith("of 1.75 GiB, run")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--steps=-1"], "steps must be at least 0, got -1"),
        (["--device=tpu"], "device: "),
        (["--stepz=3"], "there is no option --stepz; did you mean --steps?"),
        (["--data.init_args.batch_size=0"], "batch_size must be at least 1, got 0"),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(*words) == 2
    assert f"error: {message}" in capsys.readouterr().err


@pytest.mark.parametrize(("devices", "count"), [(8, 8), ("4", 4), ([0, 2], 2), ("0,1,3", 3)])
def test_processes_of_a_machine(devices: Any, count: int) -> None:
    assert count_devices(devices) == count


@pytest.mark.parametrize(
    ("steps", "epochs", "samples"), [(-1, 10, 640_000), (100, 10, 6400), (100, None, 6400), (-1, -1, None)]
)
def test_samples_of_a_run(steps: int, epochs: int | None, samples: int | None) -> None:
    trainer: Any = SimpleNamespace(max_steps=steps, max_epochs=epochs)
    assert count_samples(trainer, 64_010, 64) == samples


def test_paths_become_random_and_nothing_else_changes() -> None:
    part = Namespace(class_path="KLAutoencoder", init_args=Namespace(path="a/b", subfolder="vae"))
    model = Namespace(autoencoder=part, others=[{"path": "random:c/d"}], weight=1.0)
    changed = randomised(model)
    assert changed.autoencoder.init_args == Namespace(path="random:a/b", subfolder="vae")
    assert changed.others == [{"path": "random:c/d"}] and changed.weight == 1.0
    assert part.init_args.path == "a/b"
