from collections.abc import Callable
from typing import Any

import pytest
import torch
from conditions import told
from torch import Tensor

from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.reference_matching import NoReferenceMatching, PositionalMatching, as_they_are
from ornament_lit.models.reference_matching.head_norm import HeadNorm
from ornament_lit.models.reference_nets import UNetReferenceNet

Build = Callable[..., Any]


class Scene:
    """A denoiser with a reference, and what it is called with."""

    def __init__(self, build_unet: Build, matching: PositionalMatching | None, **options: Any) -> None:
        self.denoiser = Denoiser(build_unet(channels=4), reference_matching=matching, **options)
        torch.manual_seed(3)
        net = UNetReferenceNet("rows")
        net.attach(self.denoiser.unet)
        self.noisy, self.erased = torch.randn(2, 2, 4, 8, 8)
        self.mask, self.ornament_mask = torch.rand(2, 2, 1, 8, 8)
        self.box = torch.zeros(2, 1, 8, 8)
        self.box[:, :, 2:6, 1:6] = 1
        self.features = net(*told(self.erased, self.ornament_mask, self.noisy, self.mask))
        self.tokens = torch.randn(2, 3, 24)

    def arguments(self) -> tuple[Any, ...]:
        shared = (self.noisy, torch.tensor([3, 700]), self.erased, self.mask, self.tokens, self.features)
        return (*shared, self.ornament_mask)

    def __call__(self, **options: Any) -> Tensor:
        return self.denoiser(*self.arguments(), **{"box_mask": self.box, **options}).prediction


def train_a_little(matching: PositionalMatching) -> None:
    with torch.no_grad():
        for parameter in matching.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.3)


@pytest.mark.parametrize("qk_norm", [None, 0.0])
def test_at_the_start_nothing_changes(build_unet: Build, qk_norm: float | None) -> None:
    stock, ours = Scene(build_unet, None), Scene(build_unet, PositionalMatching(qk_norm=qk_norm))
    assert isinstance(stock.denoiser.reference_matching, NoReferenceMatching)
    assert torch.equal(ours(), stock())


def build_trained(build_unet: Build, **options: Any) -> Scene:
    scene = Scene(build_unet, PositionalMatching(3, qk_norm=0.3), **options)
    train_a_little(scene.denoiser.reference_matching)
    return scene


def test_trained_places_change_the_prediction_and_follow_the_box(build_unet: Build) -> None:
    scene = build_trained(build_unet)
    stock = Scene(build_unet, None)()
    assert not torch.allclose(scene(), stock, atol=1e-3)
    assert not torch.allclose(Scene(build_unet, PositionalMatching(qk_norm=1.0))(), stock, atol=1e-3)
    assert not torch.allclose(scene(), scene(box_mask=scene.box.flip(3)), atol=1e-4)


def test_a_layer_equals_the_formula_in_float64() -> None:
    matching = PositionalMatching(2, qk_norm=0.25).double()
    matching.attach({"a": (2, 3), "b": (2, 3)})
    matching.double()
    train_a_little(matching)
    query, key = torch.randn(2, 2, 4, 3).double(), torch.randn(2, 2, 12, 3).double()
    whole = torch.ones(2, 1, 2, 2)
    got_query, got_key = matching.bind(whole, whole)("b", query, key, 4)
    layer = matching.layers[1]
    centres = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]]).double()
    angles = torch.stack([centres * torch.pi / 4, centres * torch.pi / 2], -1).flatten(1)
    features = torch.cat([angles.sin(), angles.cos()], -1)
    added_query = query + (features @ layer.query_places.T).view(4, 2, 3).transpose(0, 1)
    places = (features @ layer.key_places.T).view(4, 2, 3).transpose(0, 1)
    added_key = torch.cat([key[:, :, :4], key[:, :, 4:8] + places, key[:, :, 8:]], 2)

    def towards(tokens: Tensor, temperature: Tensor | float) -> Tensor:
        normalised = temperature * tokens / (tokens.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        return (1 - layer.norm.share) * tokens + layer.norm.share * normalised

    torch.testing.assert_close(got_query, towards(added_query, layer.norm.log_temperature.exp()), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(got_key, towards(added_key, 1.0), rtol=1e-6, atol=1e-6)


def test_a_whole_norm_makes_scores_of_cosines() -> None:
    query, key = HeadNorm(1, 1.0)(5 * torch.randn(1, 1, 3, 16), 0.1 * torch.randn(1, 1, 4, 16))
    scores = query @ key.transpose(-1, -2) / 4
    cosines = torch.nn.functional.cosine_similarity(query[:, :, :, None], key[:, :, None], dim=-1)
    torch.testing.assert_close(scores, 4 * cosines, rtol=1e-3, atol=1e-3)


def test_projected_tokens_give_the_same(build_unet: Build) -> None:
    scene = build_trained(build_unet)
    expected = scene()
    scene.features = scene.denoiser.project(scene.features)
    torch.testing.assert_close(scene(), expected)


def test_both_halves_of_a_guided_step_are_those_of_training(build_unet: Build) -> None:
    scene = build_trained(build_unet)
    conditional, unconditional = scene.denoiser.guided(*scene.arguments(), box_mask=scene.box)
    torch.testing.assert_close(conditional, scene())
    scene.tokens = torch.zeros_like(scene.tokens)
    torch.testing.assert_close(unconditional, scene(keep_condition=torch.tensor([False, False])))


def test_gradients_are_equal_with_gradient_checkpointing(build_unet: Build) -> None:
    gradients = []
    for checkpointing in (False, True):
        scene = build_trained(build_unet, gradient_checkpointing=checkpointing)
        scene.denoiser.train()
        name = scene.denoiser.highest_resolution_layers()[-1]
        options = {"points": {name: torch.zeros(2, 3, 2)}, "mass_layers": [name], "box_mask": scene.box}
        output = scene.denoiser(*scene.arguments(), **options)
        assert output.point_attention[name].shape == (2, 3, 64) and output.places[name].shape == (2, 64, 2)
        loss = output.prediction.square().sum() - output.point_attention[name].sum() + output.places[name].sum()
        loss.backward()
        gradients.append({key: value.grad for key, value in scene.denoiser.named_parameters()})
    assert all(gradient.any() for key, gradient in gradients[0].items() if "reference_matching" in key)
    for key, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][key], gradient, msg=key)


def test_it_draws_no_random_numbers(build_unet: Build) -> None:
    """So that parts that are built after it start as without it."""
    after = []
    for matching in (None, PositionalMatching(qk_norm=0.5)):
        unet = build_unet(channels=4, in_channels=9)
        Denoiser(unet, reference_matching=matching, input_skip=matching is not None)
        after.append(torch.rand(1))
    assert torch.equal(*after)


def test_without_a_box_it_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="give box_mask"):
        PositionalMatching().bind(None, torch.ones(1, 1, 4, 4))
    assert NoReferenceMatching().bind(None, torch.ones(1, 1, 4, 4)) is as_they_are


@pytest.mark.parametrize("options", [{"num_frequencies": 0}, {"qk_norm": 1.5}, {"qk_norm": float("nan")}])
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        PositionalMatching(**options)
