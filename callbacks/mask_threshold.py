"""The masks' threshold, fixed on training samples: no ground truth of the validation has a part in it."""

from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning.pytorch import Trainer

from ornament_lit.metrics.mask_iou import MaskIoU

if TYPE_CHECKING:
    from ornament_lit.module import TryOnModule


def fix_threshold(trainer: Trainer, module: "TryOnModule", num_batches: int | None) -> str:
    """Make the threshold with the best IoU over all iterations the module's ``mask_threshold``.

    Args:
        trainer: Its data module has ``calibration_dataloader()``.
        module: Predicts the masks.
        num_batches: Batches (of each process) to fix it on; None for all.

    Returns:
        What it was fixed on, in words.
    """
    from rich.progress import track

    if not module.mask_iou.num_iterations:
        return "nothing (no mask is predicted)"
    data = cast("Any", trainer).datamodule
    metric = MaskIoU(module.mask_iou.num_iterations, module.mask_iou.thresholds).to(module.device)
    limit = 1 if cast("Any", trainer).fast_dev_run else num_batches
    hidden = not trainer.is_global_zero or trainer.progress_bar_callback is None
    batches = islice(data.calibration_dataloader(), limit)
    with torch.no_grad(), trainer.precision_plugin.val_step_context():
        for batch in track(batches, "fixing the mask threshold", limit, transient=True, disable=hidden):
            batch = trainer.strategy.batch_to_device(batch, module.device)
            masks = module.predict_masks(batch)
            metric.update(masks, batch["box_mask"], batch["wearing_mask"], batch["category"])
    module.mask_threshold.fill_(metric.best_threshold())
    return f"{int(metric.compute()['num_samples'][0])} training samples"
