"""The denoising loop: from noise to the latents of the person wearing the ornament.

Everything that generates uses it: ``predict``, ``test``, the visualizer, the pipeline. A generated image depends on its
own sample's seed and conditioning alone, not on the batch, the rank or global random state. Between steps latents are
float32 at least, whatever the networks compute in.

Shape legend: B batch, c latent channels, h, w latent size.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers import SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from ornament_lit.batch import generators_of
from ornament_lit.diffusion.noise import at_least_float32, denoised_share
from ornament_lit.diffusion.refresh_policies import RefreshOnce, RefreshPolicy
from ornament_lit.models.conditioning import Conditioning
from ornament_lit.models.mask_refinement import MaskRefinement, choose_refinement
from ornament_lit.models.reference_features import first_rows
from ornament_lit.models.try_on import TryOnModel

StepCallback = Callable[[int, Tensor, Tensor], Tensor | None]
"""Called after each step with its number (from 0), its timestep and the latents; may return other latents."""


@dataclass(frozen=True)
class SamplerOutput:
    """What the sampler generated.

    Attributes:
        latents: (B, c, h, w).
        refinements: Mask after each refresh; the first was computed before the first step. The last one has its
            features of the reference, too, those of the samples with their ornaments.
    """

    latents: Tensor
    refinements: list[MaskRefinement]


class Sampler:
    """Generate with classifier-free guidance along any scheduler of diffusers.

    Args:
        num_steps: Denoising steps.
        guidance_scale: How far each step goes from the generated image without the ornament's features towards the one
            with them (Ho and Salimans, 2022); 1 for none, which takes half the time. More than 1 needs a module trained
            with ``condition_dropout``.
        scheduler: Class of diffusers to sample with, such as ``diffusers.DPMSolverMultistepScheduler``; it is given
            the settings of the training's noise scheduler. Null for the class that training uses.
        scheduler_options: Settings of the scheduler that differ from the training's, such as
            ``{use_karras_sigmas: true}``.
        refresh: When mask and reference features are computed anew; null for :class:`RefreshOnce`.
        strength: How much of the noise is added to the warp's composite before sampling begins, as a share of the
            steps: 1 begins from noise alone, and needs no warp; 0 takes no step, and generates the composite itself
            (warm start, as SDEdit, Meng et al., 2022).

    Raises:
        ValueError: If ``num_steps`` is less than 1, ``guidance_scale`` is negative, or ``strength`` is no share.
    """

    def __init__(
        self,
        num_steps: int = 30,
        guidance_scale: float = 1.0,
        scheduler: type[SchedulerMixin] | None = None,
        scheduler_options: dict[str, Any] | None = None,
        refresh: RefreshPolicy | None = None,
        strength: float = 1.0,
    ) -> None:
        if num_steps < 1 or not guidance_scale >= 0:
            raise ValueError(
                f"num_steps must be at least 1 and guidance_scale not negative, got {num_steps} and {guidance_scale}"
            )
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must be a share of the steps in [0, 1], got {strength}")
        self.strength = strength
        self.num_steps = num_steps
        self.guidance_scale = guidance_scale
        self.scheduler = scheduler
        self.scheduler_options = scheduler_options or {}
        self.refresh = refresh or RefreshOnce()

    def scheduler_for(self, noise_scheduler: SchedulerMixin) -> SchedulerMixin:
        """Build the scheduler to sample with, from the settings of the one that training uses."""
        scheduler = (self.scheduler or type(noise_scheduler)).from_config(noise_scheduler.config)
        return type(scheduler).from_config(scheduler.config, **self.scheduler_options)

    @torch.no_grad()
    def __call__(
        self,
        model: TryOnModel,
        noise_scheduler: SchedulerMixin,
        conditioning: Conditioning,
        sample_seed: Tensor,
        steps_taken: int = 0,
        on_step: StepCallback | None = None,
        latents: Tensor | None = None,
        interrupted: Callable[[], bool] | None = None,
    ) -> SamplerOutput:
        """Generate a batch from noise.

        Args:
            model: The trained networks.
            noise_scheduler: The scheduler of training; it is not changed.
            conditioning: Of the batch.
            sample_seed: (B,) int64; all noise of a sample comes from its own seed.
            steps_taken: Training steps, for what is scheduled by them.
            on_step: Called after each step.
            latents: Standard normal noise to begin with, (B, c, h, w); None to draw it from the seeds.
            interrupted: Asked before each step; once it says yes, no more steps are taken.

        Returns:
            Latents and refinements.

        Raises:
            ValueError: If ``latents`` have another shape, or there are more steps than timesteps in training.
        """
        scheduler, timesteps = self.timesteps(noise_scheduler, conditioning.masked_person_latents.device)
        generators = generators_of(sample_seed)
        step_options = {"generator": generators} if _takes_generator(scheduler) else {}
        like = conditioning.masked_person_latents
        noise = at_least_float32(_noise(like, generators, latents))
        latents = self._begin(scheduler, timesteps, noise, conditioning)
        refine = model.refine if self.guidance_scale == 1.0 else model.refine_guided
        refinements = [refine(_at(conditioning, noise_scheduler, timesteps[:1]), steps_taken)]
        projected = model.project(refinements[0])
        for step, timestep in enumerate(timesteps):
            if interrupted is not None and interrupted():
                break
            due = self._due(step, refinements)
            renewed = step > 0 and model.reference_net.per_step
            if due.any() or renewed:
                newest = refine(_at(conditioning, noise_scheduler, timestep), steps_taken, refinements[-1].mask)
                refinements = _refreshed(refinements, newest, due.to(latents.device), renewed)
                projected = model.project(refinements[-1])
            inputs = scheduler.scale_model_input(latents, timestep).to(like.dtype)
            prediction = at_least_float32(self._predict(model, inputs, timestep, conditioning, projected))
            latents = scheduler.step(prediction, timestep, latents, **step_options).prev_sample
            replaced = None if on_step is None else on_step(step, timestep, latents)
            latents = latents if replaced is None else at_least_float32(replaced)
        refinements[-1] = first_rows(refinements[-1], len(latents))
        return SamplerOutput(
            model.denoiser.known.insert(latents.to(like.dtype), like, conditioning.box_mask), refinements
        )

    def timesteps(self, noise_scheduler: SchedulerMixin, device: torch.device) -> tuple[SchedulerMixin, Tensor]:
        """The scheduler to sample with, set up for it, and the timesteps that are taken.

        Raises:
            ValueError: If there are more steps than timesteps in training.
        """
        scheduler = self.scheduler_for(noise_scheduler)
        check_steps(self.num_steps, scheduler)
        scheduler.set_timesteps(self.num_steps, device=device)
        taken = round(self.strength * self.num_steps)
        if not taken:
            return scheduler, scheduler.timesteps[:0]
        skipped = (self.num_steps - taken) * getattr(scheduler, "order", 1)
        if self.strength < 1.0 and hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(skipped)
        return scheduler, scheduler.timesteps[skipped:]

    def _begin(self, scheduler: SchedulerMixin, timesteps: Tensor, noise: Tensor, conditioning: Conditioning) -> Tensor:
        """The latents that sampling begins with."""
        if self.strength == 1.0:
            scaled: Tensor = noise * scheduler.init_noise_sigma
            return scaled
        if conditioning.warp_latents is None:
            raise ValueError(
                f"strength={self.strength} begins at a warp's composite, and the model has no warp; set model.warp, "
                "or strength to 1"
            )
        composite = at_least_float32(conditioning.warp_latents[:, :-1])
        noised: Tensor = scheduler.add_noise(composite, noise, timesteps[:1]) if len(timesteps) else composite
        return noised

    def _due(self, step: int, refinements: list[MaskRefinement]) -> Tensor:
        masks = [refinement.mask for refinement in refinements]
        return self.refresh.is_due(step, masks) if step else torch.zeros(len(masks[0]), dtype=torch.bool)

    def _predict(
        self,
        model: TryOnModel,
        latents: Tensor,
        timestep: Tensor,
        conditioning: Conditioning,
        refinement: MaskRefinement,
    ) -> Tensor:
        """Predict with the reference and, where there is guidance, go away from the prediction without it."""
        timesteps = timestep.to(latents.device).expand(len(latents))
        if self.guidance_scale == 1.0:
            return model.denoise(latents, timesteps, conditioning, refinement).prediction
        conditional, unconditional = model.denoise_guided(latents, timesteps, conditioning, refinement)
        return torch.lerp(unconditional, conditional, self.guidance_scale)


def _at(conditioning: Conditioning, noise_scheduler: SchedulerMixin, timestep: Tensor) -> Conditioning:
    """The conditioning at a timestep of the denoising; as it is where there is none."""
    if not timestep.numel():
        return conditioning
    rows, timestep = len(conditioning.box_mask), timestep.to(conditioning.box_mask.device)
    denoised = denoised_share(noise_scheduler, timestep)
    return replace(conditioning, denoised=denoised.expand(rows), timesteps=timestep.expand(rows))


def _refreshed(
    refinements: list[MaskRefinement], newest: MaskRefinement, due: Tensor, renewed: bool
) -> list[MaskRefinement]:
    """The refinements so far and, if the mask of any sample is due, the newest one; the last alone keeps its features.

    Args:
        refinements: Those so far.
        newest: Computed in this step, of all samples.
        due: Whose mask and features it replaces, (B,) bool.
        renewed: Take its features for all samples, because they depend on the step.
    """
    *earlier, latest = refinements
    chosen = choose_refinement(due, newest, latest)
    chosen = replace(chosen, features=newest.features) if renewed else chosen
    if renewed and not due.any():
        return [*earlier, chosen]
    return [*earlier, replace(latest, features=latest.features.without_tensors()), chosen]


def _noise(like: Tensor, generators: list[torch.Generator], given: Tensor | None) -> Tensor:
    """The given noise, or one that each sample's generator draws, of the shape and type of ``like``."""
    if given is None:
        drawn: Tensor = randn_tensor(tuple(like.shape), generators, like.device, like.dtype)
        return drawn
    if given.shape != like.shape:
        raise ValueError(f"latents must be noise of the shape {tuple(like.shape)}, got {tuple(given.shape)}")
    return given.to(like.device, like.dtype)


def check_steps(num_steps: int, scheduler: SchedulerMixin) -> None:
    """Check that sampling has no more steps than training has timesteps.

    Args:
        num_steps: Denoising steps.
        scheduler: Its ``num_train_timesteps`` count; a scheduler without them takes any number.

    Raises:
        ValueError: If there are more.
    """
    trained = getattr(scheduler.config, "num_train_timesteps", num_steps)
    if num_steps > trained:
        raise ValueError(f"steps of the sampler must be at most {trained}, the timesteps of training, got {num_steps}")


def _takes_generator(scheduler: SchedulerMixin) -> bool:
    """Whether the steps of a scheduler draw noise; those of a deterministic one may not take a generator."""
    return "generator" in inspect.signature(scheduler.step).parameters
