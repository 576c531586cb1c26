import pytest
import torch

from ornament_lit.diffusion.timesteps import (
    LogitNormalTimesteps,
    ShiftedTimesteps,
    TimestepSampler,
    UniformTimesteps,
    shift_share,
)


def draw(sampler: TimestepSampler, count: int = 4000, num_timesteps: int = 1000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.cat([sampler.draw(num_timesteps, generator) for _ in range(count)])


def test_uniform_timesteps_are_those_drawn_before_there_were_others() -> None:
    generators = [torch.Generator().manual_seed(7) for _ in range(2)]
    assert torch.equal(UniformTimesteps().draw(1000, generators[0]), torch.randint(1000, (1,), generator=generators[1]))


@pytest.mark.parametrize(("mean", "scale"), [(0.0, 1.0), (0.5, 1.2)])
def test_the_logits_are_normal(mean: float, scale: float) -> None:
    drawn = draw(LogitNormalTimesteps(mean, scale))
    assert drawn.dtype == torch.int64 and 0 <= drawn.min() and drawn.max() < 1000
    logits = ((drawn + 0.5) / 1000).logit()
    assert logits.mean() == pytest.approx(mean, abs=0.08) and logits.std() == pytest.approx(scale, rel=0.05)


def test_a_shift_moves_the_median_by_the_formula() -> None:
    median = draw(LogitNormalTimesteps(shift=3.0)).float().median()
    assert median == pytest.approx(750, abs=15)
    assert draw(ShiftedTimesteps(3.0)).float().median() == pytest.approx(750, abs=15)
    assert draw(ShiftedTimesteps(1.0)).float().mean() == pytest.approx(500, abs=15)


def test_shares_by_hand() -> None:
    got = shift_share(torch.tensor([0.0, 0.5, 1.0]), 3.0)
    torch.testing.assert_close(got, torch.tensor([0.0, 0.75, 1.0]))


def test_the_last_timestep_is_the_largest() -> None:
    assert draw(LogitNormalTimesteps(mean=50.0), 10).unique().tolist() == [999]


@pytest.mark.parametrize("options", [{"scale": 0.0}, {"shift": -1.0}, {"mean": float("nan")}])
def test_options_out_of_range(options) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        LogitNormalTimesteps(**options)
    with pytest.raises(ValueError, match="shift must be greater than 0"):
        ShiftedTimesteps(0.0)
