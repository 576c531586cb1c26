import math
import warnings

import pytest
import torch
from torch import Tensor

from ornament_lit.batch import Correspondence
from ornament_lit.losses.attention import CorrespondenceAttentionLoss, Matched
from ornament_lit.losses.attention.correspondence import draw_points, log_gaussian
from ornament_lit.models.attention import attention_at
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.token_places import token_centres


def at(layer: str, point_attention: Tensor, uv: Tensor, seen: float = 1.0) -> Matched:
    """Points in the middle of the four pixels of an image, all of which are known."""
    known = torch.ones(len(uv), 1, 2, 2)
    truth = Correspondence(uv=uv.transpose(1, 2).unflatten(2, (2, 2)), known=known, seen=seen * known)
    points = token_centres(2, 2).expand(len(uv), 4, 2)
    return Matched(truth, {layer: points}, {}, {layer: point_attention})


def loss_for(layer: str = "layer", **options: float) -> CorrespondenceAttentionLoss:
    loss = CorrespondenceAttentionLoss(layer, **options)
    assert loss.chosen == layer
    return loss


def test_perfect_attention_costs_nothing() -> None:
    uv = torch.rand(2, 4, 2) - 0.5
    loss, attention_mask = loss_for()({}, torch.ones(2, 1, 2, 2), at("layer", log_gaussian(uv, (3, 3), 0.7), uv))
    assert abs(loss) < 1e-6 and not attention_mask.any()


def test_uniform_attention_by_hand() -> None:
    """A Gaussian so narrow that the target is one of nine tokens: the cross-entropy is log 9, hidden or seen."""
    uv, uniform = token_centres(3, 3)[None, [0, 4, 8, 2]], torch.full((1, 4, 9), -math.log(9))
    for seen in (1.0, 0.0):
        loss, _ = loss_for(width=0.05)({}, torch.ones(1, 1, 2, 2), at("layer", uniform, uv, seen))
        assert loss == pytest.approx(math.log(9), rel=1e-5)


def test_hidden_points_count_a_fifth() -> None:
    uv, uniform = token_centres(3, 3)[None, [0, 4, 8, 2]], torch.full((1, 4, 9), -math.log(9))
    matched = at("layer", uniform.clone(), uv)
    perfect = log_gaussian(uv, (3, 3), 0.05)
    matched.point_attention["layer"][:, 1:] = perfect[:, 1:]
    assert matched.ground_truth is not None
    matched.ground_truth["seen"][0, 0, 0, 0] = 0
    loss, _ = loss_for(width=0.05)({}, torch.ones(1, 1, 2, 2), matched)
    assert loss == pytest.approx(0.2 * math.log(9) / 3.2, rel=1e-5)


def test_attention_at_points_equals_the_map_in_float64_gradients_included() -> None:
    """Divergence from logits, heads averaged, against the attention map written out."""
    query, key = torch.randn(2, 3, 4, 5).double(), torch.randn(2, 3, 9, 5).double()
    uv, tokens = (torch.rand(2, 4, 2) - 0.5).double(), torch.arange(4).expand(2, 4)
    target = log_gaussian(uv, (3, 3), 0.7)
    results = []
    for explicit in (False, True):
        leaves = [query.clone().requires_grad_(), key.clone().requires_grad_()]
        if explicit:
            attention = (leaves[0] @ leaves[1].transpose(-1, -2) / 5**0.5).softmax(-1).mean(1)
            loss = (target.exp() * (target - attention.log())).sum(-1).mean()
        else:
            matched = at("layer", attention_at(*leaves, tokens), uv)
            loss, _ = loss_for()({}, torch.ones(2, 1, 2, 2), matched)
        loss.backward()
        results.append([loss, *(leaf.grad for leaf in leaves)])
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-7)


def test_the_target_is_a_gaussian_around_the_place() -> None:
    target = log_gaussian(torch.tensor([[[0.0, 1 / 3]]]), (3, 3), 0.5).exp()[0, 0].view(3, 3)
    assert target.sum() == pytest.approx(1) and target[1, 1] == pytest.approx(float(target[2, 1]))
    assert target[1, 0] / target[1, 1] == pytest.approx(math.exp(-1 / (2 * 0.25)))


def test_points_are_drawn_from_what_is_known_by_the_seed_of_the_sample() -> None:
    known = torch.zeros(3, 1, 4, 4)
    known[0, 0, 1, 2], known[1, 0, 0, 0], known[1, 0, 3, 3] = 0.3, 0.25, 0.75
    points = draw_points(known, torch.tensor([5, 6, 7]), 2000)
    assert (points[0] == torch.tensor([0.25, -0.25])).all() and points.abs().max() < 1
    assert (points[1, :, 0] > 0).float().mean() == pytest.approx(0.75, abs=0.04)
    assert torch.equal(draw_points(known[1:2], torch.tensor([6]), 2000), points[1:2])
    assert not torch.equal(draw_points(known[1:2], torch.tensor([8]), 2000), points[1:2])


def test_one_layer_of_the_decoder_is_asked(build_unet, tiny_batch) -> None:
    denoiser, batch = Denoiser(build_unet()), tiny_batch()
    loss = CorrespondenceAttentionLoss(num_points=5)
    assert loss.layers(denoiser) == [] and loss.points(denoiser, batch) == {}
    known = batch["wearing_mask"]
    batch["correspondence"] = Correspondence(uv=torch.zeros(2, 2, 32, 32), known=known, seen=known)
    points = loss.points(denoiser, batch)
    assert {name: tuple(each.shape) for name, each in points.items()} == {
        "up_blocks.1.attentions.0.transformer_blocks.0.attn1": (2, 5, 2)
    }
    with pytest.raises(ValueError, match=r"layer must be .* got attn; take one of"):
        CorrespondenceAttentionLoss("attn").layers(denoiser)


def test_a_layer_without_reference_is_said() -> None:
    matched = at("layer", torch.zeros(1, 4, 9), torch.zeros(1, 4, 2))
    with pytest.raises(ValueError, match="gives tokens to layer"):
        loss_for()({}, torch.ones(1, 1, 2, 2), Matched(matched.ground_truth, matched.points))


def test_a_training_without_correspondence_is_told_once(build_unet, tiny_batch) -> None:
    denoiser, batch, loss = Denoiser(build_unet()), tiny_batch(), CorrespondenceAttentionLoss()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss.eval().points(denoiser, batch)
    with pytest.warns(UserWarning, match=r"CorrespondenceAttentionLoss learns only .* the training batches have none"):
        loss.train().points(denoiser, batch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss.points(denoiser, batch)
    known = batch["wearing_mask"] * torch.tensor([1.0, 0.0]).view(2, 1, 1, 1)
    batch["correspondence"] = Correspondence(uv=torch.zeros(2, 2, 32, 32), known=known, seen=known)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CorrespondenceAttentionLoss().points(denoiser, batch)


@pytest.mark.parametrize("options", [{"num_points": 0}, {"width": 0.0}])
def test_options_out_of_range(options) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        CorrespondenceAttentionLoss(**options)
