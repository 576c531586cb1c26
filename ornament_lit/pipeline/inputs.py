"""What is given to the pipeline, as a batch.

Shape legend: B batch, r resolution of a crop in pixels.
"""

from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ornament_lit.batch import BarePerson, OrnamentDetail, TryOnBatch, WideView
from ornament_lit.imaging.crops import OrnamentCrop, PersonCrop, crop_wide_view
from ornament_lit.imaging.geometry import read_box
from ornament_lit.utils.categories import CATEGORIES

MAX_SEED = 2**63 - 1

T = TypeVar("T")


def align(**columns: object) -> list[dict[str, Any]]:
    """Bring single values and lists to rows; a single value serves for all rows.

    Args:
        columns: Values by name; a box may be a tuple of numbers or an array. An array or a tensor of four dimensions is
            a list of images.

    Returns:
        One dictionary a row.

    Raises:
        ValueError: If the lists differ in length, or there is no row.
    """
    columns = {name: _as_list(value) if name == "box" else value for name, value in columns.items()}
    lists = {name: value for name, value in columns.items() if _is_list(value)}
    lengths = {name: len(cast("Sequence[Any]", value)) for name, value in lists.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise ValueError(f"lists must have one length, at least 1, got {lengths}")
    count = next(iter(lengths.values()), 1)
    rows = [
        {name: value[row] if name in lists else value for name, value in columns.items()}  # type: ignore[index]
        for row in range(count)
    ]
    for row in rows:
        _check_box(row["box"])
    return rows


def repeat(values: Sequence[T], times: int) -> list[T]:
    """Each value so many times, one after the other."""
    return [value for value in values for _ in range(times)]


def _as_list(box: object) -> object:
    """Numbers of an array or a tensor as lists; all else as it is."""
    return box.tolist() if isinstance(box, np.ndarray | Tensor) else box


def _is_list(value: object) -> bool:
    """Whether there is one value a row; a box is four or five numbers."""
    if isinstance(value, np.ndarray | Tensor):
        return value.ndim == 4
    if value is None or isinstance(value, Image.Image | str | Path) or not isinstance(value, Sequence):
        return False
    return not value or not all(isinstance(entry, Real) for entry in value)


def _check_box(box: object) -> None:
    if not isinstance(box, Sequence) or not all(isinstance(number, Real) for number in box):
        raise ValueError(f"a box must be four numbers x0, y0, x1, y1, or five with the angle in degrees, got {box!r}")
    read_box(box)


def choose_seeds(
    count: int,
    seed: int | Sequence[int] | None,
    generator: torch.Generator | Sequence[torch.Generator] | None,
    times: int = 1,
) -> list[int]:
    """Seeds of a batch.

    Args:
        count: Rows.
        seed: One for each generated image, or one for all rows, whose further generated images take the numbers that
            follow it.
        generator: One for each generated image, or one for all; the next number of it is the seed. Where there is
            neither seed nor generator, torch's global one.
        times: Generated images of each row.

    Returns:
        ``count * times`` seeds.

    Raises:
        ValueError: If both are given, one is out of range, there are not as many as generated images, or no generated
            image is wanted.
    """
    if seed is not None and generator is not None:
        raise ValueError("seed and generator cannot both be given; leave one out")
    if times < 1:
        raise ValueError(f"num_images_per_prompt must be at least 1, got {times}")
    total = count * times
    if isinstance(seed, Sequence):
        seeds = list(seed)
    elif seed is not None:
        seeds = [int(seed) + number for _ in range(count) for number in range(times)]
    else:
        generators = list(generator) if isinstance(generator, Sequence) else [generator] * total
        seeds = [_next_number(each) for each in generators]
    if len(seeds) != total or not all(0 <= each <= MAX_SEED for each in seeds):
        raise ValueError(f"there must be one seed, or one each ({total}), from 0 to 2**63 - 1, got {seeds}")
    return seeds


def _next_number(generator: torch.Generator | None) -> int:
    """The next number of a generator, or of torch's global one."""
    device = "cpu" if generator is None else generator.device
    return int(torch.randint(2**62, (), generator=generator, device=device))


def make_batch(
    ornaments: Sequence[OrnamentCrop],
    persons: Sequence[PersonCrop],
    seeds: Sequence[int],
    device: torch.device,
    dtype: torch.dtype,
    wide_view: float | None = None,
    detail: int = 1,
    bare: bool = False,
    categories: Sequence[str] | None = None,
) -> TryOnBatch:
    """Stack crops to a batch; the wearing mask, which nobody knows, is empty.

    There is an ``input_mask`` if any person has one; it is the box mask of those who have none.

    Args:
        ornaments: B crops of (r, r).
        persons: B crops of (r, r).
        seeds: B seeds.
        device: Where the tensors go.
        dtype: Their type.
        wide_view: Factor of the wider view; None for none.
        detail: Factor of the ornament's resolution for a warp; 1 for none.
        bare: Show the model the box as it is, too; else it is masked out.
        categories: B types of ornaments; None where they mean nothing to the model.
    """

    def stack(tensors: list[Tensor]) -> Tensor:
        return torch.stack(tensors).to(device, dtype)

    box_mask = stack([person.box_mask for person in persons])
    batch = TryOnBatch(
        ornament_image=stack([ornament.image for ornament in ornaments]),
        ornament_mask=stack([ornament.mask for ornament in ornaments]),
        person_image=stack([person.image for person in persons]),
        wearing_mask=torch.zeros_like(box_mask),
        box_mask=box_mask,
        category=list(categories or [CATEGORIES[0]] * len(persons)),
        key=[str(row) for row in range(len(persons))],
        sample_seed=torch.tensor(list(seeds), dtype=torch.int64),
    )
    if any(person.input_mask is not None for person in persons):
        masks = [person.box_mask if person.input_mask is None else person.input_mask for person in persons]
        batch["input_mask"] = stack(masks)
    if wide_view is not None:
        wide = [crop_wide_view(person, wide_view) for person in persons]
        batch["wide_view"] = WideView(
            image=stack([view["image"] for view in wide]),
            box_mask=stack([view["box_mask"] for view in wide]),
            factor=stack([view["factor"] for view in wide]),
        )
    if bare:
        batch["bare_person"] = _bare_person(batch)
    if detail > 1:
        images, details = zip(*(ornament.at(detail * ornament.image.shape[-1]) for ornament in ornaments), strict=True)
        batch["ornament_detail"] = OrnamentDetail(image=stack(list(images)), mask=stack(list(details)))
    return batch


def _bare_person(batch: TryOnBatch) -> BarePerson:
    """The person of the photographs, who wears nothing yet."""
    bare = BarePerson(image=batch["person_image"], shown=torch.ones_like(batch["box_mask"][:, 0, 0, 0]))
    if "wide_view" in batch:
        bare["wide_image"] = batch["wide_view"]["image"]
    return bare
