"""All images of a list of triplets on a device.

Shape legend: N triplets, h, w size of the persons, p, q size of the ornaments' images.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from datamodules.samples.correspondence import PixelCorrespondence
from datamodules.samples.decoding import Triplet
from datamodules.storage.sample_errors import SampleError

Found = Triplet | SampleError
"""A triplet, or why it cannot be used."""


@dataclass(frozen=True)
class Store:
    """Images on a device; those of triplets that cannot be used are black.

    Attributes:
        person: (N, 3, h, w) uint8.
        wearing_mask: (N, 1, h, w) uint8.
        ornament: (N, 3, p, q) uint8.
        ornament_mask: (N, 1, p, q) uint8.
        correspondence: x and y in pixels of the ornament's image, both times the share that is known, that share,
            and the share that is seen, (N, 4, h, w) float32; None where it is not wanted.
        bare: The persons without the ornament, (N, 3, h, w) uint8; None where they are not wanted.
        has_bare: Of which triplets there is one, (N,) bool.
    """

    person: Tensor
    wearing_mask: Tensor
    ornament: Tensor
    ornament_mask: Tensor
    correspondence: Tensor | None
    bare: Tensor | None
    has_bare: Tensor


def make_store(found: Sequence[Found], correspondence: bool, bare: bool, device: torch.device) -> Store:
    """Put images onto a device.

    Args:
        found: The triplets, in the order of their numbers.
        correspondence: Whether the correspondences are wanted.
        bare: Whether the persons without the ornament are wanted.
        device: Where the images go.

    Raises:
        ValueError: If the persons have several sizes, or the ornaments' images do, or no triplet can be used.
    """
    triplets = [triplet for triplet in found if isinstance(triplet, Triplet)]
    if not triplets:
        raise ValueError(f"training data must have one usable sample at least, got none: {found[0] if found else ''}")
    person = _one_size({triplet.person.size for triplet in triplets}, "persons")
    ornament = _one_size({triplet.ornament.size for triplet in triplets}, "ornaments")
    store = Store(
        person=_zeros(len(found), 3, person, torch.uint8),
        wearing_mask=_zeros(len(found), 1, person, torch.uint8),
        ornament=_zeros(len(found), 3, ornament, torch.uint8),
        ornament_mask=_zeros(len(found), 1, ornament, torch.uint8),
        correspondence=_zeros(len(found), 4, person, torch.float32) if correspondence else None,
        bare=_zeros(len(found), 3, person, torch.uint8) if bare else None,
        has_bare=torch.zeros(len(found), dtype=torch.bool),
    )
    for row, triplet in enumerate(found):
        if isinstance(triplet, Triplet):
            _fill(store, row, triplet)
    return _moved(store, device)


def planes_of(correspondence: PixelCorrespondence) -> Tensor:
    """The planes of :attr:`Store.correspondence` for one triplet, (4, h, w)."""
    points, known, seen = correspondence
    return torch.from_numpy(np.stack([points[..., 0] * known, points[..., 1] * known, known, seen]))


def _one_size(sizes: set[tuple[int, int]], name: str) -> tuple[int, int]:
    if len(sizes) > 1:
        raise ValueError(
            f"images that stay on the device must all have one size, got {name} of {sorted(sizes)[:3]}; pack the "
            "shards with one --size, or take OrnamentDataModule"
        )
    return sizes.pop()


def _zeros(count: int, channels: int, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    return torch.zeros(count, channels, size[1], size[0], dtype=dtype)


def _fill(store: Store, row: int, triplet: Triplet) -> None:
    store.person[row], store.wearing_mask[row] = _pixels(triplet.person), _pixels(triplet.wearing_mask)
    store.ornament[row], store.ornament_mask[row] = _pixels(triplet.ornament), _pixels(triplet.ornament_mask)
    if store.correspondence is not None and triplet.correspondence is not None:
        store.correspondence[row] = planes_of(triplet.correspondence)
    if store.bare is not None and triplet.bare is not None:
        store.bare[row], store.has_bare[row] = _pixels(triplet.bare), True


def _pixels(image: Image.Image) -> Tensor:
    pixels = torch.from_numpy(np.array(image))
    return pixels.permute(2, 0, 1) if pixels.ndim == 3 else pixels[None]


def _moved(store: Store, device: torch.device) -> Store:
    planes = {field.name: getattr(store, field.name) for field in fields(store)}
    return replace(store, **{name: plane.to(device) for name, plane in planes.items() if plane is not None})
