"""Views to batches on a device: each image is looked up once, at the points that crop, turn and mirror lead to.

Shape legend: B batch, R resolution, k its factor of the ornament's detail, h, w size of a stored image.
"""

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.resident.store import Store
from datamodules.resident.views import Frames, Views
from datamodules.samples.carrying import LEAST
from datamodules.samples.transforms import TripletTransform
from ornament_lit.batch import BarePerson, Correspondence, OrnamentDetail, TryOnBatch, WideView
from ornament_lit.imaging.geometry import MID_GREY

Looks = tuple[Tensor, Tensor]
"""An image (B, 3, r, r) in [-1, 1] and its mask (B, 1, r, r) in [0, 1]."""


class Maps(NamedTuple):
    """Affine maps between crops and stored images, float64.

    Attributes:
        linear: From a crop's coordinates in [-1, 1] to pixels, (B, 2, 2).
        shift: (B, 2).
    """

    linear: Tensor
    shift: Tensor


@dataclass(frozen=True)
class Renderer:
    """Make the batches that a :class:`datamodules.samples.transforms.TripletTransform` would make, up to resampling.

    The result depends on store, transform and views alone, and no sample's on the others of its batch.

    Attributes:
        store: The images.
        transform: Says what a batch has.
    """

    store: Store
    transform: TripletTransform

    @torch.no_grad()
    def __call__(self, views: Views) -> TryOnBatch:
        """Make a batch on the store's device; the seeds stay where they are, since they are read on the CPU."""
        seeds, views = views.seeds, to_device(views, self.store.person.device)
        window = frame_maps(views.person, self._person_size, views.flip)
        reference = frame_maps(views.reference, self._ornament_size, views.flip)
        image, mask = self._person(views, window, self.transform.resolution)
        ornament, ornament_mask = self._ornament(views, reference, self.transform.resolution)
        batch = TryOnBatch(
            ornament_image=ornament,
            ornament_mask=ornament_mask,
            person_image=image,
            wearing_mask=mask,
            box_mask=draw_boxes(views.box, views.person.crop, self.transform.resolution, views.flip),
            category=views.categories,
            key=views.keys,
            sample_seed=seeds,
            components=views.components,
        )
        if self.transform.input_mask != "box":
            batch["input_mask"] = input_masks(views, mask, batch["box_mask"])
        if self.transform.correspondence:
            batch["correspondence"] = self._correspondence(views, window)
        if self.transform.wide_view is not None:
            batch["wide_view"] = self._wide_view(views, self.transform.wide_view)
        if self.transform.bare:
            batch["bare_person"] = self._bare_person(views, window)
        if self.transform.detail > 1:
            looks = self._ornament(views, reference, self.transform.detail * self.transform.resolution)
            batch["ornament_detail"] = OrnamentDetail(image=looks[0], mask=looks[1])
        return batch

    @property
    def _person_size(self) -> tuple[int, int]:
        return self.store.person.shape[-1], self.store.person.shape[-2]

    @property
    def _ornament_size(self) -> tuple[int, int]:
        return self.store.ornament.shape[-1], self.store.ornament.shape[-2]

    def _person(self, views: Views, maps: Maps, resolution: int, factor: float = 1.0) -> Looks:
        finer = supersampling(self._person_size, resolution, factor)
        images = self.store.person[views.rows], self.store.wearing_mask[views.rows]
        return look(*images, maps, views.person_tones, views.change, resolution, finer)

    def _ornament(self, views: Views, maps: Maps, resolution: int) -> Looks:
        images = self.store.ornament[views.rows], self.store.ornament_mask[views.rows]
        finer = supersampling(self._ornament_size, resolution)
        return look(*images, maps, views.ornament_tones, views.change, resolution, finer)

    def _bare_person(self, views: Views, maps: Maps) -> BarePerson:
        shown = views.bare & self.store.has_bare[views.rows]
        bare = BarePerson(image=self._shown(views, maps, shown), shown=shown.float())
        if self.transform.wide_view is not None:
            _, maps = self._widened(views, self.transform.wide_view)
            bare["wide_image"] = self._shown(views, maps, shown, self.transform.wide_view)
        return bare

    def _shown(self, views: Views, maps: Maps, shown: Tensor, factor: float = 1.0) -> Tensor:
        """Bare persons in crops; grey where they are not shown."""
        assert self.store.bare is not None
        images = self.store.bare[views.rows], torch.zeros_like(self.store.wearing_mask[views.rows])
        finer = supersampling(self._person_size, self.transform.resolution, factor)
        image, _ = look(*images, maps, views.person_tones, views.change, self.transform.resolution, finer)
        return image * shown[:, None, None, None]

    def _widened(self, views: Views, factor: float) -> tuple[Tensor, Maps]:
        """Wider crops of the persons, (B, 3), and their maps."""
        crop = widened(views.person.crop, factor)
        return crop, frame_maps(views.person._replace(crop=crop), self._person_size, views.flip)

    def _wide_view(self, views: Views, factor: float) -> WideView:
        crop, maps = self._widened(views, factor)
        image, _ = self._person(views, maps, self.transform.resolution, factor)
        box_mask = draw_boxes(views.box, crop, self.transform.resolution, views.flip)
        return WideView(image=image, box_mask=box_mask, factor=(crop[:, 2] / views.person.crop[:, 2]).float())

    def _correspondence(self, views: Views, maps: Maps) -> Correspondence:
        assert self.store.correspondence is not None
        resolution = self.transform.resolution
        finer = supersampling(self._person_size, resolution)
        planes = sample(self.store.correspondence[views.rows], maps, resolution, finer, "bilinear")
        kept = planes[:, 2:3] > LEAST
        points = planes[:, :2] / torch.where(kept, planes[:, 2:3], 1)
        known = torch.where(kept, planes[:, 2:3].clamp(max=1), 0)
        places = to_window(points, views.reference, self._ornament_size, views.flip)
        seen = torch.minimum(planes[:, 3:].clamp(min=0), known)
        return Correspondence(uv=torch.where(kept, places, 0), known=known, seen=seen)


def to_device(views: Views, device: torch.device) -> Views:
    """The views with their numbers on a device."""

    def move(value: object) -> object:
        if isinstance(value, Tensor):
            return value.to(device, non_blocking=True)
        return Frames(*(part.to(device, non_blocking=True) for part in value)) if isinstance(value, Frames) else value

    return Views(*(move(value) for value in views))  # type: ignore[arg-type]


def supersampling(size: tuple[int, int], resolution: int, factor: float = 1.0) -> int:
    """How many points a side are averaged to a pixel, so that a crop of the whole image is not aliased.

    Args:
        size: Width and height of the image.
        resolution: R.
        factor: Side of the crop over that of the person's.
    """
    return max(1, ceil(factor * max(size) / resolution))


def turns(angle: Tensor) -> Tensor:
    """Matrices (B, 2, 2) by which points (as rows) are turned counter-clockwise by degrees (B,)."""
    radians = angle.deg2rad()
    cosine, sine = radians.cos(), radians.sin()
    return torch.stack([torch.stack([cosine, -sine], -1), torch.stack([sine, cosine], -1)], -2)


def frame_maps(frames: Frames, size: tuple[int, int], flip: Tensor) -> Maps:
    """Where a crop's points are in the image before it was turned.

    Args:
        frames: The crops.
        size: Width and height of the image.
        flip: (B,) bool, which crops are mirrored.
    """
    half, turn = frames.crop[:, 2:] / 2, turns(frames.angle)
    middle = frames.crop[:, :2] + half - frames.turned / 2
    mirror = torch.stack([1.0 - 2.0 * flip.double(), torch.ones_like(half[:, 0])], -1)
    # Rows of points are multiplied by the transposed turn to undo it, and columns by the turn itself.
    linear = turn * (half * mirror)[:, None]
    return Maps(linear, torch.einsum("bij,bj->bi", turn, middle) + middle.new_tensor(size) / 2)


def sample(planes: Tensor, maps: Maps, resolution: int, finer: int, mode: str) -> Tensor:
    """Look images up in crops; outside of them is 0.

    Args:
        planes: (B, C, h, w) float32.
        maps: Of the crops.
        resolution: R.
        finer: Points a side to a pixel.
        mode: See :func:`torch.nn.functional.grid_sample`.

    Returns:
        (B, C, R, R).
    """
    size = maps.shift.new_tensor([planes.shape[-1], planes.shape[-2]])
    theta = torch.cat([maps.linear, maps.shift[..., None]], -1) * (2 / size)[:, None]
    theta[..., 2] -= 1
    side = finer * resolution
    grid = F.affine_grid(theta.float(), [len(planes), 1, side, side], align_corners=False)
    seen = F.grid_sample(planes, grid, mode=mode, padding_mode="zeros", align_corners=False)
    return F.avg_pool2d(seen, finer) if finer > 1 else seen


def look(image: Tensor, mask: Tensor, maps: Maps, tones: Tensor, change: Tensor, resolution: int, finer: int) -> Looks:
    """See an image in other tones, recoloured within its mask, in crops; outside of it is mid grey.

    Args:
        image: (B, 3, h, w) uint8.
        mask: (B, 1, h, w) uint8.
        maps: Of the crops.
        tones: Factors of red, green and blue, and an exponent, (B, 4).
        change: (B, 3, 3).
        resolution: R.
        finer: Points a side to a pixel.
    """
    image = toned(image.float(), tones)
    colours = sample(image - MID_GREY, maps, resolution, finer, "bicubic") + MID_GREY
    colours = colours.clamp(0, 255) / 127.5 - 1
    covered = sample(mask.float(), maps, resolution, finer, "bilinear").round() / 255
    changed = torch.einsum("bij,bjhw->bihw", change, (colours + 1) / 2).clamp(0, 1) * 2 - 1
    return torch.lerp(colours, changed, covered), covered


def toned(image: Tensor, tones: Tensor) -> Tensor:
    """Images (B, 3, h, w) in [0, 255] in other tones, as :func:`datamodules.samples.photographs.take` changes them."""
    gains, exponent = tones[:, :3, None, None], tones[:, 3:, None, None]
    return (image * gains / 255).clamp(0, 1) ** exponent * 255


def draw_boxes(box: Tensor, crop: Tensor, resolution: int, flip: Tensor) -> Tensor:
    """Masks of boxes in crops, (B, 1, R, R), as :func:`ornament_lit.imaging.geometry.draw_box` draws them.

    Args:
        box: (B, 4).
        crop: (B, 3).
        resolution: R.
        flip: (B,) bool.
    """
    edges = (box - crop[:, [0, 1, 0, 1]]) * (resolution / crop[:, 2:])
    centres = torch.arange(resolution, device=box.device) + 0.5
    inside = (edges[:, :2, None] <= centres) & (centres < edges[:, 2:, None])
    mask = inside[:, 1, :, None] & inside[:, 0, None, :]
    return torch.where(flip[:, None, None], mask.flip(-1), mask)[:, None].float()


def input_masks(views: Views, wearing_mask: Tensor, box_mask: Tensor) -> Tensor:
    """What is masked out and given to the model, (B, 1, R, R) of 0 and 1."""
    touched = (wearing_mask > 0).float()
    masks = torch.where(views.wearing[:, None, None, None], touched, box_mask)
    if len(views.region_rows):
        masks[views.region_rows] = torch.maximum(views.regions.float(), touched[views.region_rows])
    return masks


def widened(crop: Tensor, factor: float) -> Tensor:
    """Crops of ``factor`` times the side, (B, 3), as :func:`datamodules.samples.extras.wide_view_of` takes them."""
    size = torch.maximum(crop[:, 2], (factor * crop[:, 2]).round())
    margin = ((size - crop[:, 2]) / 2).floor()
    return torch.stack([crop[:, 0] - margin, crop[:, 1] - margin, size], -1)


def to_window(points: Tensor, frames: Frames, size: tuple[int, int], flip: Tensor) -> Tensor:
    """Points of the ornament's image in the coordinates of its crop.

    Args:
        points: (B, 2, R, R) in pixels.
        frames: The ornaments' crops.
        size: Width and height of the ornament's image.
        flip: (B,) bool.

    Returns:
        (B, 2, R, R), -1 to 1 in the crop.
    """
    turned = torch.einsum(
        "bchw,bcd->bdhw", points - _column(frames.crop.new_tensor(size) / 2), turns(frames.angle).float()
    )
    places = turned + _column(frames.turned / 2 - frames.crop[:, :2])
    places = places * _column((2 / frames.crop[:, 2:]).expand(-1, 2)) - 1
    mirror = torch.stack([1.0 - 2.0 * flip.float(), torch.ones_like(flip, dtype=torch.float32)], -1)
    return places * mirror[:, :, None, None]


def _column(numbers: Tensor) -> Tensor:
    return numbers.float()[..., None, None]
