import pytest
import torch
from diffusers import DDPMScheduler

from ornament_lit.noising import denoising_loss, draw_noising, prediction_target


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
    assert draw_noising(torch.arange(9), 10, torch.zeros(9, 1, 2, 2)).given.all()


@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
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


def test_several_draws_begin_with_the_single_one() -> None:
    seeds, like = torch.tensor([3, 5]), torch.zeros(2, 1, 4, 4)
    single, triple = draw_noising(seeds, 1000, like, 0.5), draw_noising(seeds, 1000, like, 0.5, draws=3)
    assert all(torch.equal(one, many[:2]) for one, many in zip(single, triple, strict=True))
    assert triple.noise.shape == (6, 1, 4, 4) and len({row.sum().item() for row in triple.noise}) == 6


def test_the_worn_part_counts_as_often_as_it_is_told() -> None:
    target, mask = torch.zeros(1, 2, 2, 2), torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    prediction = torch.tensor([[[[2.0, 1.0], [1.0, 1.0]]]]).expand(1, 2, 2, 2)
    assert denoising_loss(prediction, target, mask) == pytest.approx((4 + 3) / 4)
    assert denoising_loss(prediction, target, mask, 3.0) == pytest.approx((4 * 4 + 3) / (4 + 3))
    assert denoising_loss(prediction, target, torch.zeros_like(mask), 3.0) == pytest.approx((4 + 3) / 4)
