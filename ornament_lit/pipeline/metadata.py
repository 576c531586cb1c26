"""What the file of a generated image says of how it was made."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from ornament_lit.imaging.geometry import AnyBox
from ornament_lit.pipeline.pipeline import OrnamentTryOnPipeline, Region
from ornament_lit.utils.devices import DType
from ornament_lit.utils.versions import VERSION

METADATA = "ornament_lit"
"""Keyword of the text in a PNG."""


@dataclass(frozen=True)
class WornOrnament:
    """What is told of an ornament that was put on.

    Attributes:
        file: Name of its image's file, without folders.
        box: The box that was given.
        type: Its type, if it was said.
        mask: Name of its mask's file, if there was one.
    """

    file: str
    box: AnyBox
    type: str | None = None
    mask: str | None = None


def image_metadata(
    pipeline: OrnamentTryOnPipeline,
    ornaments: Sequence[WornOrnament],
    seed: int,
    steps: int | None = None,
    guidance: float | None = None,
    region: Region = "mask",
    preview: bool = False,
    detail: bool | None = None,
    erase: bool = False,
    dtype: DType = "float32",
) -> dict[str, str]:
    """How an image was made; the options are those of :meth:`OrnamentTryOnPipeline.__call__`.

    Args:
        pipeline: What generated it.
        ornaments: What was put on, in this order.
        seed: Seed of the noise.
        steps: Denoising steps; None for the pipeline's own.
        guidance: Guidance scale; None for the pipeline's own.
        region: Where it was pasted.
        preview: Whether it was stopped after the warp.
        detail: Whether the ornament's own image was sampled; None where the model has a warp.
        erase: Whether the box was hidden from the model.
        dtype: Type of the numbers that was asked for; some parts compute in float32 whatever it is.

    Returns:
        Keywords and texts for :func:`ornament_lit.imaging.writing.save_image`: the software, and JSON.
    """
    settings = pipeline.settings
    made = {
        "model": dict(settings.source),
        "seed": seed,
        "steps": settings.num_inference_steps if steps is None else steps,
        "guidance": settings.guidance_scale if guidance is None else guidance,
        "scheduler": type(pipeline.scheduler).__name__,
        "resolution": settings.resolution,
        "region": region,
        "preview": preview,
        "detail": detail is not False and bool(pipeline.model.warp.num_predictions),
        "erase": erase or not settings.bare,
        "dtype": dtype,
        "ornaments": [
            {"file": worn.file, "box": list(worn.box), "type": worn.type, "mask": worn.mask} for worn in ornaments
        ],
    }
    return {"Software": f"ornament_lit {VERSION}", METADATA: json.dumps(made)}
