"""Stages of a mask: the box, and what each iteration predicts."""

from torch import Tensor

from ornament_lit.metrics.base import GeneratedBatch


def stages(batch: GeneratedBatch, threshold: float) -> dict[str, Tensor]:
    """Boolean masks, (B, 1, H, W), of the ``box`` and of the iterations ``1`` to ``T``.

    Args:
        batch: The generated batch.
        threshold: A pixel counts where its predicted probability exceeds it.
    """
    iterations = {str(number): mask > threshold for number, mask in enumerate(batch["mask_predictions"], start=1)}
    return {"box": batch["box_mask"] > 0.5} | iterations


def check_threshold(threshold: float) -> float:
    """Check that a threshold is within (0, 1).

    Raises:
        ValueError: If it is not.
    """
    if not 0.0 < threshold < 1.0:
        raise ValueError(f"threshold must be within (0, 1), such as 0.5, got {threshold}")
    return threshold
