from copy import copy
from dataclasses import replace

import diffusers
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch import Tensor

from ornament_lit.diffusion.refresh_policies import RefreshEverySteps, RefreshOnce, RefreshPolicy, RefreshUntilStable
from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.models.denoiser import DenoiserOutput
from ornament_lit.models.known_pixels import NothingKnown
from ornament_lit.models.reference_features import ReferenceFeatures

SCHEDULERS = [
    "DDIMScheduler",
    "DDPMScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "PNDMScheduler",
    "UniPCMultistepScheduler",
]


class Oracle:
    """A denoiser that knows the answer where it is given the reference, and half of it where it is not."""

    known = NothingKnown()

    def __init__(self, truth: Tensor) -> None:
        self.ground_truth = truth
        self.calls: list[str] = []
        self.known = NothingKnown()

    def project(self, features: ReferenceFeatures) -> ReferenceFeatures:
        return features

    def __call__(self, latents, timesteps, features, **_: object) -> DenoiserOutput:
        self.calls.append("one")
        return DenoiserOutput(self.ground_truth if features.tokens else self.ground_truth / 2, {})

    def guided(self, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        self.calls.append("guided")
        return self.ground_truth, self.ground_truth / 2


def with_denoiser(module, denoiser: Oracle):
    """The networks of a module with another denoiser."""
    model = copy(module.model)
    model._modules = {name: part for name, part in model._modules.items() if name != "denoiser"}
    vars(model)["denoiser"] = denoiser
    return model


@pytest.fixture
def scene(build_module, tiny_batch):
    module, batch = build_module().eval(), tiny_batch(3)
    with torch.no_grad():
        return module, module.model.encode(batch), batch["sample_seed"]


def select(conditioning, rows: slice, dtype: torch.dtype = torch.float32):
    tensors = {name: value for name, value in vars(conditioning).items() if isinstance(value, Tensor)}
    return replace(conditioning, **{name: value[rows].to(dtype) for name, value in tensors.items()})


@pytest.mark.parametrize("scheduler", [DDIMScheduler, DDPMScheduler])
def test_a_denoiser_that_knows_the_answer_draws_it(scene, scheduler: type) -> None:
    module, conditioning, seeds = scene
    truth = torch.rand_like(conditioning.masked_person_latents)
    noise_scheduler = scheduler(prediction_type="sample", clip_sample=False)
    drawn = Sampler(10)(with_denoiser(module, Oracle(truth)), noise_scheduler, conditioning, seeds)
    torch.testing.assert_close(drawn.latents, truth, atol=0.05, rtol=0)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_any_scheduler_draws_with_the_settings_of_training(scene, name: str) -> None:
    module, conditioning, seeds = scene
    noise_scheduler = DDPMScheduler(beta_start=0.002, beta_end=0.01, prediction_type="epsilon", clip_sample=False)
    sampler = Sampler(4, 2.0, getattr(diffusers, name))
    assert type(sampler.scheduler_for(noise_scheduler)).__name__ == name
    assert sampler.scheduler_for(noise_scheduler).config.beta_start == 0.002
    arguments = (module.model, noise_scheduler)
    together = sampler(*arguments, conditioning, seeds).latents
    alone = sampler(*arguments, select(conditioning, slice(1, 2)), seeds[1:2]).latents
    assert together.isfinite().all() and together.std() > 0.01
    torch.testing.assert_close(alone, together[1:2], atol=2e-4, rtol=1e-4)


def test_options_of_the_scheduler_win_over_those_of_training() -> None:
    sampler = Sampler(scheduler=DDIMScheduler, scheduler_options={"timestep_spacing": "trailing"})
    config = sampler.scheduler_for(DDPMScheduler(beta_end=0.01)).config
    assert (config.timestep_spacing, config.beta_end) == ("trailing", 0.01)


@pytest.mark.parametrize(("scale", "expected"), [(0.0, 0.5), (1.0, 1.0), (2.0, 1.5)])
def test_guidance_goes_from_the_drawing_without_reference_towards_the_one_with_it(scene, scale, expected) -> None:
    module, conditioning, seeds = scene
    truth = torch.ones_like(conditioning.masked_person_latents)
    oracle = Oracle(truth)
    noise_scheduler = DDIMScheduler(prediction_type="sample", clip_sample=False)
    drawn = Sampler(2, scale)(with_denoiser(module, oracle), noise_scheduler, conditioning, seeds).latents
    torch.testing.assert_close(drawn, expected * truth, atol=0.02, rtol=0)
    assert oracle.calls == ["one" if scale == 1 else "guided"] * 2


@pytest.mark.parametrize(
    ("policy", "calls"),
    [(RefreshOnce(), 1), (RefreshEverySteps(), 6), (RefreshEverySteps(3), 2), (RefreshUntilStable(1e-6), 2)],
)
def test_the_reference_is_refreshed_as_the_policy_says(scene, policy: RefreshPolicy, calls: int) -> None:
    module, conditioning, seeds = scene
    starts: list[Tensor | None] = []

    def refine(conditioning, steps_taken, start=None):
        starts.append(start)
        return real(conditioning, steps_taken, start)

    real, module.model.refine = module.model.refine, refine
    drawn = Sampler(6, refresh=policy)(module.model, module.noise_scheduler, conditioning, seeds)
    assert len(starts) == len(drawn.refinements) == calls
    assert starts[0] is None
    for start, before in zip(starts[1:], drawn.refinements, strict=False):
        assert start is before.mask


@pytest.mark.parametrize(("strength", "first"), [(1.0, 800), (0.6, 400)])
def test_each_refresh_is_told_how_far_the_denoising_is(warm, strength: float, first: int) -> None:
    module, conditioning, seeds = warm
    told: list[Tensor] = []

    def refine(conditioning, steps_taken, start=None):
        told.append(conditioning.denoised)
        return real(conditioning, steps_taken, start)

    real, module.model.refine = module.model.refine, refine

    noise_scheduler = DDIMScheduler(prediction_type="sample", clip_sample=False)
    sampler = Sampler(5, refresh=RefreshEverySteps(), strength=strength)
    sampler(module.model, noise_scheduler, conditioning, seeds)
    expected = [1 - timestep / 999 for timestep in range(first, -1, -200)]
    assert torch.stack(told).tolist() == [pytest.approx([share] * 3) for share in expected]


def test_a_sample_freezes_by_itself(scene) -> None:
    """The mask of sample 0 never changes and that of the others does: only theirs are taken again."""
    module, conditioning, seeds = scene
    rounds = []

    def refine(conditioning, steps_taken, start=None):
        refinement = real(conditioning, steps_taken, start)
        rounds.append(refinement)
        mask = torch.full_like(refinement.mask, 0.1 * len(rounds))
        mask[0] = 0.5
        return replace(refinement, mask=mask)

    real, module.model.refine = module.model.refine, refine
    sampler = Sampler(5, refresh=RefreshUntilStable(0.99))
    drawn = sampler(module.model, module.noise_scheduler, conditioning, seeds)
    assert len(rounds) == 5
    assert [round(float(refinement.mask[1].mean()), 2) for refinement in drawn.refinements] == [0.1, 0.2, 0.3, 0.4, 0.5]
    name = next(iter(rounds[0].features.tokens))
    first, last = (features.tokens[name].person for features in (rounds[0].features, drawn.refinements[-1].features))
    assert torch.equal(first[0], last[0]) and torch.equal(last[1], rounds[-1].features.tokens[name].person[1])


def test_frozen_features_are_projected_once_and_give_the_same(scene, monkeypatch) -> None:
    module, conditioning, seeds = scene
    arguments = (module.model, module.noise_scheduler, conditioning, seeds)
    projected = Sampler(3)(*arguments).latents
    monkeypatch.setattr(type(module.model.denoiser), "project", lambda self, features: features)
    torch.testing.assert_close(Sampler(3)(*arguments).latents, projected)


def test_a_callback_sees_each_step_and_may_replace_the_latents(scene) -> None:
    module, conditioning, seeds = scene
    steps: list[int] = []

    def on_step(step: int, timestep: Tensor, latents: Tensor) -> Tensor:
        steps.append(step)
        return torch.zeros_like(latents)

    arguments = (module.model, module.noise_scheduler, conditioning, seeds)
    drawn = Sampler(3)(*arguments, on_step=on_step)
    assert steps == [0, 1, 2] and not drawn.latents.any()


def test_a_sample_is_drawn_the_same_in_any_batch(build_module, tiny_batch) -> None:
    module = build_module(sampler=Sampler(3, 1.5, refresh=RefreshUntilStable())).eval()
    batch = tiny_batch(3)
    last = {name: values[2:] for name, values in batch.items()}
    with torch.no_grad():
        together, alone = module.predict_step(batch, 0), module.predict_step(last, 0)
    torch.testing.assert_close(together["image"][2:], alone["image"])
    assert together["image"].shape == (3, 3, 32, 32) and together["image"].abs().max() <= 1


def test_the_noise_of_the_steps_goes_on_where_the_first_noise_ended(scene, monkeypatch) -> None:
    module, conditioning, seeds = scene
    states, real = [], DDPMScheduler.step

    def step(self, *args: object, generator: list[torch.Generator], **kwargs: object) -> object:
        states.append(generator[0].get_state())
        return real(self, *args, generator=generator, **kwargs)

    step.__signature__ = __import__("inspect").signature(real)
    monkeypatch.setattr(DDPMScheduler, "step", step)
    Sampler(1)(module.model, module.noise_scheduler, conditioning, seeds)
    expected = torch.Generator().manual_seed(int(seeds[0]))
    torch.randn(1, *conditioning.masked_person_latents.shape[1:], generator=expected)
    assert torch.equal(states[0], expected.get_state())


@pytest.mark.parametrize(("steps", "scale"), [(0, 1.0), (1, -1.0), (1, float("nan"))])
def test_numbers_out_of_range_are_refused(steps: int, scale: float) -> None:
    with pytest.raises(ValueError, match="num_steps must be at least 1"):
        Sampler(steps, scale)


@pytest.fixture
def warm(scene):
    """A scene with a composite to begin at."""
    module, conditioning, seeds = scene
    generator = torch.Generator().manual_seed(8)
    latents = torch.rand(conditioning.masked_person_latents.shape, generator=generator)
    warp_latents = torch.cat([latents, torch.ones_like(conditioning.box_mask)], dim=1)
    return module, replace(conditioning, warp_latents=warp_latents), seeds


@pytest.mark.parametrize("name", SCHEDULERS)
def test_strength_0_draws_the_composite_without_a_step(warm, name: str) -> None:
    module, conditioning, seeds = warm
    oracle, steps = Oracle(torch.zeros(())), []
    sampler = Sampler(4, scheduler=getattr(diffusers, name), strength=0.0)
    drawn = sampler(
        with_denoiser(module, oracle),
        module.noise_scheduler,
        conditioning,
        seeds,
        on_step=lambda *seen: steps.append(seen),
    )
    assert torch.equal(drawn.latents, conditioning.warp_latents[:, :-1])
    assert oracle.calls == [] and steps == [] and len(drawn.refinements) == 1


def test_strength_1_needs_no_composite_and_looks_at_none(warm, scene) -> None:
    (module, conditioning, seeds), (_, plain, _) = warm, scene
    arguments = (module.model, module.noise_scheduler)
    expected = Sampler(3)(*arguments, plain, seeds).latents
    assert torch.equal(Sampler(3, strength=1.0)(*arguments, conditioning, seeds).latents, expected)
    with pytest.raises(ValueError, match=r"strength=0.5 begins at a warp's composite.*set model.warp"):
        Sampler(3, strength=0.5)(*arguments, plain, seeds)


@pytest.mark.parametrize("name", ["DDIMScheduler", "DDPMScheduler", "DPMSolverMultistepScheduler"])
@pytest.mark.parametrize("strength", [0.2, 0.5, 0.8])
def test_in_between_the_last_steps_are_taken_from_the_noised_composite(warm, name: str, strength: float) -> None:
    module, conditioning, seeds = warm
    noise_scheduler = DDPMScheduler(prediction_type="sample", clip_sample=False)
    seen: list[tuple[Tensor, Tensor]] = []

    class Watching(Oracle):
        def __call__(self, latents, timesteps, *rest: object, **more: object) -> DenoiserOutput:
            seen.append((latents.clone(), timesteps))
            return DenoiserOutput(self.ground_truth, {})

    truth = torch.rand_like(conditioning.masked_person_latents)
    sampler = Sampler(10, scheduler=getattr(diffusers, name), strength=strength)
    drawn = sampler(with_denoiser(module, Watching(truth)), noise_scheduler, conditioning, seeds)
    scheduler = sampler.scheduler_for(noise_scheduler)
    scheduler.set_timesteps(10)
    taken = round(10 * strength)
    assert [int(timesteps[0]) for _, timesteps in seen] == scheduler.timesteps[-taken:].tolist()
    noise = torch.cat(
        [torch.randn(1, *truth.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds.tolist()]
    )
    composite = conditioning.warp_latents[:, :-1]
    begun = noise_scheduler.add_noise(composite, noise, seen[0][1])
    torch.testing.assert_close(seen[0][0], begun, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(drawn.latents, truth, atol=0.06, rtol=0)


@pytest.mark.parametrize(
    "name", [name for name in SCHEDULERS if name[:4] not in ("PNDM", "Heun") and "Ancestral" not in name]
)
def test_a_known_answer_is_drawn_from_a_warm_start_by_any_scheduler(warm, name: str) -> None:
    module, conditioning, seeds = warm
    truth = torch.rand_like(conditioning.masked_person_latents)
    noise_scheduler = DDPMScheduler(prediction_type="sample", clip_sample=False)
    sampler = Sampler(8, scheduler=getattr(diffusers, name), strength=0.5)
    oracle = Oracle(truth)
    drawn = sampler(with_denoiser(module, oracle), noise_scheduler, conditioning, seeds).latents
    torch.testing.assert_close(drawn, truth, atol=0.06, rtol=0)
    assert len(oracle.calls) == 4


def test_a_scheduler_of_the_second_order_begins_with_a_whole_step(warm) -> None:
    """Heun's takes steps in pairs, the last one alone: without noise left, nothing moves but by what it removes."""
    module, conditioning, seeds = warm
    noise_scheduler = DDPMScheduler(prediction_type="epsilon", clip_sample=False)
    seen: list[int] = []

    class Silent(Oracle):
        def __call__(self, latents, timesteps, *_: object, **__: object) -> DenoiserOutput:
            seen.append(int(timesteps[0]))
            return DenoiserOutput(torch.zeros_like(latents), {})

    sampler = Sampler(8, scheduler=diffusers.HeunDiscreteScheduler, strength=0.5)
    drawn = sampler(with_denoiser(module, Silent(torch.zeros(()))), noise_scheduler, conditioning, seeds).latents
    scheduler = sampler.scheduler_for(noise_scheduler)
    scheduler.set_timesteps(8)
    assert seen == scheduler.timesteps[-7:].int().tolist() and len(set(seen)) == 4 and drawn.isfinite().all()
    composite = conditioning.warp_latents[:, :-1]
    noise = torch.cat(
        [torch.randn(1, *composite.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds.tolist()]
    )
    torch.testing.assert_close(drawn, composite + scheduler.sigmas[-8] * noise, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_out_of_range_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match="strength must be a share of the steps"):
        Sampler(strength=strength)


@pytest.mark.parametrize("strength", [1.0, 0.5])
@pytest.mark.parametrize("replace_latents", [False, True])
def test_halves_do_not_blur_the_drawing(warm, strength: float, replace_latents: bool) -> None:
    """A denoiser that always knows the noise, in bfloat16 as autocast has it: what is left is its rounding alone."""
    module, conditioning, seeds = warm
    truth = conditioning.masked_person_latents
    conditioning = replace(conditioning, warp_latents=torch.cat([truth, conditioning.box_mask], dim=1))
    noise_scheduler = DDIMScheduler(prediction_type="epsilon", clip_sample=False)

    class Exact(Oracle):
        def __call__(self, latents, timesteps, *_: object, **__: object) -> DenoiserOutput:
            alpha = noise_scheduler.alphas_cumprod[timesteps].view(-1, 1, 1, 1)
            return DenoiserOutput(((latents - alpha.sqrt() * truth) / (1 - alpha).sqrt()).bfloat16(), {})

    def on_step(step: int, timestep: Tensor, latents: Tensor) -> Tensor | None:
        assert latents.dtype == torch.float32
        return latents.bfloat16() if replace_latents and step == 0 else None

    sampler = Sampler(50, strength=strength)
    with torch.autocast("cpu", torch.bfloat16):
        drawn = sampler(
            with_denoiser(module, Exact(truth)), noise_scheduler, conditioning, seeds, on_step=on_step
        ).latents
    assert drawn.dtype == torch.float32
    assert (drawn - truth).square().mean().sqrt() < 0.003


def test_a_model_of_halves_is_given_halves_and_draws_them(scene) -> None:
    module, conditioning, seeds = scene
    module, conditioning = module.bfloat16(), select(conditioning, slice(None), torch.bfloat16)
    drawn = Sampler(3)(module.model, module.noise_scheduler, conditioning, seeds)
    assert drawn.latents.dtype == torch.bfloat16 and drawn.latents.isfinite().all()
