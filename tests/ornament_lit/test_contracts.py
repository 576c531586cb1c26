"""What every part of a family must do, whoever wrote it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conditions import told
from torch import Tensor, nn

from ornament_lit.checkpointing.serialization import (
    build,
    describe,
    describe_pretrained,
    own_weights,
    pretrained_child,
)
from ornament_lit.losses import WarpLoss
from ornament_lit.losses.attention import (
    AttentionLoss,
    CombinedAttentionLoss,
    CorrespondenceAttentionLoss,
    ExpectedPositionLoss,
    MaskGuidedAttentionLoss,
)
from ornament_lit.losses.attention.matched import matched_of
from ornament_lit.losses.diffusion import NoisyLatents
from ornament_lit.models.autoencoders import Autoencoder
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import ImageEncoder
from ornament_lit.models.mask_heads import MaskHead
from ornament_lit.models.prompts import Prompts
from ornament_lit.models.reference_features import ReferenceFeatures
from ornament_lit.models.reference_nets import ReferenceNet, UNetReferenceNet
from ornament_lit.models.warps import Warp
from ornament_lit.models.warps.base import warp_ground_truth, warp_inputs


def members(family: type) -> list[type]:
    """Every concrete class of a family in this package."""
    found = [cls for child in family.__subclasses__() for cls in [child, *members(child)]]
    return [cls for cls in found if cls.__module__.startswith("ornament_lit") and not cls.__abstractmethods__]


@pytest.fixture
def construct(request: pytest.FixtureRequest) -> Callable[[type], nn.Module]:
    """Construct a part with its defaults; those that load weights from tiny folders."""

    def build(cls: type) -> nn.Module:
        folders = {
            "KLAutoencoder": "vae_folder",
            "CLIPImageEncoder": "clip_folder",
            "ClassTokenImageEncoder": "clip_folder",
            "ResamplerImageEncoder": "clip_folder",
            "EmbeddingImageEncoder": "clip_embedding_folder",
            "DINOv2ImageEncoder": "dinov2_folder",
        }
        torch.manual_seed(0)
        if cls is CombinedAttentionLoss:
            return cls([MaskGuidedAttentionLoss(), CorrespondenceAttentionLoss(), ExpectedPositionLoss()])
        if cls.__name__ not in folders:
            return cls()
        folder: Path = request.getfixturevalue(folders[cls.__name__])
        return cls(path=str(folder))

    return build


def trained_without_gradient(part: nn.Module) -> list[str]:
    return [name for name, value in part.named_parameters() if value.requires_grad and value.grad is None]


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("cls", members(Autoencoder))
def test_autoencoders(cls: type[Autoencoder], batch_size: int, construct: Callable[[type], Any]) -> None:
    autoencoder = construct(cls)
    images = torch.rand(batch_size, 3, 16, 16) * 2 - 1
    latents = autoencoder.encode(images)
    side = 16 // autoencoder.downsample_factor
    assert latents.shape == (batch_size, autoencoder.latent_channels, side, side)
    assert torch.equal(autoencoder.encode(images), latents), "encoding must not be random"
    assert autoencoder.decode(latents).shape == images.shape


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("cls", members(ImageEncoder))
def test_image_encoders(cls: type[ImageEncoder], batch_size: int, construct: Callable[[type], Any]) -> None:
    encoder = construct(cls)
    images, masks = torch.rand(batch_size, 3, 40, 40) * 2 - 1, torch.rand(batch_size, 1, 40, 40)
    tokens = encoder(images, masks)
    assert tokens.shape == encoder(images).shape == (batch_size, encoder.num_tokens, encoder.token_dim)
    null = encoder.null_tokens(tokens)
    assert null.shape == tokens.shape and null.dtype == tokens.dtype and null.isfinite().all()
    features = encoder.extract(torch.rand(batch_size, 3, 40, 40) * 2 - 1)
    assert len(features) == batch_size and not features.requires_grad, "nothing that is extracted may be trained"
    if tokens.requires_grad:
        (tokens.square().sum() + null.square().sum()).backward()
    assert trained_without_gradient(encoder) == []
    assert describe_pretrained(encoder, "x") if pretrained_child(encoder) else describe(encoder)


@pytest.mark.parametrize("cls", members(ImageEncoder))
def test_image_encoders_come_back_from_a_folder(
    cls: type[ImageEncoder], construct: Callable[[type], Any], tmp_path: Path
) -> None:
    """With the frozen model saved by itself and the other weights beside it, as an exported pipeline keeps them."""
    encoder, child = construct(cls), pretrained_child(construct(cls))
    folder = tmp_path / "exported"
    if child:
        getattr(encoder, child).save_pretrained(folder / "image_encoder")
    description = describe_pretrained(encoder, "image_encoder") if child else describe(encoder)
    found: ImageEncoder = build({"encoder": description}, {"encoder": ImageEncoder}, folder)["encoder"]
    assert not found.load_state_dict(dict(own_weights(encoder)), strict=False).unexpected_keys
    images, masks = torch.rand(2, 3, 40, 40) * 2 - 1, torch.rand(2, 1, 40, 40)
    tokens = encoder(images, masks)
    assert torch.equal(found(images, masks), tokens)
    assert torch.equal(found.null_tokens(tokens), encoder.null_tokens(tokens))


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("cls", members(ReferenceNet))
def test_reference_nets(cls: type[ReferenceNet], batch_size: int, construct: Callable[[type], Any], build_unet) -> None:
    net, denoiser = construct(cls), Denoiser(build_unet(channels=4))
    net.attach(denoiser.unet)
    latents, mask = torch.randn(batch_size, 4, 8, 8), torch.rand(batch_size, 1, 8, 8)
    image, pixels, tokens = (
        torch.rand(batch_size, 3, 64, 64),
        torch.ones(batch_size, 1, 64, 64),
        torch.randn(3, batch_size, 2, 24),
    )
    images = {"ornament_image": image, "ornament_pixels": pixels, "input_pixels": pixels, "masked_person_image": image}
    features: ReferenceFeatures = net(
        *told(latents, mask, -latents, mask, **images, image_tokens=tokens[0], prompt=Prompts(*tokens))
    )
    assert set(features.tokens) <= set(denoiser.self_attention_layers())
    for image_map in (features.ornament_map, features.person_map):
        assert image_map.shape[:2] == (batch_size, net.feature_channels)
    output = denoiser(
        latents, torch.zeros(batch_size).long(), latents, mask, torch.zeros(batch_size, 1, 24), features, mask
    )
    assert output.prediction.shape == latents.shape
    (output.prediction.square().sum() + features.person_map.square().sum()).backward()
    assert trained_without_gradient(net) == []


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("cls", members(MaskHead))
def test_mask_heads(cls: type[MaskHead], batch_size: int, construct: Callable[[type], Any]) -> None:
    head = construct(cls)
    head.attach(6)
    box = torch.zeros(batch_size, 1, 8, 8)
    box[..., 2:6, 2:6] = 1
    features = ReferenceFeatures(torch.randn(batch_size, 6, 8, 8), torch.randn(batch_size, 6, 8, 8))
    refinement = head(lambda mask: features, box, 0)
    assert len(refinement.predictions) == head.num_iterations
    masks: list[Tensor] = [refinement.mask, *refinement.predictions]
    assert all(0 <= mask.min() and mask.max() <= 1 for mask in masks)
    assert refinement.mask.shape == box.shape and not refinement.mask.requires_grad
    loss = head.loss(refinement, torch.rand(batch_size, 1, 32, 32))
    assert loss.shape == () and loss.isfinite()
    if loss.requires_grad:
        loss.backward()
    assert trained_without_gradient(head) == []


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("cls", members(AttentionLoss))
def test_attention_losses(
    cls: type[AttentionLoss], batch_size: int, construct: Callable[[type], Any], build_unet
) -> None:
    attention_loss, denoiser = construct(cls), Denoiser(build_unet(channels=4))
    layers = attention_loss.layers(denoiser)
    assert set(layers) <= set(denoiser.self_attention_layers())
    mass = {name: torch.rand(batch_size, 64, 1, requires_grad=True) for name in layers}
    loss, attention_mask = attention_loss(mass, torch.rand(batch_size, 1, 32, 32))
    assert loss.shape == () and loss >= 0
    assert attention_mask.shape == (batch_size, 1, 32, 32)
    assert 0 <= attention_mask.min() and attention_mask.max() <= 1
    if mass:
        loss.backward()
    assert all(value.grad is not None for value in mass.values())


@pytest.mark.parametrize("cls", members(AttentionLoss))
def test_attention_losses_with_a_correspondence(
    cls: type[AttentionLoss], construct: Callable[[type], Any], build_unet, tiny_batch
) -> None:
    """What a loss asks of a denoiser serves it, and has gradients in the denoiser."""
    attention_loss, denoiser, net = construct(cls), Denoiser(build_unet(channels=4)), UNetReferenceNet()
    net.attach(denoiser.unet)
    layers, batch = attention_loss.layers(denoiser), tiny_batch(2)
    known = batch["wearing_mask"]
    batch["correspondence"] = {"uv": torch.rand(2, 2, 32, 32) - 0.5, "known": known, "seen": known / 2}
    points = attention_loss.points(denoiser, batch)
    assert set(points) <= set(denoiser.self_attention_layers())
    assert all(each.shape[::2] == (2, 2) and each.abs().max() <= 1 for each in points.values())
    assert all(torch.equal(points[name], each) for name, each in attention_loss.points(denoiser, batch).items())
    latents, mask = torch.randn(2, 4, 8, 8), torch.rand(2, 1, 8, 8)
    features = net(*told(latents, mask, -latents, mask))
    shared = (latents, torch.zeros(2).long(), latents, mask, torch.zeros(2, 1, 24), features, mask, layers)
    output = denoiser(*shared, points=points)
    noisy = NoisyLatents(latents, torch.zeros(2), latents, keep_condition=None, weights=None, denoised=torch.zeros(2))
    matched = matched_of(batch, points, output, noisy)
    loss, attention_mask = attention_loss(output.mass, known, matched)
    assert loss.shape == () and loss >= 0 and attention_mask.shape == known.shape
    if layers or points:
        loss.backward()
        assert denoiser.unet.conv_in.weight.grad.any()


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("cls", members(Warp))
def test_warps(cls: type[Warp], batch_size: int, construct: Callable[[type], Any], worn_batch) -> None:
    warp, batch = construct(cls), worn_batch(batch_size)
    output = warp(warp_inputs(batch))
    like, masked = batch["box_mask"], warp_inputs(batch).masked_person
    for name, channels in {
        "uv": 2,
        "visibility": 1,
        "coverage": 1,
        "gain": 3,
        "skin": 3,
        "warped": 3,
    }.items():
        assert getattr(output, name).shape == (batch_size, channels, *like.shape[-2:]), name
    assert output.composite.shape == masked.shape and output.confidence.shape == (batch_size,)
    for share in (output.coverage, output.visibility):
        assert 0 <= share.min() and share.max() <= 1
    assert torch.equal(output.composite * (1 - like), masked * (1 - like)), "nothing changes outside of the box"
    assert not (output.coverage * (1 - like)).any()
    assert output.coverage.any() == bool(warp.num_predictions)
    loss, _ = WarpLoss()(warp.training_pass(warp_inputs(batch), warp_ground_truth(batch)))
    assert loss.shape == () and loss.isfinite()
    if loss.requires_grad:
        loss.backward()
    assert trained_without_gradient(warp) == []
    assert describe(warp)["class_path"].endswith(cls.__name__), "it must keep its arguments"
    assert warp.kept_when_frozen or not warp.state_dict()
