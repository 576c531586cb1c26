"""``data latents`` from the command line to a training step: the losses are those of encoding in each step."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from diffusers import DDPMScheduler

from datamodules import OrnamentDataModule
from ornament_lit.__main__ import main
from ornament_lit.batch import TryOnBatch, check_batch
from ornament_lit.cli.commands.latents import split_words
from ornament_lit.models.autoencoders import KLAutoencoder
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import CLIPImageEncoder
from ornament_lit.module import TryOnModule

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def config(tmp_path: Path, vae_folder: Path, clip_folder: Path) -> Path:
    """The encoders and the data of a training configuration; the networks that train cannot be built."""
    (tmp_path / "clip").mkdir()
    for path in clip_folder.glob("*.*"):
        (tmp_path / "clip" / path.name).write_bytes(path.read_bytes())
    nothing = {"class_path": "ornament_lit.models.pretrained.pretrained_unet", "init_args": {"path": "./nowhere"}}
    document = {
        "model": {
            "autoencoder": {"class_path": "KLAutoencoder", "init_args": {"path": str(vae_folder)}},
            "image_encoder": {
                "class_path": "CLIPImageEncoder",
                "init_args": {"path": str(tmp_path / "clip"), "token_dim": 24},
            },
            "denoiser": {"unet": nothing},
            "noise_scheduler": {"class_path": "diffusers.DDPMScheduler"},
            "reference_net": "UNetReferenceNet",
            "mask_head": "PoseAwareMaskHead",
            "attention_loss": "MaskGuidedAttentionLoss",
        },
        "data": {"class_path": "OrnamentDataModule", "init_args": {"resolution": 32, "seed": 3}},
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def latents(config: Path, shard_dir: Path, tmp_path: Path) -> Path:
    """Folder with two copies of two shards in latents, in float32."""
    out = tmp_path / "latents"
    words = f"data latents --config {config} --shards {shard_dir}/train-00000[01].tar --out {out} --copies 2"
    assert main([*words.split(), "--dtype", "float32", "--image_tokens", "true", "--device", "cpu"]) == 0
    return out


@pytest.fixture
def build(build_module, build_unet, vae_folder: Path, config: Path) -> Callable[..., TryOnModule]:
    """A module with the encoders of the configuration."""

    def make(**parts: Any) -> TryOnModule:
        return build_module(
            **{
                "autoencoder": KLAutoencoder(str(vae_folder)),
                "image_encoder": CLIPImageEncoder(str(config.parent / "clip"), token_dim=24),
                "denoiser": Denoiser(build_unet(channels=4)),
                "noise_scheduler": DDPMScheduler(),
                **parts,
            }
        )

    return make


def data_of(folder: Path, **options: Any) -> OrnamentDataModule:
    shards = str(folder / "train-*.tar")
    return OrnamentDataModule(
        shards, shards, **{"resolution": 32, "batch_size": 4, "precomputed": "require", **options}
    )


def closed(module: TryOnModule) -> TryOnModule:
    """Let the module's encoders refuse to be called."""

    def refuse(images: torch.Tensor) -> torch.Tensor:
        raise AssertionError("an encoder was called")

    module.model.autoencoder.encode = refuse
    module.model.image_encoder.extract = refuse
    return module


def batches(data: OrnamentDataModule) -> Iterator[TryOnBatch]:
    for batch in data.train_dataloader():
        check_batch(batch)
        yield batch


def test_the_losses_are_those_of_encoding_in_each_step(latents: Path, build) -> None:
    module, given = build(), list(batches(data_of(latents)))
    images = [{name: values for name, values in batch.items() if name != "encoded"} for batch in given]
    expected = [module.losses(batch)[0] for batch in images]
    assert len(given) == 4
    for batch, losses in zip(given, expected, strict=True):
        assert set(batch["encoded"]) == {
            "person_latents",
            "masked_person_latents",
            "ornament_latents",
            "image_features",
        }
        got, _ = closed(module).losses(batch)
        for name, loss in losses.items():
            torch.testing.assert_close(got[name], loss, rtol=1e-6, atol=1e-6)


def test_copies_are_chosen_by_sample_and_epoch(latents: Path) -> None:
    data = data_of(latents)

    def people(epoch: int) -> dict[str, torch.Tensor]:
        rows: dict[str, torch.Tensor] = {}
        loader = data.train_dataloader()
        loader._position = lambda: (epoch, 0)
        for batch in loader:
            rows.update(zip(batch["key"], batch["encoded"]["person_latents"], strict=True))
        return rows

    first, again, second = people(0), people(0), people(1)
    assert len(first) == 16 and all(torch.equal(first[key], again[key]) for key in first)
    changed = sum(not torch.equal(first[key], second[key]) for key in first)
    assert 2 < changed < 14, "about half of the samples take the other copy"


def trainer(folder: Path, **options: Any) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        default_root_dir=folder,
        **options,
    )


class Keep(pl.Callback):
    """Keeps which batches came with encodings."""

    def __init__(self) -> None:
        self.encoded: list[bool] = []

    def on_train_batch_start(self, trainer: pl.Trainer, module: TryOnModule, batch: TryOnBatch, index: int) -> None:
        self.encoded.append("encoded" in batch)


@pytest.mark.parametrize("workers", [0, 2])
def test_training_takes_them_of_its_own_accord(latents: Path, build, tmp_path: Path, workers: int) -> None:
    trainer(tmp_path).fit(closed(build()), data_of(latents, precomputed="auto", num_workers=workers))


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"precomputed": "never"}, False), ({"precomputed": "auto", "crop_factor": 2.0}, False), ({}, True)],
)
@pytest.mark.filterwarnings("ignore:precomputed latents are not used")
def test_training_takes_images_otherwise(
    latents: Path, build, tmp_path: Path, options: dict[str, Any], expected: bool
) -> None:
    keep = Keep()
    trainer(tmp_path, callbacks=[keep], limit_train_batches=2).fit(build(), data_of(latents, **options))
    assert keep.encoded == [expected] * 2


def test_without_a_trainer_nobody_compares_encoders(latents: Path) -> None:
    assert "encoded" not in next(batches(data_of(latents, precomputed="auto")))


@pytest.mark.parametrize("part", ["autoencoder", "image_encoder"])
def test_latents_of_other_weights_are_refused(latents: Path, build, tmp_path: Path, part: str) -> None:
    module = build()
    next(getattr(module.model, part).parameters()).data += 0.01
    with pytest.raises(ValueError, match=f"the precomputed latents are not of this {part} "):
        trainer(tmp_path).fit(module, data_of(latents, precomputed="auto"))


def test_validation_encodes_images(latents: Path) -> None:
    assert not any("encoded" in batch for batch in data_of(latents).val_dataloader())


def test_a_mistake_is_one_line(
    config: Path, shard_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    start = ["data", "latents", "--config", str(config)]
    out = ["--out", str(tmp_path / "out")]
    for words, message in (
        ([*start, *out], "shards"),
        ([*start, *out, "--shards", str(tmp_path / "none-*.tar")], "no shard matches"),
        (["data", "latents", *out, "--shards", str(shard_dir)], "model.autoencoder"),
        ([*start, *out, "--shards", str(shard_dir), "--copies", "0"], "copies must be at least 1, got 0"),
        (
            [
                *start,
                *out,
                "--shards",
                str(shard_dir),
                "--image_tokens",
                "true",
                "--model.image_encoder=NoImageEncoder",
            ],
            "the configuration has no image encoder",
        ),
    ):
        assert main(words) == 2
        error = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error")]
        assert len(error) == 1 and message in error[0]
    assert not (tmp_path / "out").exists()


def test_words_are_parted() -> None:
    words = "--config a.yaml --shards s --data.resolution=8 --out o --model.autoencoder A -c b.yaml --copies 3 -h"
    own, training = split_words(words.split())
    assert own == ["--shards", "s", "--out", "o", "--copies", "3", "-h"]
    assert training == ["--config", "a.yaml", "--data.resolution=8", "--model.autoencoder", "A", "-c", "b.yaml"]


def test_help_is_quick_to_come() -> None:
    script = (
        "import sys; from ornament_lit.__main__ import main\n"
        "try: main(['data', 'latents', '--help'])\n"
        "finally: print('loaded:', [name for name in ('torch', 'lightning', 'diffusers') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--copies COPIES" in run.stdout and run.stdout.endswith("loaded: []\n")
