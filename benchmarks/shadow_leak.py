"""How much an ornament shows outside its box: shadow and reflection, against how far the box is grown.

Rendered sets know the same person without the ornament (``bare.jpg``). A pixel leaks if it differs there by more than
``tolerance`` in any channel and lies outside the box. Run ``python benchmarks/shadow_leak.py --help`` for the options.
"""

import io
import json
from collections import defaultdict

import numpy as np
from jsonargparse import auto_cli
from PIL import Image
from webdataset import WebDataset

from datamodules.storage.shard_paths import resolve_shards
from ornament_lit.imaging.geometry import Crop, draw_box, grow_box
from ornament_lit.utils.categories import CATEGORIES


def measure(
    shards: str = "bundled:rendered_128/*.tar",
    growths: tuple[float, ...] = (0.0, 0.1, 0.175, 0.25, 0.5),
    tolerance: int = 12,
) -> None:
    """Print the share of the image that leaks, by type and by growth of the box.

    Args:
        shards: Shards with ``bare.jpg``.
        growths: Fractions of the box by which each side moves outwards.
        tolerance: Difference of 0 to 255 that is still noise of rendering and JPEG.
    """
    leaks: dict[str, list[list[float]]] = defaultdict(list)
    for sample in WebDataset(resolve_shards(shards), shardshuffle=False):
        person, bare = (np.asarray(Image.open(io.BytesIO(sample[f"{name}.jpg"])), int) for name in ("person", "bare"))
        differs = np.abs(person - bare).max(axis=-1) > tolerance
        description = json.loads(sample["json"])
        window = Crop(0, 0, len(person))
        boxes = [grow_box(description["box"], (growth,) * 4) for growth in growths]
        outside = [draw_box(box, window, len(person))[0].numpy() == 0 for box in boxes]
        leaks[description["type"]].append([100 * float((differs & part).mean()) for part in outside])
    print("% of the image | " + " | ".join(f"grown {growth:.3f}" for growth in growths))
    for name in CATEGORIES:
        print(f"{name:16} | " + " | ".join(f"{value:11.2f}" for value in np.mean(leaks[name], axis=0)))
    everything = [row for rows in leaks.values() for row in rows]
    print(f"{'all':16} | " + " | ".join(f"{value:11.2f}" for value in np.mean(everything, axis=0)))


if __name__ == "__main__":
    auto_cli(measure, as_positional=False)
