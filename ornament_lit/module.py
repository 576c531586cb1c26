"""TryOnModule: composes the parts of the method into training, validation, test and prediction steps.

Shape legend: B batch, H, W image size, c latent channels, h, w latent size, T mask iterations.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from diffusers import SchedulerMixin
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities.types import OptimizerConfig, OptimizerLRSchedulerConfig
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from ornament_lit.batch import TryOnBatch, check_batch, select_rows
from ornament_lit.checkpointing.state import check_weights, configuration_of, number_all_parameters, save_configuration
from ornament_lit.diffusion.sampler import Sampler, check_steps
from ornament_lit.distributed.fsdp import WholeInEvaluation, check_strategy, shard
from ornament_lit.imaging.crops import crop_settings_of
from ornament_lit.losses import DiffusionLoss, WarpLoss
from ornament_lit.losses.attention import AttentionLoss
from ornament_lit.losses.attention.matched import matched_of
from ornament_lit.metrics.mask_iou import MaskIoU
from ornament_lit.metrics.mean_losses import MeanLosses
from ornament_lit.models.autoencoders import Autoencoder
from ornament_lit.models.conditioning import Conditioning, predicted_masks
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.fingerprints import check_fingerprints
from ornament_lit.models.image_encoders import ImageEncoder
from ornament_lit.models.mask_heads import MaskHead
from ornament_lit.models.mask_refinement import MaskRefinement
from ornament_lit.models.no_denoiser import NO_STEPS, NoDenoiser
from ornament_lit.models.prompt_encoders import PromptEncoder
from ornament_lit.models.reference_features import fill_rows
from ornament_lit.models.reference_nets import ReferenceNet
from ornament_lit.models.try_on import TryOnModel
from ornament_lit.models.warps import Warp
from ornament_lit.models.warps.base import NO_WIDE_VIEW, warp_ground_truth, warp_inputs
from ornament_lit.utils.frozen import check_gradients, drop_frozen, restore_frozen
from ornament_lit.utils.learning_rates import LearningRateSchedule, build_scheduler, keep_options


class StepOutput(NamedTuple):
    """What the networks were told and said in a step, beside the losses.

    Attributes:
        conditioning: Encoded images and masks.
        refinement: Mask of every iteration and reference features.
        attention_mask: M~, (B, 1, H, W) in [0, 1].
        warp_terms: Terms of the warp's loss, without gradients; none where no warp trains.
    """

    conditioning: Conditioning
    refinement: MaskRefinement
    attention_mask: Tensor
    warp_terms: dict[str, Tensor]


class TryOnModule(LightningModule):
    """Ornament virtual try-on after "Shining Yourself" (CVPR 2025): L = L1 + lambda1 L2 + lambda2 L3.

    Args:
        autoencoder: Between images and latents.
        image_encoder: Tokens of the ornament for the cross-attention.
        denoiser: The UNet that is trained to denoise.
        noise_scheduler: A scheduler of diffusers with ``add_noise``; its ``prediction_type`` is what the denoiser
            predicts.
        reference_net: Features of ornament and masked person.
        mask_head: Refines the box to the wearing mask.
        attention_loss: Constraint on the denoiser's attention.
        optimizer: Optimizer of all trained parameters.
        lr_scheduler: Learning rate over the training: a `LearningRateSchedule`, which goes by the optimizer's rate and
            the trainer's length, or a scheduler of torch, stepped once a training step; null for a constant rate.
        mask_loss_weight: lambda1 at the beginning; `LossWeightDecay` lowers it.
        attention_loss_weight: lambda2 at the beginning; `LossWeightDecay` lowers it.
        sampler: How images are generated; null for 30 steps of the noise scheduler's own kind without guidance.
        diffusion_loss: What the denoiser learns from, and how its errors count; null for the paper's plain mean.
        neutral_background: The networks see the ornament on mid grey, whatever is around it in its image: the image
            times its mask.
        warp: Says in one look where each pixel of the worn ornament comes from in its image; null for none, as in the
            paper.
        warp_loss: What the warp is taught; null for the defaults.
        warp_loss_weight: Weight of the warp's loss; 0 freezes the warp.
        prompt_encoder: Says what the ornament is; null for no text, as in the paper.
    """

    mask_threshold: Tensor

    def __init__(
        self,
        autoencoder: Autoencoder,
        image_encoder: ImageEncoder,
        denoiser: Denoiser,
        noise_scheduler: SchedulerMixin,
        reference_net: ReferenceNet,
        mask_head: MaskHead,
        attention_loss: AttentionLoss,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        lr_scheduler: LearningRateSchedule | LRSchedulerCallable | None = None,
        mask_loss_weight: float = 1.0,
        attention_loss_weight: float = 1.0,
        sampler: Sampler | None = None,
        diffusion_loss: DiffusionLoss | None = None,
        neutral_background: bool = False,
        warp: Warp | None = None,
        warp_loss: WarpLoss | None = None,
        warp_loss_weight: float = 1.0,
        prompt_encoder: PromptEncoder | None = None,
    ) -> None:
        super().__init__()
        save_configuration(self)
        self.diffusion_loss = diffusion_loss or DiffusionLoss()
        self.diffusion_loss.check(noise_scheduler, denoiser.warp_condition)
        denoiser.check(noise_scheduler)
        parts = (autoencoder, image_encoder, denoiser, reference_net, mask_head, warp)
        self.model = TryOnModel(*parts, neutral_background, prompt_encoder)
        self.noise_scheduler = noise_scheduler
        self.warp_loss = warp_loss or WarpLoss()
        if not warp_loss_weight:
            self.model.warp.requires_grad_(False)
        self.attention_loss = attention_loss
        self.mass_layers = attention_loss.layers(denoiser)
        self.optimizer, self.lr_scheduler = optimizer, lr_scheduler
        self.sampler = sampler or Sampler()
        check_steps(self.sampler.num_steps, noise_scheduler)
        if self.sampler.strength and isinstance(denoiser, NoDenoiser):
            raise ValueError(NO_STEPS)
        self.initial_loss_weights = {"noise": 1.0, "mask": mask_loss_weight, "attention": attention_loss_weight}
        if self.model.warp.num_predictions and warp_loss_weight:
            self.initial_loss_weights["warp"] = warp_loss_weight
        self.loss_weights = dict(self.initial_loss_weights)
        self.steps_taken = 0
        self.crop_settings: dict[str, float] = {}
        self.weights_from: dict[str, Any] = {}
        self.completed_keys: set[str] = set()
        self.mask_iou = MaskIoU(mask_head.num_iterations + self.model.warp.num_predictions)
        self.mean_losses = MeanLosses(tuple(self.initial_loss_weights))
        self.register_buffer("mask_threshold", torch.tensor(0.5))

    def configure_callbacks(self) -> list[Callback]:
        """Where weights are sharded, keep them whole in evaluations.

        Raises:
            ValueError: If they shall be sharded in a way that is not supported.
        """
        if not isinstance(self.trainer.strategy, ModelParallelStrategy):
            return []
        check_strategy(self.trainer.strategy)
        return [WholeInEvaluation()]

    def configure_model(self) -> None:
        """Shard the trained weights, under ModelParallelStrategy; checkpoints are without the frozen ones."""
        if self.device_mesh is not None:
            shard(self, self.device_mesh["data_parallel"])
            self.strict_loading = False

    def setup(self, stage: str) -> None:
        """Note how images are cropped for training, and check encodings computed beforehand, if it uses any.

        A data module tells of its crops by the attributes ``resolution``, ``crop_factor``, ``wide_view``, ``detail``
        and ``bare``, which go into the checkpoints, and of encodings, which must be of this module's encoders, by
        ``encoders``: see :func:`check_fingerprints`.

        Raises:
            ValueError: If they are of others, the warp needs a wider view that the data do not have, or the autoencoder
                cannot encode their resolution.
        """
        # Buffers are the same on all processes. If each step sent them around, processes with unequally many batches,
        # as in validation, would wait for each other for ever.
        buffers = [name for name, _ in self.named_buffers()]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(self, buffers)
        if self.model.warp.wide_view and getattr(getattr(self.trainer, "datamodule", None), "wide_view", 1) is None:
            raise ValueError(NO_WIDE_VIEW)
        if resolution := getattr(getattr(self.trainer, "datamodule", None), "resolution", None):
            self.model.autoencoder.check_resolution(resolution)
        if stage == "fit":
            data = self.trainer.datamodule  # type: ignore[attr-defined]
            self.crop_settings = crop_settings_of(data)
            parts = {"autoencoder": self.model.autoencoder, "image_encoder": self.model.image_encoder}
            check_fingerprints(getattr(data, "encoders", {}), parts)

    def losses(self, batch: TryOnBatch) -> tuple[dict[str, Tensor], StepOutput]:
        """Compute the losses of a batch: L1, L2 and L3 of the paper, and that of a warp that trains.

        Args:
            batch: See :class:`TryOnBatch`.

        Returns:
            The losses ``noise`` (L1), ``mask`` (L2), ``attention`` (L3) and, where there is one, ``warp``, scalars with
            gradients, and what the networks saw and said.

        Raises:
            ValueError: If the batch is not a :class:`TryOnBatch`.
        """
        check_batch(batch)
        model, wearing_mask = self.model, batch["wearing_mask"]
        ask_warp = model.denoiser.warp_condition or not self.training  # nobody else looks at what it says
        conditioning = model.encode(batch, ask_warp, self.diffusion_loss.true_share(batch, self.training))
        target = model.encode_target(batch)
        noisy = self.diffusion_loss.add_noise(self.noise_scheduler, target, batch["sample_seed"], self.training)
        told = replace(conditioning, denoised=noisy.denoised, timesteps=noisy.timesteps, given=noisy.keep_condition)
        refinement = model.refine(told, self.steps_taken)
        points = self.attention_loss.points(model.denoiser, batch)
        output = model.denoise(
            noisy.latents, noisy.timesteps, conditioning, refinement, noisy.keep_condition, self.mass_layers, points
        )
        unknown = model.denoiser.known.unknown(conditioning.box_mask)
        worn, matched = noisy.where_kept(noisy.repeat(wearing_mask)), matched_of(batch, points, output, noisy)
        attention, attention_mask = self.attention_loss(output.mass, worn, matched)
        losses = {
            "noise": self.diffusion_loss(output.prediction, noisy, wearing_mask, unknown),
            "mask": model.mask_head.loss(refinement, fill_rows(wearing_mask, len(refinement.mask))),
            "attention": attention,
        }
        warp_terms: dict[str, Tensor] = {}
        if "warp" in self.initial_loss_weights:
            warped = model.warp.training_pass(warp_inputs(batch), warp_ground_truth(batch))
            losses["warp"], warp_terms = self.warp_loss(warped)
        return losses, StepOutput(conditioning, refinement, attention_mask, warp_terms)

    def training_step(self, batch: TryOnBatch, batch_idx: int) -> Tensor:
        """Return the weighted sum of the losses."""
        losses, output = self.losses(batch)
        loss = torch.stack([self.loss_weights[name] * value for name, value in losses.items()]).sum()
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch["key"]))
        values = {f"train/loss_{name}": value.detach() for name, value in losses.items()}
        values |= {f"train/warp_{name}": value for name, value in output.warp_terms.items()}
        self.log_dict(values, batch_size=len(batch["key"]))
        return loss

    def validation_step(self, batch: TryOnBatch, batch_idx: int) -> dict[str, Any]:
        """Measure the masks, and return what is worth looking at.

        Args:
            batch: See :class:`TryOnBatch`.
            batch_idx: Position of the batch.

        Returns:
            ``loss`` at the initial weights, ``masked_person_image`` (B, 3, H, W) in [-1, 1], ``mask_predictions``
            (T, B, 1, H, W) and ``attention_mask`` (B, 1, H, W) in [0, 1].
        """
        losses, output = self.losses(batch)
        self.mean_losses.update(losses, len(batch["key"]))
        masks = predicted_masks(output.conditioning, output.refinement, like=batch["wearing_mask"])
        self.mask_iou.update(masks, batch["box_mask"], batch["wearing_mask"], batch["category"])
        return {
            "loss": sum(self.initial_loss_weights[name] * value for name, value in losses.items()),
            "masked_person_image": output.conditioning.masked_person_image,
            "mask_predictions": masks,
            "attention_mask": output.attention_mask,
        }

    def test_step(self, batch: TryOnBatch, batch_idx: int) -> dict[str, Any]:
        """Do what the validation step does, on the test data."""
        return self.validation_step(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        """Log the losses, and the masks' IoU of the box and of every iteration."""
        self._log_means("val")

    def on_test_epoch_end(self) -> None:
        """Log the losses, and the masks' IoU of the box and of every iteration."""
        self._log_means("test")

    def _log_means(self, stage: str) -> None:
        """Log what the metrics say of all processes: one that had no sample takes part, which `log` does not."""
        self.log_dict({f"{stage}/loss_{name}": mean for name, mean in self.mean_losses.compute().items()})
        self.mean_losses.reset()
        summary = self.mask_iou.summary(float(self.mask_threshold))
        self.log_dict({f"{stage}/iou_{name}": value for name, value in summary["iou"].items()})
        self.mask_iou.reset()

    @torch.no_grad()
    def predict_masks(self, batch: TryOnBatch) -> Tensor:
        """Predict the wearing masks from ornament, masked person and box.

        Args:
            batch: See :class:`TryOnBatch`; the wearing mask serves for its size only.

        Returns:
            M_hat^1 ... M_hat^T at the size of the images, (T, B, 1, H, W) in [0, 1].
        """
        conditioning = self.model.encode(batch)
        return predicted_masks(conditioning, self.model.refine(conditioning, self.steps_taken), like=batch["box_mask"])

    def predict_step(self, batch: TryOnBatch, batch_idx: int) -> dict[str, Any]:
        """Generate the person wearing the ornament.

        Args:
            batch: See :class:`TryOnBatch`; of the person, only what lies outside the box is used.
            batch_idx: Position of the batch.

        Returns:
            ``key``, ``image`` (B, 3, H, W) in [-1, 1], and ``mask`` (B, 1, H, W) in [0, 1], the mask of the last
            iteration or the box, and ``mask_predictions`` (T, B, 1, H, W), those of all iterations. Samples in
            ``completed_keys`` are left out.
        """
        rows = [row for row, key in enumerate(batch["key"]) if key not in self.completed_keys]
        if not rows:
            images, masks = batch["person_image"][:0], batch["box_mask"][:0]
            return {"key": [], "image": images, "mask": masks, "mask_predictions": masks[None]}
        return self.generate(select_rows(batch, rows) if len(rows) < len(batch["key"]) else batch)

    @torch.no_grad()
    def generate(self, batch: TryOnBatch, sampler: Sampler | None = None) -> dict[str, Any]:
        """Generate the person wearing the ornament.

        Args:
            batch: See :meth:`predict_step`.
            sampler: Another sampler than the module's own.

        Returns:
            See :meth:`predict_step`.
        """
        sampler = sampler or self.sampler
        conditioning = self.model.encode(batch)
        generated = sampler(self.model, self.noise_scheduler, conditioning, batch["sample_seed"], self.steps_taken)
        masks = predicted_masks(conditioning, generated.refinements[-1], like=batch["box_mask"])
        mask = masks[-1] if len(masks) else batch["box_mask"]
        image = self.model.decode(generated.latents)
        output = {"key": batch["key"], "image": image, "mask": mask, "mask_predictions": masks}
        said = {} if conditioning.warp is None else {"correspondence": conditioning.warp.uv, "warp": conditioning.warp}
        return output | said

    def configure_optimizers(self) -> OptimizerConfig | OptimizerLRSchedulerConfig:
        """Build the optimizer of the trained parameters and its per-step learning-rate schedule.

        Their options are those of the configuration after a resume, too.

        Raises:
            ValueError: If the schedule has a learning rate of its own that is not the optimizer's.
        """
        optimizer = self.optimizer([parameter for parameter in self.parameters() if parameter.requires_grad])
        if self._trainer is not None and getattr(self.trainer.precision_plugin, "scaler", None) is None:
            # Nothing scales the gradients, so that a fused optimizer unscales none, and Lightning may clip them.
            optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
        if self.lr_scheduler is None:
            keep_options(optimizer, None)
            return {"optimizer": optimizer}
        scheduler = build_scheduler(optimizer, self.lr_scheduler, self._trainer)
        keep_options(optimizer, self.lr_scheduler)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_train_batch_start(self, batch: TryOnBatch, batch_idx: int) -> None:
        """Note how far training is, for what is scheduled by the step."""
        self.steps_taken = self.trainer.global_step

    def on_after_backward(self) -> None:
        """Check, in the first step, that every parameter that should train gets a gradient.

        Raises:
            RuntimeError: If one gets none.
        """
        if self.trainer.global_step == 0:
            check_gradients(self)

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls,
        checkpoint_path: str | Path,
        map_location: str | torch.device | None = None,
        **parts: Any,  # noqa: ANN401
    ) -> Self:
        """Rebuild the module that a checkpoint holds, swapped parts included, without unpickling.

        Args:
            checkpoint_path: A checkpoint of this module.
            map_location: Device of the weights.
            parts: Arguments of the constructor that replace those of the checkpoint; all of them for a checkpoint of
                a module that was built by hand.

        Raises:
            ValueError: If the checkpoint names parts that cannot be built here.
        """
        with configuration_of(checkpoint_path):
            module: Self = super().load_from_checkpoint(
                checkpoint_path, map_location=map_location, weights_only=True, **parts
            )
        return module

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave frozen parts, which come from their own files, out of the checkpoint; let any strategy resume it."""
        checkpoint["state_dict"] = drop_frozen(self, checkpoint["state_dict"])
        if checkpoint.get("optimizer_states"):
            checkpoint["optimizer_states"] = number_all_parameters(self, checkpoint["optimizer_states"])
        checkpoint["crop_settings"] = self.crop_settings

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take frozen parts from this module; steps taken and crops, from the checkpoint."""
        if "state_dict" in checkpoint:
            checkpoint["state_dict"] = restore_frozen(self, checkpoint["state_dict"])
        else:  # a strategy that shards weights has loaded them already, as far as the names fit
            assert self.trainer.ckpt_path is not None
            check_weights(self, self.trainer.ckpt_path)
        self.steps_taken = checkpoint["global_step"]
        self.crop_settings = {**checkpoint.get("crop_settings", {}), **self.crop_settings}
