from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL

from ornament_lit.models.autoencoders import KLAutoencoder, SpaceToDepthAutoencoder


def test_space_to_depth_is_exact_and_keeps_blocks_together() -> None:
    images = torch.rand(2, 3, 8, 8) * 2 - 1
    autoencoder = SpaceToDepthAutoencoder(4)
    latents = autoencoder.encode(images)
    assert latents.shape == (2, autoencoder.latent_channels, 2, 2)
    assert torch.equal(autoencoder.decode(latents), images)
    assert torch.equal(latents[:, :, 0, 1].sort().values, images[:, :, :4, 4:].flatten(1).sort().values)


def test_space_to_depth_refuses_an_empty_block() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        SpaceToDepthAutoencoder(0)


def test_kl_autoencoder_scales_the_mode_and_is_frozen(vae_folder: Path) -> None:
    autoencoder = KLAutoencoder(str(vae_folder)).train()
    assert not autoencoder.vae.training
    assert not any(parameter.requires_grad for parameter in autoencoder.parameters())
    images = torch.rand(1, 3, 16, 16) * 2 - 1
    latents = autoencoder.encode(images)
    assert latents.shape == (1, 4, 16 // autoencoder.downsample_factor, 8)
    stock = AutoencoderKL.from_pretrained(vae_folder / "vae").eval()
    with torch.no_grad():
        torch.testing.assert_close(latents, stock.encode(images).latent_dist.mean * 0.5)
        torch.testing.assert_close(autoencoder.decode(latents), stock.decode(latents / 0.5).sample)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no pretrained model at .*config.json does not exist"):
        KLAutoencoder(str(tmp_path / "absent"))
