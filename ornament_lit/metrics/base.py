"""TryOnMetric: the contract of the family, and GeneratedBatch, the record that every metric takes.

Shape legend: B batch, T iterations of the mask, H = W resolution of the crop in pixels.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, NotRequired, TypedDict, cast

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat
from torchmetrics.utilities.distributed import gather_all_tensors

from ornament_lit.batch import Correspondence
from ornament_lit.metrics.measured import Measured
from ornament_lit.utils.categories import CATEGORIES


class GeneratedImage(TypedDict):
    """What the model made of a batch.

    Attributes:
        generated_image: The person wearing the ornament, as generated, (B, 3, H, W) in [-1, 1].
        mask_predictions: Predicted wearing mask of each iteration, (T, B, 1, H, W) in [0, 1]; T may be 0.
        generated_photograph: The generated image pasted back into the whole photograph: B images (3, height, width) in
            [-1, 1], each of its own size. Only what measures the region ``full`` needs it.
        generated_correspondence: Predicted point of the ornament's image that each pixel shows, (B, 2, H, W) in
            [-1, 1], as ``uv`` of :class:`ornament_lit.batch.Correspondence`. Only models that warp the reference have
            it.
    """

    generated_image: Tensor
    mask_predictions: Tensor
    generated_photograph: NotRequired[list[Tensor]]
    generated_correspondence: NotRequired[Tensor]


class Bound(GeneratedImage):
    """Images in place of the generated ones that say what to expect of figures, see :mod:`ornament_lit.metrics.bounds`.

    Attributes:
        wrong_references: The same made of the ornaments of other samples, in the order of those of the generated batch.
    """

    wrong_references: NotRequired[list[GeneratedImage]]


class GeneratedBatch(GeneratedImage):
    """A batch with what was generated for it. Names are those of :class:`ornament_lit.batch.TryOnBatch`.

    Attributes:
        person_image: The ground truth: the person wearing the ornament, (B, 3, H, W) in [-1, 1].
        ornament_image: Reference image of the ornament, (B, 3, H, W) in [-1, 1].
        ornament_mask: Where the ornament is in ``ornament_image``, (B, 1, H, W) in [0, 1].
        wearing_mask: Visible part of the ornament in ``person_image``, (B, 1, H, W) in [0, 1].
        box_mask: 1 inside the user's box and 0 outside, (B, 1, H, W).
        category: One of :data:`ornament_lit.utils.categories.CATEGORIES` for each sample.
        key: Unique name of each sample. A sample that comes twice (padding of the last batch) counts once.
        components: Number of parts of each ornament, (B,) integers; negative where it is not known.
        person_photograph: The whole photograph that ``person_image`` is a crop of; as ``generated_photograph``.
        wrong_reference: What the model makes of the same batch when it is given the ornaments of other samples.
        wrong_references: The same for several others of the sample's type; the first is ``wrong_reference``.
        correspondence: The true point of the ornament's image that each pixel shows.
        floor: The ornament's mean colour in place of the generated image.
        ceiling: The ornament's image, warped by the true correspondence, in place of the generated image; not a number
            for samples without one.
    """

    person_image: Tensor
    ornament_image: Tensor
    ornament_mask: Tensor
    wearing_mask: Tensor
    box_mask: Tensor
    category: list[str]
    key: list[str]
    components: NotRequired[Tensor]
    person_photograph: NotRequired[list[Tensor]]
    wrong_reference: NotRequired[GeneratedImage]
    wrong_references: NotRequired[list[GeneratedImage]]
    correspondence: NotRequired[Correspondence]
    floor: NotRequired[Bound]
    ceiling: NotRequired[Bound]


class Records(NamedTuple):
    """Records of a metric, each key once.

    Attributes:
        first: The first record of each key.
        numbers: The number of each among all that were appended.
        total: How many were appended, those included that came twice.
    """

    first: list[Any]
    numbers: list[int]
    total: int


class TryOnMetric(Metric, ABC):
    """Measure generated images, and keep what was measured sample by sample.

    To add one: subclass :class:`~ornament_lit.metrics.per_sample.PerSampleMetric` (a value for each sample) or
    :class:`~ornament_lit.metrics.distribution.DistributionMetric` (features of all), and name the class in the YAML.
    The arguments of the constructor are its options. Nothing large is loaded before :meth:`setup`.

    ``compute`` gathers the samples of all ranks, so it is to be called on each rank; samples with the same key count
    once.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better: bool
    needs_wrong_reference = False
    needs_wrong_references = False

    records: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self._empty: dict[str, Tensor] = {}
        self.add_list("records", torch.uint8)

    def add_list(self, name: str, dtype: torch.dtype) -> None:
        """Add a state: a list of (m,) tensors that are joined over batches and ranks."""
        self.add_state(name, [], dist_reduce_fx="cat")
        self._empty[name] = torch.empty(0, dtype=dtype)

    def setup(self) -> None:
        """Load what the metric needs, such as the weights of an encoder; without it, the first update does.

        Raises:
            FileNotFoundError: If weights are absent; it says which file to bring where.
        """

    def protocol(self) -> dict[str, Any]:
        """What somebody needs to know to get the same numbers: a structure that JSON can hold.

        Raises:
            FileNotFoundError: If weights are absent.
        """
        return {"metric": type(self).__name__}

    def update(self, batch: GeneratedBatch) -> None:
        """Measure a batch, in float32 whatever the precision of the model.

        Raises:
            ValueError: If the batch is not as :class:`GeneratedBatch` says, or lacks what this metric measures.
        """
        check_generated(batch)
        with torch.autocast(batch["generated_image"].device.type, enabled=False):
            self.add(_float32(batch))

    @abstractmethod
    def add(self, batch: GeneratedBatch) -> None:
        """Measure a batch that was checked and is of float32, and append to the lists of the state."""

    @abstractmethod
    def compute(self) -> Measured:
        """Hand over the samples of all ranks, each once; to be called on each rank."""

    def append_records(self, records: Iterable[Any]) -> None:
        """Keep one structure that JSON can hold for each sample; the first two entries are its key and category."""
        text = "".join(f"{json.dumps(record)}\n" for record in records)
        self.records.append(torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8).to(self.device))

    def read_records(self) -> Records:
        """Read the records, each key once."""
        lines = bytes(self.joined("records").cpu().numpy()).decode().splitlines()
        first: dict[str, tuple[int, Any]] = {}
        for number, line in enumerate(lines):
            record = json.loads(line)
            first.setdefault(record[0], (number, record))
        numbers, records = [number for number, _ in first.values()], [record for _, record in first.values()]
        return Records(records, numbers, len(lines))

    def joined(self, name: str) -> Tensor:
        """A list of the state as one (m,) tensor."""
        parts = getattr(self, name)
        return dim_zero_cat(parts) if len(parts) else self._empty[name]

    def _sync_dist(
        self, dist_sync_fn: Callable[..., Any] = gather_all_tensors, process_group: object | None = None
    ) -> None:
        """Gather; a rank without samples takes part with empty lists of the type that the others have."""
        for name, empty in self._empty.items():
            if not len(getattr(self, name)):
                setattr(self, name, [empty.to(self.device)])
        super()._sync_dist(dist_sync_fn, process_group)


IMAGES = ("generated_image", "person_image", "ornament_image")
MASKS = ("ornament_mask", "wearing_mask", "box_mask")
FLOATS = (*MASKS, "mask_predictions", "generated_correspondence", "uv", "known", "seen")
PHOTOGRAPHS = ("generated_photograph", "person_photograph")


def check_generated(batch: GeneratedBatch) -> None:
    """Check keys and shapes.

    Raises:
        ValueError: If a key is absent, or an entry is not as :class:`GeneratedBatch` says.
    """
    absent = sorted(GeneratedBatch.__required_keys__ - batch.keys())
    if absent:
        raise ValueError(f"a generated batch needs the keys of GeneratedBatch; {', '.join(absent)} absent")
    size, _, height, width = batch["person_image"].shape
    entries = cast(Mapping[str, Any], batch)
    shapes: dict[str, tuple[int, ...]] = {name: (size, 3, height, width) for name in IMAGES}
    shapes |= {name: (size, 1, height, width) for name in MASKS}
    if "generated_correspondence" in batch:
        shapes["generated_correspondence"] = (size, 2, height, width)
    shapes["mask_predictions"] = (len(batch["mask_predictions"]), size, 1, height, width)
    for name, shape in shapes.items():
        if tuple(entries[name].shape) != shape:
            raise ValueError(f"{name} must be {shape} like person_image, got {tuple(entries[name].shape)}")
    for name in ("category", "key", "components", *PHOTOGRAPHS):
        if len(entries.get(name, batch["key"])) != size:
            raise ValueError(f"{name} must have one entry a sample ({size}), got {len(entries[name])}")
    unknown = sorted(set(batch["category"]) - set(CATEGORIES))
    if unknown:
        raise ValueError(f"a category is one of {', '.join(CATEGORIES)}, got {', '.join(unknown)}")


def _float32(batch: GeneratedBatch) -> GeneratedBatch:
    """The batch in float32, images clamped to [-1, 1]."""
    return cast(GeneratedBatch, _entry_float32("", batch))


def _entry_float32(name: str, value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Mapping):
        return {inner: _entry_float32(inner, entry) for inner, entry in value.items()}
    if name == "wrong_references":
        return [_entry_float32(name, entry) for entry in value]
    if name in PHOTOGRAPHS:
        return [image.float().clamp(-1, 1) for image in value]
    if name in IMAGES:
        return value.float().clamp(-1, 1)
    return value.float() if name in FLOATS else value
