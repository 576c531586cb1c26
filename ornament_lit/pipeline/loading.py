"""From what a user names, a checkpoint, a folder or nothing, to a pipeline that is ready to generate."""

import torch

from ornament_lit.pipeline.from_checkpoint import load_checkpoint
from ornament_lit.pipeline.pipeline import OrnamentTryOnPipeline
from ornament_lit.utils.bundled import DEFAULT_WEIGHTS
from ornament_lit.utils.devices import Device, DType


def load_pipeline(
    checkpoint: str | None = None,
    pipeline: str | None = None,
    raw: bool = False,
    resolution: int | None = None,
    device: Device = "auto",
    dtype: DType = "float32",
) -> OrnamentTryOnPipeline:
    """Load a pipeline, where nothing is named the one that ships, and bring it to its device.

    Args:
        checkpoint: Checkpoint of a training run.
        pipeline: Or the folder of an exported pipeline, or ``bundled:small``.
        raw: Take the raw weights of a checkpoint instead of the averaged ones.
        resolution: Side of the generated crop; needed for checkpoints that do not say it.
        device: ``auto`` for a CUDA device where there is one.
        dtype: Type of the numbers.

    Raises:
        ValueError: If it cannot be loaded, or there is no such device.
        FileNotFoundError: If it is not there.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device=cuda needs a CUDA device, and there is none; leave it out")
    chosen = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    if checkpoint is None:
        loaded = OrnamentTryOnPipeline.from_pretrained(pipeline or DEFAULT_WEIGHTS)
    else:
        loaded = load_checkpoint(checkpoint, raw, resolution)
    return loaded.to(chosen, getattr(torch, dtype))
