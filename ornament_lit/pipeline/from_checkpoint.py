"""From a checkpoint of a training run to a pipeline."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ornament_lit.checkpointing.state import raw_weights, read_checkpoint
from ornament_lit.module import TryOnModule
from ornament_lit.pipeline.pipeline import OrnamentTryOnPipeline
from ornament_lit.pipeline.serialization import Settings
from ornament_lit.utils.bundled import weights_path
from ornament_lit.utils.files import file_hash


def load_checkpoint(
    path: str | Path, raw: bool = False, resolution: int | None = None, device: str = "cpu"
) -> OrnamentTryOnPipeline:
    """Make a pipeline of a checkpoint.

    Args:
        path: A checkpoint of :class:`ornament_lit.module.TryOnModule`, which is read without unpickling, or a pipeline:
            its folder or ``bundled:small``.
        raw: Take the raw weights instead of the averaged ones.
        resolution: Side of the crops in pixels; None for that of the training, which the checkpoint knows.
        device: Where the weights go.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no checkpoint of this package, or does not know the resolution; or raw weights or another
            resolution are asked of a pipeline, which has chosen them.
    """
    path = weights_path(path)
    if path.is_dir():
        if raw or resolution:
            raise ValueError(f"raw weights and a resolution are for a checkpoint; the pipeline {path} has chosen them")
        return OrnamentTryOnPipeline.from_pretrained(path).to(device)
    checkpoint = read_checkpoint(path)
    averaged = raw_weights(checkpoint) is not None
    if "hyper_parameters" not in checkpoint:
        raise ValueError(f"{path} is of a module that was built by hand, and does not name its parts; use pipeline_of")
    size = _resolution(resolution, checkpoint.get("crop_settings", {}))
    try:
        module = TryOnModule.load_from_checkpoint(path, map_location="cpu")
    except (RuntimeError, TypeError) as error:
        raise ValueError(str(error)) from error
    if raw and averaged:
        put_raw_weights(module, checkpoint)
    weights = "averaged" if averaged and not raw else "raw"
    source = {"checkpoint": Path(path).name, "sha256": file_hash(path), "weights": weights}
    return pipeline_of(module, size, source).to(device)


def pipeline_of(
    module: TryOnModule, resolution: int | None = None, source: Mapping[str, str] | None = None
) -> OrnamentTryOnPipeline:
    """Make a pipeline of a module; they share their weights.

    Args:
        module: A trained module.
        resolution: Side of the crops in pixels; None for that of the training.
        source: What to say of where the weights come from.

    Raises:
        ValueError: If nobody says the resolution.
    """
    settings = Settings(
        resolution=_resolution(resolution, module.crop_settings),
        crop_factor=module.crop_settings.get("crop_factor", Settings.crop_factor),
        mask_threshold=round(float(module.mask_threshold), 6),
        steps_taken=module.steps_taken,
        condition_dropout=module.diffusion_loss.condition_dropout,
        num_inference_steps=module.sampler.num_steps,
        guidance_scale=module.sampler.guidance_scale,
        refresh=module.sampler.refresh,
        wide_view=module.crop_settings.get("wide_view"),
        detail=int(module.crop_settings.get("detail", 1)),
        bare=module.crop_settings.get("bare", 0) > 0,
        strength=module.sampler.strength,
        source=source or {},
    )
    scheduler = module.sampler.scheduler_for(module.noise_scheduler)
    return OrnamentTryOnPipeline(module.model, scheduler, settings)


def _resolution(given: int | None, crop_settings: Mapping[str, float]) -> int:
    size = given or crop_settings.get("resolution")
    if size is None:
        raise ValueError("the checkpoint does not say the resolution that it was trained at; give --resolution")
    return int(size)


def put_raw_weights(module: TryOnModule, checkpoint: Mapping[str, Any]) -> None:
    """Put the raw weights of a checkpoint into its module."""
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name, value in (raw_weights(checkpoint) or {}).items():
            parameters[name].copy_(value)
