"""TryOnBatch: the one contract between data and model.

Shape legend: B batch, H = W resolution of the crop in pixels.
"""

from collections.abc import Sequence
from typing import Literal, NotRequired, TypedDict, cast

import torch
from torch import Tensor


class EncodedImages(TypedDict, total=False):
    """What the frozen encoders make of a batch's images: (B, c, h, w) latents of c channels, (B, L, F) features.

    Attributes:
        person_latents: Of ``person_image``, (B, c, h, w).
        masked_person_latents: Of ``person_image`` with the box replaced by mid grey, (B, c, h, w).
        ornament_latents: Of ``ornament_image``, (B, c, h, w).
        image_features: Of ``ornament_image``, (B, L, F), as ``ImageEncoder.extract`` returns them.
    """

    person_latents: Tensor
    masked_person_latents: Tensor
    ornament_latents: Tensor
    image_features: Tensor


class OtherOrnament(TypedDict):
    """An ornament that the person does not wear.

    Attributes:
        ornament_image: Its image, (B, 3, H, W) in [-1, 1].
        ornament_mask: Where it is in ``ornament_image``, (B, 1, H, W) in [0, 1].
        key: Name of the sample that it is from.
        ornament_detail: The same at a higher resolution.
    """

    ornament_image: Tensor
    ornament_mask: Tensor
    key: list[str]
    ornament_detail: NotRequired["OrnamentDetail"]


class Correspondence(TypedDict):
    """Which point of the ornament's image each pixel of the person shows.

    Attributes:
        uv: x and y in ``ornament_image``, (B, 2, H, W), from -1 at its left and upper border to 1 at the others, as
            :func:`torch.nn.functional.grid_sample` takes them with ``align_corners=False``: the mean over the part of
            the pixel that is known, 0 where nothing is.
        known: Share of each pixel whose point is known, (B, 1, H, W) in [0, 1]: the wearing mask for a sample that
            brings a correspondence along, 0 everywhere for one that does not.
        seen: Share of each pixel whose point is known and seen in ``ornament_image``, (B, 1, H, W) in [0, 1], at most
            ``known``; the rest is hidden there, by other parts of the ornament.
    """

    uv: Tensor
    known: Tensor
    seen: Tensor


class WideView(TypedDict):
    """A wider view of the person, whose arm or neck tells the pose.

    Attributes:
        image: The person around the crop of ``person_image``, (B, 3, h, w) in [-1, 1]; mid grey outside of the
            photograph. The box is not masked out yet.
        box_mask: The box in it, (B, 1, h, w).
        factor: Side of the wider crop over that of ``person_image``, (B,).
    """

    image: Tensor
    box_mask: Tensor
    factor: Tensor


class BarePerson(TypedDict):
    """The person before the ornament is put on: what a user's photograph shows in the box.

    Attributes:
        image: The person without the ornament, the crop of ``person_image``, (B, 3, H, W) in [-1, 1].
        shown: 1 for the samples whose model sees it, 0 for those whose box is masked out instead, (B,).
        wide_image: The same in the crop of ``wide_view``, (B, 3, h, w) in [-1, 1].
    """

    image: Tensor
    shown: Tensor
    wide_image: NotRequired[Tensor]


class OrnamentDetail(TypedDict):
    """The ornament's image at a higher resolution than the networks look at, for a warp to sample.

    Attributes:
        image: The same crop as ``ornament_image``, (B, 3, k H, k W) in [-1, 1].
        mask: The same as ``ornament_mask``, (B, 1, k H, k W) in [0, 1].
    """

    image: Tensor
    mask: Tensor


class TryOnBatch(TypedDict):
    """A batch of triplets, cropped around the box and resized.

    Attributes:
        ornament_image: Reference image of the ornament, (B, 3, H, W) in [-1, 1].
        ornament_mask: Where the ornament is in ``ornament_image``, (B, 1, H, W) in [0, 1].
        person_image: The person wearing the ornament, (B, 3, H, W) in [-1, 1].
        wearing_mask: Visible part of the ornament in ``person_image``, (B, 1, H, W) in [0, 1].
        box_mask: 1 inside the user's coarse box and 0 outside, (B, 1, H, W). The model masks the box out of
            ``person_image`` before it looks at the person, or looks at ``bare_person`` instead.
        category: One of :data:`ornament_lit.utils.categories.CATEGORIES` for each sample.
        key: Unique name of each sample.
        sample_seed: (B,) int64, a pure function of (seed, epoch, sample). Noise and timesteps are drawn from
            it, so that they depend on neither batch size, rank, worker nor global random state.
        encoded: What is known of the images' encodings beforehand; the rest is computed when it is needed.
        input_mask: What is masked out and given to the model instead of the box, because it is known better, (B, 1, H,
            W) in [0, 1]: such as the turned rectangle of an oriented box, whose ``box_mask`` is the upright box around
            it. Absent for the box.
        components: Number of parts of each ornament, (B,) integers; -1 where it is not known.
        other_ornament: For each sample the ornament of another one of its type, to be generated as a wrong reference.
        other_ornaments: More of them, all of the sample's type; the first is ``other_ornament`` and not among them.
        photograph: The whole photographs of the persons, B tensors (3, height, width) of uint8.
        crop: Where ``person_image`` is in it, (B, 3) integers: left, top and size of the square in pixels.
        box: The box in it, (B, 4): x0, y0, x1, y1 in pixels.
        correspondence: Where each worn pixel is in ``ornament_image``.
        wide_view: A wider view of the person.
        ornament_detail: The ornament at a higher resolution.
        bare_person: The person without the ornament; absent where the box is masked out of all samples.
    """

    ornament_image: Tensor
    ornament_mask: Tensor
    person_image: Tensor
    wearing_mask: Tensor
    box_mask: Tensor
    category: list[str]
    key: list[str]
    sample_seed: Tensor
    encoded: NotRequired[EncodedImages]
    input_mask: NotRequired[Tensor]
    components: NotRequired[Tensor]
    other_ornament: NotRequired[OtherOrnament]
    other_ornaments: NotRequired[list[OtherOrnament]]
    photograph: NotRequired[list[Tensor]]
    crop: NotRequired[Tensor]
    box: NotRequired[Tensor]
    correspondence: NotRequired[Correspondence]
    wide_view: NotRequired[WideView]
    ornament_detail: NotRequired[OrnamentDetail]
    bare_person: NotRequired[BarePerson]


def other_ornaments(batch: TryOnBatch) -> list[OtherOrnament]:
    """All ornaments that the persons of a batch do not wear; empty where it brings none."""
    first = [batch["other_ornament"]] if "other_ornament" in batch else []
    return [*first, *batch.get("other_ornaments", [])]


def with_other_ornament(batch: TryOnBatch, number: int = 0) -> TryOnBatch:
    """The same persons and noise with other ornaments as references.

    Args:
        batch: The batch.
        number: Which of :func:`other_ornaments`, from 0; the first is ``other_ornament``.

    Raises:
        ValueError: If the batch has not so many.
    """
    others = other_ornaments(batch)
    if not others:
        raise ValueError(
            "a wrong reference needs other_ornament in the batch; the test data of OrnamentDataModule have it"
        )
    if number >= len(others):
        raise ValueError(
            f"{number + 1} wrong references need as many other ornaments in the batch, and it has {len(others)}; set "
            f"--data.other_ornaments={number + 1}"
        )
    other = others[number]
    exclusive = ("ornament_detail", "correspondence")
    kept = {name: value for name, value in batch.items() if name not in exclusive}
    exchanged = {name: value for name, value in other.items() if name != "key"}
    return cast("TryOnBatch", {**kept, **exchanged, "encoded": {}})


def input_mask(batch: TryOnBatch) -> Tensor:
    """The region that is masked out of the person, (B, 1, H, W): ``input_mask``, or the box."""
    return batch.get("input_mask", batch["box_mask"])


def visible_person(batch: TryOnBatch, region: Tensor) -> Tensor:
    """What the model sees of the person, (B, 3, H, W) in [-1, 1].

    Args:
        batch: Images.
        region: What is replaced by mid grey in the samples that do not show the bare person, (B, 1, H, W).
    """
    return shown_or(batch.get("bare_person"), "image", batch["person_image"] * (1 - region))


def shown_or(bare: BarePerson | None, name: Literal["image", "wide_image"], masked: Tensor) -> Tensor:
    """An image of the bare person in the samples that show it, and ``masked`` in the others, (B, 3, H, W)."""
    if bare is None:
        return masked
    return torch.where(bare["shown"].view(-1, 1, 1, 1) > 0, bare[name], masked)


def select_rows(batch: TryOnBatch, rows: Sequence[int]) -> TryOnBatch:
    """Some samples of a batch, in the order of ``rows``."""

    def select(value: object) -> object:
        if isinstance(value, Tensor):
            return value[list(rows)]
        if isinstance(value, list):
            whole = value and isinstance(value[0], dict)  # entries of batches, and not of samples
            return [select(entry) for entry in value] if whole else [value[row] for row in rows]
        assert isinstance(value, dict)
        return {name: select(entry) for name, entry in value.items()}

    return cast("TryOnBatch", {name: select(value) for name, value in batch.items()})


LATENTS = ("person_latents", "masked_person_latents", "ornament_latents")
IMAGES = ("ornament_image", "person_image")
MASKS = ("ornament_mask", "wearing_mask", "box_mask")


def check_batch(batch: TryOnBatch) -> None:
    """Check keys and shapes of a batch.

    Raises:
        ValueError: If a key is absent or a tensor has another shape than :class:`TryOnBatch` says.
    """
    absent = [key for key in sorted(TryOnBatch.__required_keys__) if key not in batch]
    if absent:
        raise ValueError(f"a batch needs the keys of TryOnBatch; {', '.join(absent)} absent, got {sorted(batch)}")
    reference = batch["person_image"]
    if reference.ndim != 4:
        raise ValueError(f"person_image must be (B, 3, H, W), got {tuple(reference.shape)}; see TryOnBatch")
    size, (height, width) = reference.shape[0], reference.shape[-2:]
    tensors: dict[str, Tensor] = {name: batch[name] for name in (*IMAGES, *MASKS)}  # type: ignore[literal-required]
    for name, tensor in tensors.items():
        expected = (size, 3 if name in IMAGES else 1, height, width)
        if tuple(tensor.shape) != expected:
            raise ValueError(f"{name} must be {expected} like person_image, got {tuple(tensor.shape)}; see TryOnBatch")
    for name, count in (("category", len(batch["category"])), ("key", len(batch["key"]))):
        if count != size:
            raise ValueError(f"{name} must have one entry a sample ({size}), got {count}")
    if batch["sample_seed"].shape != (size,) or batch["sample_seed"].dtype != torch.int64:
        seeds = batch["sample_seed"]
        raise ValueError(f"sample_seed must be ({size},) int64, got {tuple(seeds.shape)} {seeds.dtype}")
    _check_encoded(batch.get("encoded", {}), size)


def _check_encoded(encoded: EncodedImages, size: int) -> None:
    """Check the shapes of encodings that a batch brings along."""
    tensors: dict[str, Tensor] = dict(encoded)  # type: ignore[arg-type]
    latents = {name: tuple(tensor.shape) for name, tensor in tensors.items() if name in LATENTS}
    for name, tensor in tensors.items():
        ndim = 4 if name in LATENTS else 3
        if name not in EncodedImages.__annotations__ or tensor.ndim != ndim or tensor.shape[0] != size:
            raise ValueError(
                f"encoded[{name!r}] must be an entry of EncodedImages with {size} rows and {ndim} dimensions, "
                f"got {tuple(tensor.shape)}"
            )
    if len(set(latents.values())) > 1:
        raise ValueError(f"the latents in encoded must have one shape, got {latents}")


def generators_of(sample_seed: Tensor) -> list[torch.Generator]:
    """One generator for each sample, on the CPU, seeded by its own seed; ``sample_seed`` is (B,) int64."""
    return [torch.Generator().manual_seed(seed) for seed in sample_seed.tolist()]
