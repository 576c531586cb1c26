"""DiffusionLoss: L1 of the paper, from clean latents to the loss: timesteps, noise, target, weights.

Shape legend: B batch, N noisy versions of each sample, H, W image size, c latent channels, h, w latent size.
"""

from typing import NamedTuple

from diffusers import SchedulerMixin
from torch import Tensor

from ornament_lit.batch import TryOnBatch
from ornament_lit.diffusion.noise import (
    add_noise,
    denoised_share,
    denoising_loss,
    draw_noising,
    min_snr_weights,
    prediction_target,
    velocity_weights,
)
from ornament_lit.diffusion.timesteps import TimestepSampler, UniformTimesteps
from ornament_lit.losses.first_batch import FirstBatch
from ornament_lit.models.mask_refinement import resize_mask
from ornament_lit.models.reference_features import repeat_rows


class NoisyLatents(NamedTuple):
    """What the denoiser learns from; of N B rows, all first versions come first.

    Attributes:
        latents: Noisy latents, (N B, c, h, w).
        timesteps: (N B,) int64.
        target: What is to be predicted, (N B, c, h, w).
        keep_condition: (N B,) bool; False for those that must do without the ornament. None where all keep it.
        weights: What the errors of a row count, (N B,); None for all alike.
        denoised: How far the denoising is, the mean over a sample's versions, (B,) in [0, 1].
    """

    latents: Tensor
    timesteps: Tensor
    target: Tensor
    keep_condition: Tensor | None
    weights: Tensor | None
    denoised: Tensor

    def repeat(self, tensor: Tensor) -> Tensor:
        """Rows of the batch, (B, ...), for each noisy version, (N B, ...)."""
        repeated: Tensor = repeat_rows(tensor, len(self.timesteps) // len(self.denoised))
        return repeated

    def where_kept(self, mask: Tensor) -> Tensor:
        """A mask, (N B, 1, H, W), that is empty for the rows that must do without the ornament."""
        return mask if self.keep_condition is None else mask * self.keep_condition.view(-1, 1, 1, 1).to(mask.dtype)


class DiffusionLoss:
    """What the denoiser learns from, and how its errors count: L1 of the paper and what others found to help it.

    Args:
        timesteps: Which timesteps training draws; null for all alike. Evaluation always draws all alike, so that its
            losses can be compared.
        velocity_weight: Weigh a denoiser that predicts the latents (``prediction_type: sample``) about as if it
            predicted the velocity, see :func:`ornament_lit.diffusion.noise.velocity_weights`. Not beside
            ``min_snr_gamma``.
        true_composites: Share of the training samples, in [0, 1], whose composite is laid over by the true
            correspondence instead of the warp's, for a denoiser with ``warp_condition``: so it learns to trust the
            composite more, and pales it less (teacher forcing, Williams and Zipser, 1989).
        condition_dropout: Share of the training samples that are denoised without the reference, in [0, 1), so that the
            sampler can be guided; 0.1 is usual. They go without the reference net's features of the person, too, since
            on a canvas these have seen the ornament; the masked person itself and the mask stay inputs.
        num_noise_samples: Noises and timesteps that each training sample is denoised from, N: the reference net runs
            once for all of them, so that a step learns more from its samples in less time than as many samples would
            take.
        offset_noise: Standard deviation of what training adds to the noise of a whole channel, so that very dark and
            very bright images are learned (Guttenberg, 2023); 0.05 to 0.1 is usual, 0 for none.
        min_snr_gamma: The noise loss of a sample counts by its signal-to-noise ratio, at most this much (Min-SNR, Hang
            et al., 2023), so that timesteps do not work against each other; 5 is usual, null for a plain mean. It
            multiplies the sample's errors, and ``foreground_weight`` shares them out among the positions.
        foreground_weight: How much more than elsewhere the noise loss counts where the ornament is worn; 0 for the
            paper's plain mean. Ornaments cover about a twentieth of a crop, and the rest is mostly given.

    Raises:
        ValueError: If an option is out of its range.
    """

    def __init__(
        self,
        timesteps: TimestepSampler | None = None,
        velocity_weight: bool = False,
        true_composites: float = 0.0,
        condition_dropout: float = 0.0,
        num_noise_samples: int = 1,
        offset_noise: float = 0.0,
        min_snr_gamma: float | None = None,
        foreground_weight: float = 0.0,
    ) -> None:
        if not 0 <= true_composites <= 1:
            raise ValueError(f"true_composites must be a share in [0, 1], got {true_composites}")
        if not 0 <= condition_dropout < 1:
            raise ValueError(f"condition_dropout must lie in [0, 1), got {condition_dropout}")
        if num_noise_samples < 1:
            raise ValueError(f"num_noise_samples must be at least 1, got {num_noise_samples}")
        for name, value in (("offset_noise", offset_noise), ("foreground_weight", foreground_weight)):
            if not value >= 0:
                raise ValueError(f"{name} must not be negative, got {value}")
        if min_snr_gamma is not None and not min_snr_gamma > 0:
            raise ValueError(
                f"min_snr_gamma must be greater than 0 (5 is usual), or null for none, got {min_snr_gamma}"
            )
        if velocity_weight and min_snr_gamma is not None:
            raise ValueError(
                f"velocity_weight and min_snr_gamma both weigh the timesteps, got both (gamma {min_snr_gamma}); set "
                "velocity_weight to false or min_snr_gamma to null"
            )
        self.timesteps = timesteps or UniformTimesteps()
        self.velocity_weight = velocity_weight
        self.true_composites = true_composites
        self.condition_dropout = condition_dropout
        self.num_noise_samples = num_noise_samples
        self.offset_noise = offset_noise
        self.min_snr_gamma = min_snr_gamma
        self.foreground_weight = foreground_weight
        self._first_batch = FirstBatch("true_composites makes composites")

    def check(self, noise_scheduler: SchedulerMixin, warp_condition: bool = False) -> None:
        """Check that the options fit scheduler and denoiser.

        Args:
            noise_scheduler: The scheduler of training.
            warp_condition: Whether the denoiser looks at the warp's composite.

        Raises:
            ValueError: If they do not.
        """
        if self.true_composites and not warp_condition:
            raise ValueError(
                f"true_composites={self.true_composites} are for a denoiser that looks at the warp's composite; set "
                "warp_condition of the denoiser to true, or true_composites to 0"
            )
        name, snr_is_known = type(noise_scheduler).__name__, hasattr(noise_scheduler, "alphas_cumprod")
        if self.min_snr_gamma is not None and not snr_is_known:
            raise ValueError(
                f"min_snr_gamma needs a noise scheduler with alphas_cumprod, such as DDPMScheduler, got {name}"
            )
        kind = noise_scheduler.config.get("prediction_type")
        if self.velocity_weight and (kind != "sample" or not snr_is_known):
            raise ValueError(
                "velocity_weight needs a noise scheduler with alphas_cumprod and prediction_type: sample, got "
                f"{name} with {kind}; v_prediction has that weight by itself"
            )

    def true_share(self, batch: TryOnBatch, training: bool) -> float:
        """Share of the samples whose composite is to be that of the true correspondence: none in evaluation."""
        if not (training and self.true_composites):
            return 0.0
        self._first_batch.look_at(batch, training)
        return self.true_composites

    def add_noise(
        self, noise_scheduler: SchedulerMixin, latents: Tensor, sample_seed: Tensor, training: bool
    ) -> NoisyLatents:
        """Draw timesteps, noise and dropped conditions from the samples' seeds, and add the noise.

        Args:
            noise_scheduler: The scheduler of training.
            latents: Clean latents of the person wearing the ornament, (B, c, h, w).
            sample_seed: (B,) int64.
            training: Whether the options count; evaluation draws one noise of each sample, all timesteps alike.
        """
        dropout = self.condition_dropout if training else 0.0
        timesteps, noise, kept = draw_noising(
            sample_seed,
            noise_scheduler.config.num_train_timesteps,
            latents,
            dropout,
            self.num_noise_samples if training else 1,
            self.offset_noise if training else 0.0,
            self.timesteps if training else None,
        )
        denoised = denoised_share(noise_scheduler, timesteps).view(-1, len(sample_seed)).mean(0)
        clean = repeat_rows(latents, len(timesteps) // len(sample_seed))
        return NoisyLatents(
            latents=add_noise(noise_scheduler, clean, noise, timesteps),
            timesteps=timesteps,
            target=prediction_target(noise_scheduler, clean, noise, timesteps),
            keep_condition=kept if dropout else None,
            weights=self._weights(noise_scheduler, timesteps),
            denoised=denoised,
        )

    def __call__(
        self, prediction: Tensor, noisy: NoisyLatents, wearing_mask: Tensor, unknown: Tensor | None = None
    ) -> Tensor:
        """Compare a prediction with its target.

        Args:
            prediction: (N B, c, h, w).
            noisy: What was predicted from.
            wearing_mask: Where the ornament is worn, (B, 1, H, W) in [0, 1].
            unknown: (B, 1, h, w), 0 where the error does not count, because the position is given; None where all do.

        Returns:
            A scalar.
        """
        worn = noisy.repeat(resize_mask(wearing_mask, like=prediction))
        counted = None if unknown is None else noisy.repeat(unknown)
        return denoising_loss(prediction, noisy.target, worn, self.foreground_weight, noisy.weights, counted)

    def _weights(self, noise_scheduler: SchedulerMixin, timesteps: Tensor) -> Tensor | None:
        if self.velocity_weight:
            return velocity_weights(noise_scheduler, timesteps)
        if self.min_snr_gamma is None:
            return None
        return min_snr_weights(noise_scheduler, timesteps, self.min_snr_gamma)
