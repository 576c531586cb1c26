"""The full-size configs of the baselines, built without weights: they have the sizes of the published methods."""

from pathlib import Path

import pytest
import torch

from ornament_lit.cli.commands.bench_parts import BenchCLI
from ornament_lit.module import TryOnModule

FOLDER = "configs/baselines"


def build(*names: str, words: tuple[str, ...] = ()) -> TryOnModule:
    files = ["configs/ornament.yaml", *(f"{FOLDER}/{name}.yaml" for name in names)]
    cli = BenchCLI([*(word for file in files for word in ("--config", file)), *words], random_weights=True)
    return cli.build(torch.device("meta"))


def millions(module: TryOnModule, trained: bool) -> float:
    return sum(value.numel() for value in module.parameters() if value.requires_grad is trained) / 1e6


@pytest.fixture(autouse=True)
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])


@pytest.mark.parametrize(
    ("name", "trained", "frozen", "tokens"),
    [
        ("paint_by_example", 923.3, 303.2, 1),
        ("anydoor", 873.3, 348.7 + 1136.5, 257),
        ("idm_vton", 908.6, 857.1 + 630.8, 16 + 77),
        ("ootdiffusion", 1716.6, 304.0, 1 + 3),
    ],
)
def test_parameters_and_tokens(name: str, trained: float, frozen: float, tokens: int) -> None:
    module = build(name)
    vae = sum(value.numel() for value in module.model.autoencoder.parameters()) / 1e6
    assert millions(module, trained=True) == pytest.approx(trained, abs=0.06)
    assert millions(module, trained=False) - vae == pytest.approx(frozen, abs=0.2)
    assert module.model.image_encoder.num_tokens + module.model.prompt_encoder.num_tokens == tokens


def test_anydoor_has_its_published_size_too() -> None:
    module = build("anydoor", "anydoor_sd21")
    unet = module.model.denoiser.unet
    assert unet.config.cross_attention_dim == module.model.image_encoder.token_dim == 1024
    assert sum(value.numel() for value in unet.parameters()) == 865_910_724
