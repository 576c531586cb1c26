import pytest
import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler
from diffusers.training_utils import compute_snr

from ornament_lit.diffusion.noise import (
    add_noise,
    denoised_share,
    denoising_loss,
    draw_noising,
    min_snr_weights,
    prediction_target,
)

KINDS = ["epsilon", "sample", "v_prediction"]


def test_a_sample_draws_the_same_in_any_batch() -> None:
    together = draw_noising(torch.tensor([3, 5, 8]), 1000, torch.zeros(3, 2, 4, 4))
    torch.manual_seed(99)
    alone = draw_noising(torch.tensor([5]), 1000, torch.zeros(1, 2, 4, 4))
    assert torch.equal(together[0][1:2], alone[0]) and torch.equal(together[1][1:2], alone[1])


def test_other_seeds_draw_other_noise_of_unit_variance() -> None:
    timesteps, noise, given = draw_noising(torch.arange(400), 10, torch.zeros(400, 1, 8, 8), 0.25)
    assert abs(noise.std() - 1) < 0.02 and abs(noise.mean()) < 0.02
    assert timesteps.unique().tolist() == list(range(10))
    assert not torch.equal(noise[0], noise[1])
    assert abs(given.float().mean() - 0.75) < 0.06
    assert draw_noising(torch.arange(9), 10, torch.zeros(9, 1, 2, 2)).keep_condition.all()


@pytest.mark.parametrize("prediction_type", KINDS)
def test_the_target_is_what_the_scheduler_predicts(prediction_type: str) -> None:
    noise_scheduler = DDPMScheduler(prediction_type=prediction_type)
    latents, noise = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    timesteps = torch.tensor([10, 900])
    alpha = noise_scheduler.alphas_cumprod[timesteps].view(2, 1, 1, 1)
    expected = {
        "epsilon": noise,
        "sample": latents,
        "v_prediction": alpha.sqrt() * noise - (1 - alpha).sqrt() * latents,
    }[prediction_type]
    torch.testing.assert_close(prediction_target(noise_scheduler, latents, noise, timesteps), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_noised_in_float32(dtype: torch.dtype) -> None:
    noise_scheduler, timesteps = DDPMScheduler(prediction_type="v_prediction"), torch.arange(1000)
    latents, noise = torch.randn(2, 1000, 1, 2, 2, generator=torch.Generator().manual_seed(0)).to(dtype)
    noisy = add_noise(noise_scheduler, latents, noise, timesteps)
    assert noisy.dtype == dtype
    doubles = (latents.double(), noise.double(), timesteps)
    half_a_digit = torch.finfo(dtype).eps / 2
    torch.testing.assert_close(noisy.double(), noise_scheduler.add_noise(*doubles), rtol=1.01 * half_a_digit, atol=1e-6)
    velocity = prediction_target(noise_scheduler, latents, noise, timesteps)
    torch.testing.assert_close(velocity.double(), noise_scheduler.get_velocity(*doubles), rtol=1e-5, atol=1e-6)


def test_the_share_of_the_denoising_goes_from_noise_to_none() -> None:
    assert denoised_share(DDPMScheduler(), torch.tensor([999, 500, 0])).tolist() == pytest.approx([0, 499 / 999, 1])
    assert denoised_share(FlowMatchEulerDiscreteScheduler(), torch.tensor([1000.0, 1.5])).tolist() == pytest.approx(
        [0, 1 - 1.5 / 999]
    )


def test_several_draws_begin_with_the_single_one() -> None:
    seeds, like = torch.tensor([3, 5]), torch.zeros(2, 1, 4, 4)
    single, triple = draw_noising(seeds, 1000, like, 0.5), draw_noising(seeds, 1000, like, 0.5, num_noise_samples=3)
    assert all(torch.equal(one, many[:2]) for one, many in zip(single, triple, strict=True))
    assert triple.noise.shape == (6, 1, 4, 4) and len({row.sum().item() for row in triple.noise}) == 6


def test_the_worn_part_counts_as_often_as_it_is_told() -> None:
    target, mask = torch.zeros(1, 2, 2, 2), torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    prediction = torch.tensor([[[[2.0, 1.0], [1.0, 1.0]]]]).expand(1, 2, 2, 2)
    assert denoising_loss(prediction, target, mask) == pytest.approx((4 + 3) / 4)
    assert denoising_loss(prediction, target, mask, 3.0) == pytest.approx((4 * 4 + 3) / (4 + 3))
    assert denoising_loss(prediction, target, torch.zeros_like(mask), 3.0) == pytest.approx((4 + 3) / 4)


def scheduler_of(prediction_type: str, *alphas: float) -> DDPMScheduler:
    """A scheduler whose timesteps have the signal shares that are told."""
    noise_scheduler = DDPMScheduler(num_train_timesteps=len(alphas), prediction_type=prediction_type)
    noise_scheduler.alphas_cumprod = torch.tensor(alphas)
    return noise_scheduler


@pytest.mark.parametrize(
    ("prediction_type", "expected"),
    [("epsilon", [5 / 9, 1.0, 1.0]), ("sample", [5.0, 3.0, 0.25]), ("v_prediction", [5 / 10, 3 / 4, 0.25 / 1.25])],
)
def test_min_snr_weights_by_hand(prediction_type: str, expected: list[float]) -> None:
    """Signal-to-noise ratios of 9, 3 and 1/4, at most 5."""
    weights = min_snr_weights(scheduler_of(prediction_type, 0.9, 0.75, 0.2), torch.arange(3), 5.0)
    torch.testing.assert_close(weights, torch.tensor(expected))


def test_min_snr_weights_have_the_ratios_of_diffusers_and_bear_pure_noise() -> None:
    timesteps = torch.tensor([0, 1, 400, 999])
    noise_scheduler = DDPMScheduler(prediction_type="sample")
    torch.testing.assert_close(
        min_snr_weights(noise_scheduler, timesteps, 1e9), compute_snr(noise_scheduler, timesteps), rtol=1e-3, atol=1e-6
    )
    for kind, expected in (("epsilon", 1.0), ("sample", 0.0), ("v_prediction", 0.0)):
        assert min_snr_weights(scheduler_of(kind, 0.0), torch.zeros(1).long(), 5.0) == expected


def test_min_snr_makes_all_predictions_count_the_same_error_of_the_latents_alike() -> None:
    """Predictions of noise, latents and velocity that stand for one and the same guess of the latents."""
    torch.manual_seed(0)
    latents, noise, error = torch.randn(3, 3, 4, 8, 8, dtype=torch.float64)
    timesteps, mask = torch.tensor([5, 300, 950]), torch.rand(3, 1, 8, 8)
    losses = []
    for kind in KINDS:
        noise_scheduler = DDPMScheduler(prediction_type=kind)
        noise_scheduler.alphas_cumprod = noise_scheduler.alphas_cumprod.double()
        alpha = noise_scheduler.alphas_cumprod[timesteps].view(3, 1, 1, 1)
        noisy = noise_scheduler.add_noise(latents, noise, timesteps)
        guess = latents + error
        implied = (noisy - alpha.sqrt() * guess) / (1 - alpha).sqrt()
        prediction = prediction_target(noise_scheduler, guess, implied, timesteps)
        target = prediction_target(noise_scheduler, latents, noise, timesteps)
        weights = min_snr_weights(noise_scheduler, timesteps, 5.0)
        losses.append(denoising_loss(prediction, target, mask, 3.0, weights))
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-4, atol=0)
    torch.testing.assert_close(losses[2], losses[0], rtol=1e-4, atol=0)


def test_the_weights_of_samples_multiply_and_those_of_positions_share_out() -> None:
    target, prediction = torch.zeros(2, 1, 1, 2), torch.tensor([[[[2.0, 1.0]]], [[[1.0, 3.0]]]])
    mask, weights = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 0.0]]]]), torch.tensor([0.5, 0.1])
    plain = denoising_loss(prediction, target, mask, 0.0, weights)
    assert plain == pytest.approx((0.5 * (4 + 1) + 0.1 * (1 + 9)) / 4)
    both = denoising_loss(prediction, target, mask, 3.0, weights)
    assert both == pytest.approx((0.5 * (4 * 4 + 1) + 0.1 * (1 + 9)) / (4 + 1 + 1 + 1))
    ones = denoising_loss(prediction, target, mask, 3.0, torch.ones(2))
    assert torch.equal(ones, denoising_loss(prediction, target, mask, 3.0))


def test_offset_noise_shifts_whole_channels_and_changes_nothing_else() -> None:
    seeds, like = torch.arange(500), torch.zeros(500, 4, 8, 8)
    plain, offset = draw_noising(seeds, 1000, like, 0.5), draw_noising(seeds, 1000, like, 0.5, offset_noise=0.3)
    assert torch.equal(plain.timesteps, offset.timesteps) and torch.equal(plain.keep_condition, offset.keep_condition)
    shift = offset.noise - plain.noise
    torch.testing.assert_close(shift, shift[:, :, :1, :1].expand_as(shift), rtol=0, atol=1e-6)
    assert shift[:, :, 0, 0].std() == pytest.approx(0.3, rel=0.05)
    assert abs(torch.corrcoef(shift[:, :, 0, 0].T) - torch.eye(4)).max() < 0.2


def test_offset_noise_comes_from_the_seed_of_the_sample() -> None:
    like = torch.zeros(3, 2, 4, 4)
    together = draw_noising(torch.tensor([3, 5, 8]), 1000, like, num_noise_samples=2, offset_noise=0.1)
    torch.manual_seed(99)
    alone = draw_noising(torch.tensor([5]), 1000, like[:1], num_noise_samples=2, offset_noise=0.1)
    assert torch.equal(together.noise[[1, 4]], alone.noise)
    assert torch.equal(draw_noising(torch.tensor([5]), 1000, like[:1], offset_noise=0.1).noise, alone.noise[:1])
