"""DiffusionLoss: which timesteps are drawn, and how much a sample counts at its timestep.

Shape legend: B batch, c latent channels, h, w latent size.
"""

from diffusers import SchedulerMixin
from torch import Tensor

from ornament_lit.batch import TryOnBatch
from ornament_lit.diffusion.noise import Noising, denoising_loss, draw_noising, min_snr_weights, velocity_weights
from ornament_lit.diffusion.timesteps import TimestepSampler, UniformTimesteps
from ornament_lit.losses.first_batch import FirstBatch


class DiffusionLoss:
    """Options of the noise loss, L1 of the paper, beyond those of `TryOnModule`, which it is given.

    Args:
        timesteps: Which timesteps training draws; null for all alike. Evaluation always draws all alike, so that its
            losses can be compared.
        velocity_weight: Weigh a denoiser that predicts the latents (``prediction_type: sample``) about as if it
            predicted the velocity, see :func:`ornament_lit.diffusion.noise.velocity_weights`. Not beside
            ``min_snr_gamma``.
        true_composites: Share of the training samples, in [0, 1], whose composite is laid over by the true
            correspondence instead of the warp's, for a denoiser with ``warp_condition``: so it learns to trust the
            composite more, and pales it less (teacher forcing, Williams and Zipser, 1989).

    Raises:
        ValueError: If ``true_composites`` is no share.
    """

    def __init__(
        self,
        timesteps: TimestepSampler | None = None,
        velocity_weight: bool = False,
        true_composites: float = 0.0,
    ) -> None:
        if not 0 <= true_composites <= 1:
            raise ValueError(f"true_composites must be a share in [0, 1], got {true_composites}")
        self.timesteps = timesteps or UniformTimesteps()
        self.velocity_weight = velocity_weight
        self.true_composites = true_composites
        self._first_batch = FirstBatch("true_composites makes composites")

    def check(self, noise_scheduler: SchedulerMixin, min_snr_gamma: float | None, warp_condition: bool = False) -> None:
        """Check that the options fit those of the module.

        Args:
            noise_scheduler: The scheduler of training.
            min_snr_gamma: The module's; None for none.
            warp_condition: Whether the denoiser looks at the warp's composite.

        Raises:
            ValueError: If they do not.
        """
        if self.true_composites and not warp_condition:
            raise ValueError(
                f"true_composites={self.true_composites} are for a denoiser that looks at the warp's composite; set "
                "warp_condition of the denoiser to true, or true_composites to 0"
            )
        if not self.velocity_weight:
            return
        if min_snr_gamma is not None:
            raise ValueError(
                f"velocity_weight and min_snr_gamma both weigh the timesteps, got both (gamma {min_snr_gamma}); set "
                "velocity_weight to false or min_snr_gamma to null"
            )
        kind = noise_scheduler.config.get("prediction_type")
        if kind != "sample" or not hasattr(noise_scheduler, "alphas_cumprod"):
            raise ValueError(
                "velocity_weight needs a noise scheduler with alphas_cumprod and prediction_type: sample, got "
                f"{type(noise_scheduler).__name__} with {kind}; v_prediction has that weight by itself"
            )

    def true_share(self, batch: TryOnBatch, training: bool) -> float:
        """Share of the samples whose composite is to be that of the true correspondence: none in evaluation."""
        if not (training and self.true_composites):
            return 0.0
        self._first_batch.look_at(batch, training)
        return self.true_composites

    def draw(
        self,
        sample_seed: Tensor,
        noise_scheduler: SchedulerMixin,
        like: Tensor,
        condition_dropout: float,
        draws: int,
        offset_noise: float,
        training: bool,
    ) -> Noising:
        """Draw timesteps, noise and dropped conditions; see :func:`ornament_lit.diffusion.noise.draw_noising`.

        Args:
            sample_seed: (B,) int64.
            noise_scheduler: Its ``num_train_timesteps`` are drawn from.
            like: (B, c, h, w).
            condition_dropout: Chance of a sample to do without its conditions.
            draws: How often.
            offset_noise: Standard deviation of the noise of whole channels.
            training: Whether ``timesteps`` are drawn; else all alike.
        """
        num_timesteps = noise_scheduler.config.num_train_timesteps
        timesteps = self.timesteps if training else UniformTimesteps()
        return draw_noising(sample_seed, num_timesteps, like, condition_dropout, draws, offset_noise, timesteps)

    def __call__(
        self,
        noise_scheduler: SchedulerMixin,
        prediction: Tensor,
        target: Tensor,
        timesteps: Tensor,
        worn: Tensor,
        worn_weight: float,
        min_snr_gamma: float | None,
        counted: Tensor | None,
    ) -> Tensor:
        """Compare a prediction with its target.

        Args:
            noise_scheduler: The scheduler of training.
            prediction: (B, c, h, w).
            target: (B, c, h, w).
            timesteps: (B,) int64.
            worn: Where the ornament is worn, (B, 1, h, w) in [0, 1].
            worn_weight: See :func:`ornament_lit.diffusion.noise.denoising_loss`.
            min_snr_gamma: See :func:`ornament_lit.diffusion.noise.min_snr_weights`; None for none.
            counted: (B, 1, h, w), 0 where the error does not count; None where all does.

        Returns:
            A scalar.
        """
        weights = self._sample_weights(noise_scheduler, timesteps, min_snr_gamma)
        return denoising_loss(prediction, target, worn, worn_weight, weights, counted)

    def _sample_weights(
        self, noise_scheduler: SchedulerMixin, timesteps: Tensor, min_snr_gamma: float | None
    ) -> Tensor | None:
        if self.velocity_weight:
            return velocity_weights(noise_scheduler, timesteps)
        return None if min_snr_gamma is None else min_snr_weights(noise_scheduler, timesteps, min_snr_gamma)
