"""The ornament at the photograph's own resolution: its image, sampled through the warp's enlarged field.

Where, which point and which light come from networks that look at a few pixels; all three are smooth. The beads come
from the ornament's photograph. What the denoiser changed is taken over at low frequencies: light, shadow, contact.

Shape legend: r resolution of a crop for the networks, s its side in pixels of the photograph, p side of the
ornament's crop in pixels of its image.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ornament_lit.imaging.compositing import Composite, blend
from ornament_lit.imaging.crops import OrnamentCrop, PersonCrop, tensor_to_image, tensor_to_mask
from ornament_lit.imaging.reading import as_rgb
from ornament_lit.imaging.texture import lit, sample_texture, spread_colours
from ornament_lit.models.warps.base import WarpOutput
from ornament_lit.models.warps.extension import gaussian_window

LOW_FREQUENCY = 2.0
"""Deviation of the window that separates low from high frequencies, in pixels of the networks."""
SMALLEST_TEXTURE, LARGEST_TEXTURE = 16, 4096
PIXELS_AT_ONCE = 2**20
"""Of the photograph; the fields of each take about a hundred bytes."""


def paste_detail(
    warp: WarpOutput, generated: Tensor, ornament: OrnamentCrop, person: PersonCrop, whole_box: bool = False
) -> Composite:
    """Lay an ornament over a photograph in full detail.

    Args:
        warp: What the warp says, one row: (1, ..., r, r), on the CPU.
        generated: What the model generated, (3, r, r) in [-1, 1]; the warp's composite where nothing was denoised.
        ornament: The ornament's image.
        person: The person.
        whole_box: Lay the generated image over the whole box, too, under the ornament; else only the ornament's own
            pixels change.

    Returns:
        The photograph with the ornament, and how much of each pixel it covers. Where it is 0, each pixel is that of
        the photograph, bit by bit.
    """
    side = person.crop.size
    enlarge = enlargement(warp.uv.shape[-1], side)
    image, mask = ornament.at(texture_size(warp.uv, ornament.crop.size, side))
    texture = torch.cat([spread_colours(image[None], mask[None]), mask[None]], dim=1)
    change = gaussian_window(generated[None] - warp.composite.float().clamp(-1, 1), LOW_FREQUENCY)
    fields = torch.cat([warp.uv.float(), warp.visibility.float(), warp.gain.float(), change, generated[None]], dim=1)
    result, whole = person.photograph.copy(), Image.new("L", person.photograph.size)
    for strip in _strips(person):
        uv, visibility, gain, changed, skin = _enlarged(fields, enlarge, strip).split((2, 1, 3, 3, 3), dim=1)
        colours = sample_texture(texture[:, :3], uv, "border")
        coverage = (visibility * sample_texture(texture[:, 3:], uv)).clamp(0, 1)
        new = lit(colours, gain) + changed
        if whole_box:
            new, coverage = skin + (new - skin) * coverage, torch.ones_like(coverage)
        _lay(new[0].clamp(-1, 1), coverage[0], person, strip, result, whole)
    return Composite(result, whole)


def texture_size(uv: Tensor, full: int, side: int | None = None) -> int:
    """Side at which a texture has about as many pixels as the field shows, so that none is skipped.

    Args:
        uv: The field, (1, 2, r, r).
        full: p.
        side: s, to which the field will be enlarged; None for r.

    Returns:
        At most p, at least :data:`SMALLEST_TEXTURE`.
    """
    steps = torch.cat([(uv.diff(dim=axis)).norm(dim=1).flatten() for axis in (2, 3)])
    step = float(steps.median()) * uv.shape[-1] / (side or uv.shape[-1]) if len(steps) else 1.0
    wanted = 2 / max(step, 1e-6)
    return int(min(max(wanted, SMALLEST_TEXTURE), max(full, SMALLEST_TEXTURE), LARGEST_TEXTURE))


def enlargement(resolution: int, side: int) -> Tensor:
    """The map that resizes a line of a smooth field, (s, r): bicubic where it grows, bilinear where it shrinks."""
    lines = torch.eye(resolution)[None, None]
    size = (side, resolution)
    mode = "bilinear" if resolution >= side else "bicubic"
    return F.interpolate(lines, size=size, mode=mode, align_corners=False)[0, 0]


def _enlarged(fields: Tensor, enlarge: Tensor, part: tuple[int, int, int, int]) -> Tensor:
    """A part of fields (1, C, r, r) as they are at the size of the crop; resizing is separable."""
    x0, y0, x1, y1 = part
    return enlarge[y0:y1] @ fields @ enlarge[x0:x1].T


def _strips(person: PersonCrop) -> Iterator[tuple[int, int, int, int]]:
    """What of the crop lies in the box, as (x0, y0, x1, y1), in strips of some rows so that memory is bounded."""
    left, top, _ = person.crop
    x0, x1, y0, y1 = (
        math.ceil(edge - start - 0.5)
        for edge, start in ((person.box[0], left), (person.box[2], left), (person.box[1], top), (person.box[3], top))
    )
    rows = max(1, PIXELS_AT_ONCE // max(x1 - x0, 1))
    if x0 < x1:
        yield from ((x0, start, x1, min(start + rows, y1)) for start in range(y0, y1, rows))


def _lay(
    generated: Tensor,
    share: Tensor,
    person: PersonCrop,
    part: tuple[int, int, int, int],
    result: Image.Image,
    whole: Image.Image,
) -> None:
    """Mix (3, h, w) into a part of the photograph by a share (1, h, w); the share goes into ``whole``."""
    left, top, _ = person.crop
    place = (part[0] + left, part[1] + top, part[2] + left, part[3] + top)
    before, weights = person.photograph.crop(place), tensor_to_mask(share)
    result.paste(blend(before, as_rgb(before), tensor_to_image(generated), weights), place[:2])
    whole.paste(weights, place[:2])
