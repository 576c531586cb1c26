import hashlib
from pathlib import Path

import pytest
import torch

from ornament_lit.models.autoencoders import KLAutoencoder, SpaceToDepthAutoencoder
from ornament_lit.models.fingerprints import check_fingerprints, fingerprint
from ornament_lit.models.image_encoders import CLIPImageEncoder, NoImageEncoder


def test_the_same_encoder_loaded_twice_has_one_fingerprint(vae_folder: Path) -> None:
    first, second = (KLAutoencoder(str(vae_folder)) for _ in range(2))
    assert fingerprint(first) == fingerprint(second)
    assert len(fingerprint(first)) == 64


def test_a_known_fingerprint() -> None:
    known = b'["SpaceToDepthAutoencoder", {"block_size": 4, "downsample_factor": 4, "latent_channels": 48}]'
    assert fingerprint(SpaceToDepthAutoencoder(4)) == hashlib.sha256(known).hexdigest()


def test_one_changed_weight_changes_it(vae_folder: Path) -> None:
    autoencoder = KLAutoencoder(str(vae_folder))
    before = fingerprint(autoencoder)
    weight = autoencoder.vae.encoder.conv_in.weight
    weight.data[0, 0, 0, 0] = torch.nextafter(weight.data[0, 0, 0, 0], torch.tensor(1e9))
    assert fingerprint(autoencoder) != before


def test_numbers_beside_the_weights_change_it(vae_folder: Path) -> None:
    autoencoder = KLAutoencoder(str(vae_folder))
    before = fingerprint(autoencoder)
    autoencoder.scaling_factor *= 2
    assert fingerprint(autoencoder) != before
    autoencoder.scaling_factor /= 2
    autoencoder.path = "elsewhere"
    assert fingerprint(autoencoder) == before
    assert fingerprint(SpaceToDepthAutoencoder(2)) != fingerprint(SpaceToDepthAutoencoder(4))


def test_mode_and_trained_weights_do_not_change_it(clip_folder: Path) -> None:
    encoder = CLIPImageEncoder(str(clip_folder), token_dim=24)
    before = fingerprint(encoder)
    encoder.eval()
    torch.nn.init.zeros_(encoder.projection.weight)
    assert fingerprint(encoder) == before
    next(encoder.clip.parameters()).data += 1
    assert fingerprint(encoder) != before


def test_encoders_of_the_same_weights_pass(vae_folder: Path, clip_folder: Path) -> None:
    parts = {"autoencoder": KLAutoencoder(str(vae_folder)), "image_encoder": CLIPImageEncoder(str(clip_folder))}
    check_fingerprints({name: fingerprint(part) for name, part in parts.items()}, parts)
    check_fingerprints({}, parts)


def test_other_encoders_are_refused(vae_folder: Path, clip_folder: Path) -> None:
    parts = {"autoencoder": KLAutoencoder(str(vae_folder)), "image_encoder": CLIPImageEncoder(str(clip_folder))}
    for name in parts:
        with pytest.raises(ValueError, match=rf"not of this {name} .*data\.precomputed=never"):
            check_fingerprints({name: "0" * 64}, parts)


def test_features_do_not_matter_to_an_encoder_without_tokens() -> None:
    check_fingerprints({"image_encoder": "0" * 64}, {"image_encoder": NoImageEncoder()})


def test_an_autoencoder_that_trains_is_refused(vae_folder: Path) -> None:
    autoencoder = KLAutoencoder(str(vae_folder))
    digest = fingerprint(autoencoder)
    autoencoder.vae.encoder.requires_grad_(True)
    with pytest.raises(ValueError, match=r"frozen autoencoder, but vae\.encoder\.conv_in\.weight"):
        check_fingerprints({"autoencoder": digest}, {"autoencoder": autoencoder})
