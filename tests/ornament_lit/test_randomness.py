import torch

from ornament_lit.randomness import draw_timesteps_and_noise


def test_a_sample_draws_the_same_in_any_batch() -> None:
    together = draw_timesteps_and_noise(torch.tensor([3, 5, 8]), 1000, torch.zeros(3, 2, 4, 4))
    torch.manual_seed(99)
    alone = draw_timesteps_and_noise(torch.tensor([5]), 1000, torch.zeros(1, 2, 4, 4))
    assert torch.equal(together[0][1:2], alone[0]) and torch.equal(together[1][1:2], alone[1])


def test_other_seeds_draw_other_noise_of_unit_variance() -> None:
    timesteps, noise = draw_timesteps_and_noise(torch.arange(400), 10, torch.zeros(400, 1, 8, 8))
    assert abs(noise.std() - 1) < 0.02 and abs(noise.mean()) < 0.02
    assert timesteps.unique().tolist() == list(range(10))
    assert not torch.equal(noise[0], noise[1])
