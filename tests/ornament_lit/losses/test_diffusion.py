import pytest
import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler

from ornament_lit.diffusion.noise import draw_noising, velocity_weights
from ornament_lit.diffusion.timesteps import LogitNormalTimesteps
from ornament_lit.losses import DiffusionLoss
from ornament_lit.losses.diffusion import NoisyLatents
from ornament_lit.models.denoiser import Denoiser

SAMPLE = DDPMScheduler(prediction_type="sample", clip_sample=False)


def test_velocity_weights_by_hand() -> None:
    scheduler = DDPMScheduler(num_train_timesteps=3, prediction_type="sample")
    scheduler.alphas_cumprod = torch.tensor([1.0, 0.58, 0.0])
    expected = torch.tensor([12.5, 2.0, 1 / 1.08]) / 3.5
    torch.testing.assert_close(velocity_weights(scheduler, torch.arange(3)), expected)


def test_an_error_of_the_latents_is_that_of_the_velocity_over_sigma() -> None:
    """What the weight stands for, without the 0.08 and the 3.5."""
    scheduler = DDPMScheduler(prediction_type="v_prediction")
    latents, noise, error = torch.randn(3, 2, 4, 8, 8).double()
    timesteps = torch.tensor([100, 800])
    alpha = scheduler.alphas_cumprod[timesteps].double().view(2, 1, 1, 1)
    noisy, guess = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise, latents + error
    implied = (noisy - alpha.sqrt() * guess) / (1 - alpha).sqrt()
    velocities = [alpha.sqrt() * n - (1 - alpha).sqrt() * x for n, x in ((noise, latents), (implied, guess))]
    off = (velocities[1] - velocities[0]).square() * (1 - alpha)
    torch.testing.assert_close(off, error.square(), rtol=1e-6, atol=1e-9)


def test_the_noise_loss_of_a_module_is_weighed(build_module, tiny_batch) -> None:
    batch = tiny_batch(1)
    plain, weighed = build_module(), build_module(diffusion_loss=DiffusionLoss(velocity_weight=True))
    timesteps = draw_noising(batch["sample_seed"], 1000, torch.zeros(1, 48, 8, 8)).timesteps
    losses = [module.losses(batch)[0] for module in (plain, weighed)]
    weight = velocity_weights(plain.noise_scheduler, timesteps)[0]
    torch.testing.assert_close(losses[1]["noise"], weight * losses[0]["noise"])
    assert torch.equal(losses[0]["mask"], losses[1]["mask"])


def test_training_draws_its_timesteps_and_evaluation_all_alike(build_module, tiny_batch) -> None:
    seen: list[torch.Tensor] = []
    for options in ({}, {"diffusion_loss": DiffusionLoss(LogitNormalTimesteps(4.0, 0.1))}):
        module = build_module(**options)
        module.model.denoiser.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
        module.train().losses(tiny_batch())
        module.eval().losses(tiny_batch())
    plain, plain_eval, ours, ours_eval = seen
    assert torch.equal(plain, plain_eval) and torch.equal(plain, ours_eval) and ours.min() > 950


def test_training_sees_composites_of_the_true_correspondence_and_evaluation_those_of_the_warp(
    build_module, build_unet, build_warp, worn_batch
) -> None:
    loss, batch, seen = DiffusionLoss(true_composites=1.0), worn_batch(), []
    denoiser = Denoiser(build_unet(), warp_condition=True)
    module = build_module(denoiser=denoiser, warp=build_warp(), warp_loss_weight=0.0, diffusion_loss=loss)
    denoiser.register_forward_pre_hook(lambda _, __, told: seen.append(told["warp_latents"]), with_kwargs=True)
    module.train().losses(batch)
    module.eval().losses(batch)
    worn = torch.nn.functional.avg_pool2d(batch["wearing_mask"], 4)
    torch.testing.assert_close(seen[0][:, -1:], worn)
    assert torch.equal(seen[1], module.model.encode(batch).warp_latents) and not torch.allclose(seen[0], seen[1])


def test_true_composites_need_a_correspondence_and_a_share(worn_batch) -> None:
    batch = worn_batch()
    del batch["correspondence"]
    loss = DiffusionLoss(true_composites=0.8)
    assert loss.true_share(batch, training=False) == 0
    with pytest.warns(UserWarning, match=r"true_composites .* only from samples with a correspondence"):
        assert loss.true_share(batch, training=True) == 0.8
    with pytest.raises(ValueError, match=r"must be a share in \[0, 1\], got 1.5"):
        DiffusionLoss(true_composites=1.5)


def test_options_that_do_not_fit_are_refused(build_module) -> None:
    loss = DiffusionLoss(velocity_weight=True)
    loss.check(SAMPLE)
    DiffusionLoss().check(FlowMatchEulerDiscreteScheduler())
    with pytest.raises(ValueError, match="min_snr_gamma both weigh"):
        DiffusionLoss(velocity_weight=True, min_snr_gamma=5.0)
    with pytest.raises(ValueError, match=r"alphas_cumprod, such as DDPMScheduler, got FlowMatchEulerDiscreteScheduler"):
        DiffusionLoss(min_snr_gamma=5.0).check(FlowMatchEulerDiscreteScheduler())
    with pytest.raises(ValueError, match=r"true_composites=0.8 are for a denoiser .* set warp_condition"):
        build_module(diffusion_loss=DiffusionLoss(true_composites=0.8))
    for scheduler in (DDPMScheduler(prediction_type="v_prediction"), FlowMatchEulerDiscreteScheduler()):
        with pytest.raises(ValueError, match=f"prediction_type: sample, got {type(scheduler).__name__}"):
            loss.check(scheduler)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("condition_dropout", 1.0),
        ("num_noise_samples", 0),
        ("offset_noise", -0.1),
        ("offset_noise", float("nan")),
        ("foreground_weight", -1.0),
        ("min_snr_gamma", 0.0),
        ("min_snr_gamma", -5.0),
    ],
)
def test_options_out_of_range_are_named(option: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{option} must .*got {value}"):
        DiffusionLoss(**{option: value})


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_noisy_latents_and_targets_are_those_of_the_scheduler(kind: str) -> None:
    latents, seeds = torch.randn(3, 2, 4, 4, dtype=torch.float64), torch.tensor([3, 5, 8])
    scheduler = DDPMScheduler(prediction_type=kind)
    noisy = DiffusionLoss(num_noise_samples=2).add_noise(scheduler, latents, seeds, training=True)
    timesteps, noise, _ = draw_noising(seeds, 1000, latents, num_noise_samples=2)
    alpha = scheduler.alphas_cumprod[timesteps].double().view(6, 1, 1, 1)
    clean = torch.cat([latents, latents])
    targets = {
        "epsilon": noise,
        "sample": clean,
        "v_prediction": alpha.sqrt() * noise - (1 - alpha).sqrt() * clean,
    }
    torch.testing.assert_close(noisy.latents, alpha.sqrt() * clean + (1 - alpha).sqrt() * noise, atol=1e-6, rtol=0)
    torch.testing.assert_close(noisy.target, targets[kind], atol=1e-6, rtol=0)
    assert torch.equal(noisy.timesteps, timesteps) and noisy.keep_condition is None and noisy.weights is None
    torch.testing.assert_close(noisy.denoised, 1 - timesteps.view(2, 3).float().mean(0) / 999)


def test_the_loss_counts_what_is_unknown_and_the_foreground_more() -> None:
    """Two noisy versions of one sample of 1 x 2 positions, the right one worn; errors 1 and 2, then 3 and 0."""
    zeros = torch.zeros(2, 1, 1, 2)
    prediction = torch.tensor([[1.0, 2.0], [3.0, 0.0]]).view(2, 1, 1, 2)
    noisy = NoisyLatents(zeros, torch.zeros(2), zeros, None, weights=None, denoised=torch.zeros(1))
    worn, unknown = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2), torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
    assert DiffusionLoss()(prediction, noisy, worn) == (1 + 4 + 9 + 0) / 4
    assert DiffusionLoss(foreground_weight=3.0)(prediction, noisy, worn) == (1 + 4 * 4 + 9 + 0) / (1 + 4 + 1 + 4)
    assert DiffusionLoss()(prediction, noisy, worn, unknown) == (1 + 9) / 2
    weighed = noisy._replace(weights=torch.tensor([1.0, 2.0]))
    assert DiffusionLoss()(prediction, weighed, worn) == (1 + 4 + 2 * 9) / 4


def test_rows_without_the_ornament_show_none() -> None:
    kept = torch.tensor([True, False, False, True])
    noisy = NoisyLatents(*[torch.zeros(4, 1, 1, 1)] * 3, keep_condition=kept, weights=None, denoised=torch.zeros(2))
    masks = noisy.repeat(torch.tensor([0.25, 0.75]).view(2, 1, 1, 1))
    assert masks.flatten().tolist() == [0.25, 0.75, 0.25, 0.75]
    assert noisy.where_kept(masks).flatten().tolist() == [0.25, 0, 0, 0.75]
    assert noisy._replace(keep_condition=None).where_kept(masks) is masks
