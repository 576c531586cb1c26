import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ornament_lit.batch import Correspondence
from ornament_lit.losses.attention import ExpectedPositionLoss, Matched
from ornament_lit.losses.attention.matched import ground_truth_of_tokens, weights_of
from ornament_lit.models.attention import AttentionContext
from ornament_lit.models.attention_layers import install_processors
from ornament_lit.models.reference_features import LayerTokens
from ornament_lit.models.token_places import token_centres

NAME = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"


def draw_truth(size: int = 4) -> Correspondence:
    known = torch.rand(2, 1, size, size).round()
    return Correspondence(uv=torch.rand(2, 2, size, size) - 0.5, known=known, seen=known * torch.rand(known.shape))


def test_perfect_attention_costs_nothing_and_nothing_is_asked_elsewhere() -> None:
    truth, mass = draw_truth(), torch.rand(2, 16, 1) + 0.1
    places = mass * torch.where(truth["known"] > 0, truth["uv"], 9.0).flatten(2).transpose(1, 2)
    loss, attention_mask = ExpectedPositionLoss()(
        {NAME: mass}, torch.ones(2, 1, 4, 4), Matched(truth, {}, {NAME: places})
    )
    assert abs(loss) < 1e-6
    torch.testing.assert_close(attention_mask.flatten(2).transpose(1, 2), mass)


def test_errors_by_hand() -> None:
    """One token off by 0.3 and 0.02, of which half is hidden; one that is right; two unknown."""
    known = torch.tensor([[1.0, 1.0], [0.0, 0.0]])[None, None]
    seen = torch.tensor([[0.5, 1.0], [0.0, 0.0]])[None, None]
    truth = Correspondence(uv=torch.zeros(1, 2, 2, 2), known=known, seen=seen)
    mass, places = torch.full((1, 4, 1), 0.5), torch.zeros(1, 4, 2)
    places[0, 0] = 0.5 * torch.tensor([0.3, -0.02])
    places[0, 3] = 1.0
    loss, _ = ExpectedPositionLoss(beta=0.1)({"a": mass}, torch.ones(1, 1, 2, 2), Matched(truth, {}, {"a": places}))
    error = (0.3 - 0.05) + 0.02**2 / 0.2
    assert loss == pytest.approx(0.6 * error / 1.6, rel=1e-5)


def test_it_equals_the_explicit_map_in_float64_gradients_included(build_unet) -> None:
    unet = build_unet().double()
    install_processors(unet)
    layer = unet.get_submodule(NAME)
    ornament, person = torch.randn(2, 2, 16, 16).double()
    hidden, mask, truth = torch.randn(2, 16, 16).double(), torch.rand(2, 1, 4, 4).double(), draw_truth()

    def ours(tokens: Tensor) -> Tensor:
        context = AttentionContext({NAME: LayerTokens(ornament, person)}, mask, frozenset([NAME]))
        layer(tokens, context=context)
        matched = Matched(truth, {}, context.places)
        return ExpectedPositionLoss()(context.mass, torch.ones(2, 1, 4, 4), matched)[0]

    def by_the_map(tokens: Tensor) -> Tensor:
        keys = torch.cat([tokens, ornament, person], 1)
        query, key = (p.unflatten(-1, (2, 8)).transpose(1, 2) for p in (layer.to_q(tokens), layer.to_k(keys)))
        attention = (query @ key.transpose(-1, -2) / 8**0.5).softmax(-1).mean(1)[:, :, 16:32] * mask.flatten(2)
        expected = attention @ token_centres(4, 4).double() / attention.sum(-1, keepdim=True)
        uv, weights = ground_truth_of_tokens(truth, (4, 4))
        assert torch.equal(weights, weights_of(truth["known"], truth["seen"]).flatten(1))
        errors = F.smooth_l1_loss(expected, uv.double(), beta=0.05, reduction="none").sum(-1)
        return ((weights * errors).sum(1) / weights.sum(1)).mean()

    results = []
    for function in (ours, by_the_map):
        leaf = hidden.clone().requires_grad_()
        loss = function(leaf)
        loss.backward()
        results.append((loss.detach().double(), leaf.grad))
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-7)
    assert results[0][1].any()


def test_samples_without_correspondence_add_nothing() -> None:
    mass, places = torch.rand(2, 16, 1, requires_grad=True), torch.rand(2, 16, 2, requires_grad=True)
    truth = draw_truth()
    empty = Correspondence(uv=truth["uv"], known=0 * truth["known"], seen=0 * truth["seen"])
    loss, _ = ExpectedPositionLoss()({"a": mass}, torch.ones(2, 1, 4, 4), Matched(empty, {}, {"a": places}))
    loss.backward()
    assert loss == 0 and not mass.grad.any() and not places.grad.any()


def test_a_query_without_mass_has_finite_gradients() -> None:
    mass, places = torch.zeros(2, 16, 1, requires_grad=True), torch.zeros(2, 16, 2, requires_grad=True)
    loss, _ = ExpectedPositionLoss()({"a": mass}, torch.ones(2, 1, 4, 4), Matched(draw_truth(), {}, {"a": places}))
    loss.backward()
    assert mass.grad.isfinite().all() and places.grad.isfinite().all()


def test_no_mass_is_an_error_with_a_way_out() -> None:
    with pytest.raises(ValueError, match="use ZeroAttentionLoss otherwise"):
        ExpectedPositionLoss()({}, torch.ones(1, 1, 8, 8))
    with pytest.raises(ValueError, match="beta must not be negative, got -1"):
        ExpectedPositionLoss(-1)
