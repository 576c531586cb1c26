"""The ornament at the photograph's own resolution: its picture, sampled through the warp's enlarged field.

Where, which point and which light come from networks that look at a few pixels; all three are smooth. The beads come
from the ornament's photograph. What the denoiser changed is taken over at low frequencies: light, shadow, contact.

Shape legend: r resolution of a window for the networks, s its side in pixels of the photograph, p side of the
ornament's window in pixels of its picture.
"""

import torch
from PIL import Image
from torch import Tensor

from ornament_lit.compositing import Composite, blend
from ornament_lit.geometry import visible_part
from ornament_lit.models.warps.base import WarpOutput
from ornament_lit.models.warps.extension import gaussian_window
from ornament_lit.models.warps.pose_aware import resize_smooth
from ornament_lit.models.warps.texture import lit, sample_texture, spread_colours
from ornament_lit.photographs import as_rgb
from ornament_lit.windows import OrnamentWindow, PersonWindow, tensor_to_image, tensor_to_mask

LOW_FREQUENCY = 2.0
"""Deviation of the window that separates low from high frequencies, in pixels of the networks."""
SMALLEST_TEXTURE, LARGEST_TEXTURE = 16, 4096


def paste_detail(
    warp: WarpOutput, drawing: Tensor, ornament: OrnamentWindow, person: PersonWindow, whole_box: bool = False
) -> Composite:
    """Lay an ornament over a photograph in full detail.

    Args:
        warp: What the warp says, one row: (1, ..., r, r), on the CPU.
        drawing: What the model drew, (3, r, r) in [-1, 1]; the warp's composite where nothing was denoised.
        ornament: The ornament's picture.
        person: The person.
        whole_box: Lay the drawing over the whole box, too, under the ornament; else only the ornament's own pixels
            change.

    Returns:
        The photograph with the ornament, and how much of each pixel it covers. Where it is 0, each pixel is that of
        the photograph, bit by bit.
    """
    side = person.crop.size
    size = (side, side)
    uv = resize_smooth(warp.uv.float(), size)
    image, mask = ornament.at(texture_size(uv, ornament.crop.size))
    colours = sample_texture(spread_colours(image[None], mask[None]), uv, "border")
    visibility, gain = (resize_smooth(part.float(), size) for part in (warp.visibility, warp.gain))
    change = resize_smooth(gaussian_window(drawing[None] - warp.composite.float().clamp(-1, 1), LOW_FREQUENCY), size)
    drawn = lit(colours, gain) + change
    coverage = (visibility * sample_texture(mask[None], uv)).clamp(0, 1) * _inside(person)
    share = coverage
    if whole_box:
        skin = resize_smooth(drawing[None], size)
        drawn, share = skin + (drawn - skin) * coverage, _inside(person)
    return _lay(drawn[0].clamp(-1, 1), share[0], person)


def texture_size(uv: Tensor, full: int) -> int:
    """Side at which a texture has about as many pixels as the field shows, so that none is skipped.

    Args:
        uv: The field, (1, 2, s, s).
        full: p.

    Returns:
        At most p, at least :data:`SMALLEST_TEXTURE`.
    """
    steps = torch.cat([(uv.diff(dim=axis)).norm(dim=1).flatten() for axis in (2, 3)])
    step = float(steps.median()) if len(steps) else 1.0
    wanted = 2 / max(step, 1e-6)
    return int(min(max(wanted, SMALLEST_TEXTURE), max(full, SMALLEST_TEXTURE), LARGEST_TEXTURE))


def _inside(person: PersonWindow) -> Tensor:
    """1 in the box, at the photograph's resolution, (1, 1, s, s)."""
    left, top, side = person.crop
    x, y = (torch.arange(side) + start + 0.5 for start in (left, top))
    x0, y0, x1, y1 = person.box
    inside = ((x > x0) & (x < x1))[None] & ((y > y0) & (y < y1))[:, None]
    return inside.float()[None, None]


def _lay(drawn: Tensor, share: Tensor, person: PersonWindow) -> Composite:
    """Mix (3, s, s) into the photograph by a share (1, s, s)."""
    photograph, crop = person.photograph, person.crop
    visible = visible_part(crop, *photograph.size)
    part = (visible[0] - crop.left, visible[1] - crop.top, visible[2] - crop.left, visible[3] - crop.top)
    before = photograph.crop(visible)
    weights = tensor_to_mask(share).crop(part)
    picture, whole = photograph.copy(), Image.new("L", photograph.size)
    picture.paste(blend(before, as_rgb(before), tensor_to_image(drawn).crop(part), weights), visible[:2])
    whole.paste(weights, visible[:2])
    return Composite(picture, whole)
