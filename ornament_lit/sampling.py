"""The denoising loop: from noise to the latents of the person wearing the ornament.

Everything that draws uses it: ``predict``, ``test``, the visualizer, the pipeline. A drawing depends on its own
sample's seed and conditions alone, not on the batch, the rank or global random state.

Shape legend: B batch, c latent channels, h, w latent size.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from diffusers import SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from ornament_lit.conditions import Conditions
from ornament_lit.denoiser import Denoiser
from ornament_lit.features import choose
from ornament_lit.mask_refinement import MaskRefinement
from ornament_lit.noising import generators_of
from ornament_lit.refresh_policies import RefreshOnce, RefreshPolicy

StepCallback = Callable[[int, Tensor, Tensor], Tensor | None]
"""Called after each step with its number (from 0), its timestep and the latents; may return other latents."""


class Refine(Protocol):
    """Mask and reference features of a batch, refined from a mask."""

    def __call__(self, conditions: Conditions, start: Tensor | None = None) -> MaskRefinement:
        """Refine from ``start``, (B, 1, h, w) in [0, 1], or from the box."""


@dataclass(frozen=True)
class Drawing:
    """What the sampler drew.

    Attributes:
        latents: (B, c, h, w).
        refinements: Mask and features after each refresh; the first was computed before the first step.
    """

    latents: Tensor
    refinements: list[MaskRefinement]


class Sampler:
    """Draw with classifier-free guidance along any scheduler of diffusers.

    Args:
        num_steps: Denoising steps.
        guidance_scale: How far each step goes from the drawing without the ornament's features towards the one with
            them (Ho and Salimans, 2022); 1 for none, which takes half the time. More than 1 needs a module trained
            with ``condition_dropout``.
        scheduler: Class of diffusers to draw with, such as ``diffusers.DPMSolverMultistepScheduler``; it is given
            the settings of the training's noise scheduler. Null for the class that training uses.
        scheduler_options: Settings of the scheduler that differ from the training's, such as
            ``{use_karras_sigmas: true}``.
        refresh: When mask and reference features are computed anew; null for :class:`RefreshOnce`.
        strength: How much of the noise is added to the warp's composite before the drawing begins, as a share of the
            steps: 1 begins from noise alone, and needs no warp; 0 takes no step, and draws the composite itself
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
        """Build the scheduler to draw with, from the settings of the one that training uses."""
        scheduler = (self.scheduler or type(noise_scheduler)).from_config(noise_scheduler.config)
        return type(scheduler).from_config(scheduler.config, **self.scheduler_options)

    @torch.no_grad()
    def __call__(
        self,
        denoiser: Denoiser,
        refine: Refine,
        noise_scheduler: SchedulerMixin,
        conditions: Conditions,
        sample_seed: Tensor,
        on_step: StepCallback | None = None,
    ) -> Drawing:
        """Draw a batch from noise.

        Args:
            denoiser: The trained denoiser.
            refine: The trained reference net and mask head.
            noise_scheduler: The scheduler of training; it is not changed.
            conditions: Encoded conditions of the batch.
            sample_seed: (B,) int64; all noise of a sample comes from its own seed.
            on_step: Called after each step.

        Returns:
            The drawing.

        Raises:
            ValueError: If there are more steps than timesteps in training.
        """
        scheduler = self.scheduler_for(noise_scheduler)
        check_steps(self.num_steps, scheduler)
        scheduler.set_timesteps(self.num_steps, device=conditions.erased_latents.device)
        generators = generators_of(sample_seed)
        step_options = {"generator": generators} if _takes_generator(scheduler) else {}
        like = conditions.erased_latents
        noise: Tensor = randn_tensor(tuple(like.shape), generators, like.device, like.dtype)
        timesteps, latents = self._begin(scheduler, noise, conditions)
        refinements = [refine(conditions)]
        frozen = freeze(denoiser, refinements[0])
        for step, timestep in enumerate(timesteps):
            due = self._due(step, refinements)
            if due.any():
                newest = refine(conditions, refinements[-1].mask)
                refinements.append(choose(due.to(latents.device), newest, refinements[-1]))
                frozen = freeze(denoiser, refinements[-1])
            inputs = scheduler.scale_model_input(latents, timestep)
            prediction = self._predict(denoiser, inputs, timestep, conditions, frozen)
            latents = scheduler.step(prediction, timestep, latents, **step_options).prev_sample
            replaced = None if on_step is None else on_step(step, timestep, latents)
            latents = latents if replaced is None else replaced
        return Drawing(denoiser.known.insert(latents, like, conditions.box_mask), refinements)

    def _begin(self, scheduler: SchedulerMixin, noise: Tensor, conditions: Conditions) -> tuple[Tensor, Tensor]:
        """Timesteps that are taken, and the latents that they begin with."""
        if self.strength == 1.0:
            return scheduler.timesteps, noise * scheduler.init_noise_sigma
        if conditions.warp_latents is None:
            raise ValueError(
                f"strength={self.strength} begins at a warp's composite, and the model has no warp; set model.warp, "
                "or strength to 1"
            )
        composite = conditions.warp_latents[:, :-1]
        taken = round(self.strength * self.num_steps)
        if not taken:
            return scheduler.timesteps[:0], composite
        skipped = (self.num_steps - taken) * getattr(scheduler, "order", 1)
        timesteps: Tensor = scheduler.timesteps[skipped:]
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(skipped)
        return timesteps, scheduler.add_noise(composite, noise, timesteps[:1])

    def _due(self, step: int, refinements: list[MaskRefinement]) -> Tensor:
        masks = [refinement.mask for refinement in refinements]
        return self.refresh.is_due(step, masks) if step else torch.zeros(len(masks[0]), dtype=torch.bool)

    def _predict(
        self, denoiser: Denoiser, latents: Tensor, timestep: Tensor, conditions: Conditions, frozen: MaskRefinement
    ) -> Tensor:
        """Predict with the reference and, where there is guidance, go away from the prediction without it."""
        timesteps = timestep.to(latents.device).expand(len(latents))
        given = (conditions.image_tokens, frozen.features, conditions.ornament_mask)
        arguments = (latents, timesteps, conditions.erased_latents, frozen.mask, *given)
        rest = (conditions.box_mask, conditions.warp_latents)
        if self.guidance_scale == 1.0:
            prediction: Tensor = denoiser(*arguments, box_mask=rest[0], warp_latents=rest[1]).prediction
            return prediction
        conditional, unconditional = denoiser.guided(*arguments, *rest)
        return torch.lerp(unconditional, conditional, self.guidance_scale)


def freeze(denoiser: Denoiser, refinement: MaskRefinement) -> MaskRefinement:
    """Project the features of a refinement once for all steps until the next."""
    return MaskRefinement(refinement.logits, refinement.mask, denoiser.project(refinement.features))


def check_steps(num_steps: int, scheduler: SchedulerMixin) -> None:
    """Check that a drawing has no more steps than training has timesteps.

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
