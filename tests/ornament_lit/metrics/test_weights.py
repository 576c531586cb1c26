"""Where weights are looked for, and what is said where they are not."""

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ornament_lit.metrics import FID, LPIPS, CLIPSimilarity, DINOSimilarity, TryOnMetric
from ornament_lit.metrics.weights import LazyNetwork, weights_file
from ornament_lit.utils.files import file_hash

URL = "file:///nowhere/net-0123abcd.pth"


@pytest.fixture(autouse=True)
def air_gapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, no caches."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def refuse(*_args: object, **_options: object) -> None:
        raise OSError("no network here")

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (CLIPSimilarity(), "download config.json and model.safetensors of openai/clip-vit-base-patch32"),
        (DINOSimilarity(), "download config.json and model.safetensors of facebook/dino-vits16"),
        (CLIPSimilarity("/nowhere/clip"), "/nowhere/clip needs config.json and model.safetensors"),
        (LPIPS(), r"alexnet-owt-7be5be79.pth, and https://.*/alexnet-owt-7be5be79.pth cannot be reached"),
        (LPIPS("vgg"), "vgg16-397923af.pth"),
        (LPIPS(path="/nowhere/alex.pth"), "no weights at /nowhere/alex.pth; bring the file from https://"),
        (FID(), "weights-inception-2015-12-05-6726825d.pth"),
    ],
)
def test_absent_weights_say_which_file_to_bring_where(metric: TryOnMetric, message: str) -> None:
    for ask in (metric.setup, metric.protocol):
        with pytest.raises(FileNotFoundError, match=message):
            ask()


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"needs config.json and model.safetensors or pytorch_model.bin"):
        CLIPSimilarity(str(tmp_path)).setup()


def test_torchs_cache_is_taken(tmp_path: Path) -> None:
    cached = tmp_path / "torch" / "hub" / "checkpoints" / "net-0123abcd.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"weights")
    assert weights_file(None, URL) == cached
    assert file_hash(cached) == hashlib.sha256(b"weights").hexdigest()


def test_a_pickle_with_code_is_not_run(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return Path.touch, (Path(tmp_path / "ran"),)  # type: ignore[return-value]

    torch.save({"features.0.weight": Payload()}, tmp_path / "bad.pth")
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        LPIPS(path=str(tmp_path / "bad.pth")).setup()
    assert not (tmp_path / "ran").exists()


def test_a_network_is_loaded_once_and_frozen() -> None:
    loaded = []

    def load() -> torch.nn.Module:
        loaded.append(1)
        return torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout()).train()

    lazy = LazyNetwork(load)
    assert loaded == []
    assert lazy.on("cpu") is lazy.on("cpu")
    assert loaded == [1]
    assert not lazy.on().training
    assert not any(parameter.requires_grad for parameter in lazy.on().parameters())
