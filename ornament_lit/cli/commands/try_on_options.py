"""The options of ``try-on``, and what can be said of them before anything heavy is loaded."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ornament_lit.utils.categories import Category
from ornament_lit.utils.devices import Device, DType

GROUPED = ("ornament", "ornament_mask", "box", "type")


@dataclass(frozen=True)
class WornOptions:
    """One more ornament.

    Attributes:
        ornament: Image of the ornament.
        box: Where it is worn, x0,y0,x1,y1 or x0,y0,x1,y1,angle, see :class:`TryOnOptions`.
        type: Kind of the ornament; noted in the image's metadata, and told to a model that has a prompt.
        ornament_mask: White where the ornament is in its image.
    """

    ornament: str | None = None
    box: str | None = None
    type: Category | None = None
    ornament_mask: str | None = None


@dataclass(frozen=True)
class TryOnOptions:
    """Show a person wearing an ornament: try-on --ornament A --person B --box x0,y0,x1,y1 --type T --output O.

    Several ornaments on one person: repeat --ornament, --box, --type and --ornament-mask; they are put on one after
    another. Many images: --batch LIST.csv with the columns person, ornament, box and, as needed, type,
    ornament_mask, output and seed; rows with one output are worn together; --output is a folder then. Paths in the
    list are relative to it. Outside of the masks, a PNG has the pixels of the photograph, bit by bit.

    Attributes:
        checkpoint: Checkpoint of a training run. Without it and --pipeline, the weights that ship are taken.
        pipeline: Or the folder of an exported pipeline, or bundled:small, the weights that ship.
        ornament: Image of the ornament. Without --ornament-mask, its opacity says where the ornament is, or else
            what differs from the colours at its border.
        person: Photograph of the person.
        box: Where the ornament is worn, x0,y0,x1,y1 in pixels of the photograph as a viewer shows it. Draw it larger
            than the ornament will be, by a tenth to a quarter of its size on each side: the ornament's size is taken
            from it. A fifth number tells the pose: the degrees by which that rectangle is turned about its centre,
            clockwise.
        type: Kind of the ornament; noted in the image's metadata, and told to a model that has a prompt.
        ornament_mask: White where the ornament is in its image.
        output: Image to write (.png, .jpg); with --batch, a folder.
        batch: A CSV list of many images.
        steps: Denoising steps; those of the training's sampler if absent.
        guidance: Guidance scale, 1 for none; that of the training's sampler if absent.
        seed: Seed of the noise.
        region: Paste the generated image in the predicted mask, or in the whole box; of a turned box, in the upright
            one around it.
        preview: Stop after the warp, which takes less than a second on a CPU; needs a model with a warp.
        detail: Sample the ornament's own image at the photograph's resolution, through the warp's field; true where
            the model has a warp, if absent.
        erase: Do not let the model see what is in the box, as where the person wears something there already.
        save_masks: Write the masks beside the image, too.
        raw: Take the raw weights of a checkpoint instead of the averaged ones.
        resolution: Side of the generated crop; needed for checkpoints that do not say it.
        device: Where to compute; auto for a CUDA device where there is one.
        dtype: Type of the numbers.
    """

    checkpoint: str | None = None
    pipeline: str | None = None
    ornament: str | None = None
    person: str | None = None
    box: str | None = None
    type: Category | None = None
    ornament_mask: str | None = None
    output: str | None = None
    batch: Path | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int = 0
    region: Literal["mask", "box"] = "mask"
    preview: bool = False
    detail: bool | None = None
    erase: bool = False
    save_masks: bool = False
    raw: bool = False
    resolution: int | None = None
    device: Device = "auto"
    dtype: DType = "float32"


def check_options(options: TryOnOptions) -> None:
    """Check what can be said before anything heavy is loaded.

    Raises:
        ValueError: If options are missing or contradict each other.
    """
    check_source(options.checkpoint, options.pipeline, options.raw, options.resolution)
    needed = ["output"] if options.batch else ["person", "output"]
    absent = [f"--{name}" for name in needed if getattr(options, name) is None]
    if absent:
        raise ValueError(f"missing: {', '.join(absent)}")
    if not options.batch and str(options.output).endswith(("/", os.sep)):
        raise ValueError(f"--output must be an image's file, got the folder {options.output!r}; give a name in it")
    given = [f"--{name}" for name in ("person", *GROUPED) if getattr(options, name) is not None]
    if options.batch and given:
        raise ValueError(f"with --batch, the list says {', '.join(given)}; leave them out")
    if options.steps is not None and options.steps < 1:
        raise ValueError(f"--steps must be at least 1, got {options.steps}")
    if options.guidance is not None and not options.guidance >= 0:
        raise ValueError(f"--guidance must not be negative, got {options.guidance}")
    if not 0 <= options.seed < 2**63:
        raise ValueError(f"--seed must be from 0 to 2**63 - 1, got {options.seed}")


def check_source(checkpoint: str | None, pipeline: str | None, raw: bool, resolution: int | None) -> None:
    """Check what weights are named by.

    Args:
        checkpoint: Checkpoint of a training run.
        pipeline: Folder of an exported pipeline, or ``bundled:small``.
        raw: Whether the raw weights of a checkpoint are asked for.
        resolution: Side of the crops, for a checkpoint that does not say it.

    Raises:
        ValueError: If they contradict each other.
    """
    if checkpoint is not None and pipeline is not None:
        raise ValueError("give either --checkpoint or --pipeline, or neither for the weights that ship")
    if checkpoint is None and (raw or resolution):
        raise ValueError("--raw and --resolution are for a --checkpoint; an exported pipeline has chosen them")
