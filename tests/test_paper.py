"""The paper's configuration up to its first optimizer step, on small random weights in the real formats."""

from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel

from benchmarks.same_numbers import write_small_weights
from ornament_lit.cli.trainer import build, main


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders shaped as Stable Diffusion 1.5 and CLIP ViT-L/14, a few channels wide."""
    folder = tmp_path_factory.mktemp("weights")
    write_small_weights(folder)
    return folder


def words(weights: Path, run: Path) -> list[str]:
    return [
        "--config=configs/ornament.yaml",
        f"--model.autoencoder.path={weights / 'sd'}",
        f"--model.denoiser.unet.path={weights / 'sd'}",
        f"--model.image_encoder.path={weights / 'clip'}",
        "--data.resolution=64",
        "--data.batch_size=2",
        "--data.num_workers=0",
        "--trainer.accelerator=cpu",
        "--trainer.devices=1",
        f"--trainer.default_root_dir={run}",
        f"--trainer.logger.save_dir={run}",
    ]


def test_pretrained_parts_are_assembled_as_the_paper_says(weights: Path, tmp_path: Path) -> None:
    module = build(words(weights, tmp_path)).model
    stock = UNet2DConditionModel.from_pretrained(weights / "sd" / "unet")
    denoiser, reference = module.model.denoiser.unet, module.model.reference_net.unet
    for unet, channels in ((denoiser, 9), (reference, 5)):
        assert unet.conv_in.in_channels == channels
        assert torch.equal(unet.conv_in.weight[:, :4], stock.conv_in.weight)
        assert not unet.conv_in.weight[:, 4:].any()
    name = "down_blocks.1.resnets.0.conv1.weight"
    for unet in (denoiser, reference):
        assert torch.equal(unet.get_parameter(name), stock.get_parameter(name))
    assert len(module.attention_loss.layers(module.model.denoiser)) == 5
    frozen = {key.split(".")[1] for key, value in module.named_parameters() if not value.requires_grad}
    assert frozen == {"autoencoder", "image_encoder"}


@pytest.mark.slow
def test_the_paper_takes_its_first_step(weights: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = [*words(weights, run), "--trainer.max_steps=1", "--trainer.limit_val_batches=1"]
    assert main(["fit", *arguments]) == 0
    checkpoint = torch.load(next(run.rglob("*.ckpt")), weights_only=True)
    assert checkpoint["global_step"] == 1
    assert not any(".vae." in name or ".clip." in name for name in checkpoint["state_dict"])
    stock = UNet2DConditionModel.from_pretrained(weights / "sd" / "unet")
    moved = checkpoint["callbacks"]
    assert any(name.startswith("TrainableEMA") for name in moved)
    trained = checkpoint["state_dict"]["model.denoiser.unet.conv_in.weight"]
    assert trained.shape[1] == 9 and not torch.equal(trained[:, :4], stock.conv_in.weight)
