"""What ``try-on`` does for a user: persons who wear nothing yet, from the test split, the first of each type.

Rendered sets know the same person without the ornament (``bare.jpg``). Columns: the ornament's image, that person,
what the pipeline makes of both and the box, and the photograph with the ornament, which it did not see.
Run ``python benchmarks/bare.py --checkpoint C`` and look at the image; ``--help`` tells the options.
"""

import io
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from jsonargparse import auto_cli
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor, to_pil_image
from torchvision.utils import make_grid
from webdataset import WebDataset

from datamodules.storage.shard_paths import resolve_shards
from ornament_lit.imaging.geometry import grow_box
from ornament_lit.pipeline import OrnamentTryOnPipeline
from ornament_lit.pipeline.from_checkpoint import load_checkpoint
from ornament_lit.utils.categories import CATEGORIES


def show(
    checkpoint: Path,
    output: Path = Path("bare.png"),
    shards: str = "bundled:rendered_128/test-*.tar",
    each: int = 3,
    growth: float = 0.175,
    preview: bool = True,
    columns: int = 2,
    tile: int = 128,
) -> None:
    """Try ornaments on and write one image of all.

    Args:
        checkpoint: Of a model with a warp.
        output: The image.
        shards: Shards with ``bare.jpg``.
        each: Samples of each type, the first ones of the shards.
        growth: Fraction of the annotated box by which each side moves outwards; training draws 0.1 to 0.25.
        preview: The warp alone; false generates with the denoiser, too.
        columns: Samples side by side.
        tile: Width and height of each image in the grid, in pixels.
    """
    torch.set_num_threads(1)
    pipeline = load_checkpoint(checkpoint)
    pipeline.set_progress_bar_config(disable=True)
    rows: dict[str, list[list[Image.Image]]] = defaultdict(list)
    for sample in WebDataset(resolve_shards(shards), shardshuffle=False):
        category = json.loads(sample["json"])["type"]
        if len(rows[category]) < each:
            rows[category].append(try_on(pipeline, sample, growth, preview))
    images = [image.resize((tile, tile)) for category in CATEGORIES for row in rows[category] for image in row]
    grid = make_grid(torch.stack(list(map(pil_to_tensor, images))), nrow=4 * columns, padding=2, pad_value=255)
    to_pil_image(grid).save(output)
    print(output)


def try_on(pipeline: OrnamentTryOnPipeline, sample: dict[str, Any], growth: float, preview: bool) -> list[Image.Image]:
    """The four images of a sample."""
    ornament, bare, person = (
        Image.open(io.BytesIO(sample[f"{name}.jpg"])).convert("RGB") for name in ("ornament", "bare", "person")
    )
    mask = Image.open(io.BytesIO(sample["ornament_mask.png"]))
    box = grow_box(json.loads(sample["json"])["box"], (growth,) * 4)
    left, top = (max(round(value), 0) for value in box[:2])
    right, bottom = (min(round(value), side) for value, side in zip(box[2:], bare.size, strict=True))
    worn = pipeline(ornament, bare, (left, top, right, bottom), mask, seed=0, preview=preview)
    return [ornament, bare, worn.images[0], person]


if __name__ == "__main__":
    auto_cli(show, as_positional=False)
