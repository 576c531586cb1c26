import pytest
import torch

from ornament_lit.batch import Correspondence
from ornament_lit.losses.attention.matched import (
    NOTHING_MATCHED,
    ground_truth_at,
    ground_truth_of_tokens,
    matched_of,
    mean_over_samples,
    weights_of,
)
from ornament_lit.losses.diffusion import NoisyLatents
from ornament_lit.models.denoiser import DenoiserOutput
from ornament_lit.models.token_places import token_centres


@pytest.fixture
def truth() -> Correspondence:
    """Two by two pixels: seen, hidden, half known, unknown."""
    uv = torch.tensor([[[0.1, 0.5], [0.3, 0.0]], [[-0.1, 0.7], [0.9, 0.0]]])[None]
    known, seen = torch.tensor([[1.0, 1.0], [0.5, 0.0]]), torch.tensor([[1.0, 0.0], [0.25, 0.0]])
    return Correspondence(uv=uv, known=known[None, None], seen=seen[None, None])


def test_what_is_hidden_counts_a_fifth() -> None:
    got = weights_of(torch.tensor([1.0, 1.0, 0.5, 0.0]), torch.tensor([1.0, 0.0, 0.25, 0.0]))
    torch.testing.assert_close(got, torch.tensor([1.0, 0.2, 0.3, 0.0]))


def test_tokens_take_the_mean_of_what_is_known(truth: Correspondence) -> None:
    uv, weights = ground_truth_of_tokens(truth, (1, 1))
    expected = [(0.1 + 0.5 + 0.5 * 0.3) / 2.5, (-0.1 + 0.7 + 0.5 * 0.9) / 2.5]
    torch.testing.assert_close(uv[0, 0], torch.tensor(expected))
    torch.testing.assert_close(weights, torch.tensor([[(1 + 0.2 + 0.3) / 4]]))
    uv, weights = ground_truth_of_tokens(truth, (2, 2))
    torch.testing.assert_close(uv[0], truth["uv"][0].flatten(1).T)
    torch.testing.assert_close(weights, torch.tensor([[1.0, 0.2, 0.3, 0.0]]))


def test_points_take_the_pixel_that_they_lie_in(truth: Correspondence) -> None:
    uv, weights = ground_truth_at(truth, token_centres(2, 2)[None] + 0.2)
    torch.testing.assert_close(uv[0], truth["uv"][0].flatten(1).T)
    torch.testing.assert_close(weights, torch.tensor([[1.0, 0.2, 0.6, 0.0]]))


def test_samples_without_weight_add_nothing() -> None:
    errors, weights = torch.tensor([[1.0, 3.0], [5.0, 5.0]]), torch.tensor([[1.0, 3.0], [0.0, 0.0]])
    assert mean_over_samples(errors, weights) == (1 + 9) / 4 / 2


def test_a_sample_that_was_not_given_the_ornament_has_no_correspondence(truth: Correspondence, tiny_batch) -> None:
    batch, output, latents = tiny_batch(1), DenoiserOutput(torch.zeros(2), {}), torch.zeros(2, 1, 1, 1)
    kept = torch.tensor([True, False])
    noisy = NoisyLatents(latents, torch.zeros(2), latents, kept, weights=None, denoised=torch.zeros(1))
    assert matched_of(batch, {}, output, noisy) is NOTHING_MATCHED
    batch["correspondence"] = truth
    matched = matched_of(batch, {}, output, noisy)
    assert matched.ground_truth is not None
    assert torch.equal(matched.ground_truth["known"][:1], truth["known"]) and not matched.ground_truth["known"][1].any()
    assert torch.equal(matched.ground_truth["seen"][:1], truth["seen"]) and not matched.ground_truth["seen"][1].any()
    assert torch.equal(matched.ground_truth["uv"], torch.cat([truth["uv"]] * 2))
