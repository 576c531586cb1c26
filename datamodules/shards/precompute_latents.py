"""Shards to shards with latents: what the frozen encoders make of some copies of each sample, computed once."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from safetensors.torch import save
from torch import Tensor, nn
from torch.utils.data import default_collate

from datamodules.samples.decoding import decode, describe
from datamodules.samples.latents import DTYPES, Dtype, LatentsCard, differences, read_card, write_card
from datamodules.samples.schema import LATENTS, is_latents
from datamodules.samples.transforms import TripletTransform, TryOnSample
from datamodules.shards.index import ShardEntry, raise_sample_error, read_index, scan_shard, write_index
from datamodules.shards.reading import RawSample, read_shard
from datamodules.shards.writing import write_shard
from datamodules.storage.remote import is_remote
from datamodules.storage.sample_errors import SampleError
from ornament_lit.batch import TryOnBatch
from ornament_lit.models.autoencoders import Autoencoder
from ornament_lit.models.conditioning import encode_images
from ornament_lit.models.fingerprints import check_frozen, fingerprint
from ornament_lit.models.image_encoders import ImageEncoder

Sample = tuple[str, dict[str, bytes]]
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Encoders:
    """The frozen parts whose results are kept.

    Attributes:
        autoencoder: Its latents.
        image_encoder: Its features; ``NoImageEncoder`` for none.
        device: Where they compute.
    """

    autoencoder: Autoencoder
    image_encoder: ImageEncoder
    device: str = "cpu"

    def encode(self, batch: TryOnBatch) -> dict[str, Tensor]:
        """Encode a batch, on the device, in float32; the tensors are on the CPU again.

        Raises:
            ValueError: If they depend on what is trained.
        """
        images = ("ornament_image", "ornament_mask", "person_image", "box_mask")
        moved = {**batch, **{name: batch[name].to(self.device) for name in images}}  # type: ignore[literal-required]
        encoded = encode_images(cast(TryOnBatch, moved), self.autoencoder, self.image_encoder)
        tensors = cast(dict[str, Tensor], encoded)
        if any(tensor.requires_grad for tensor in tensors.values()):
            raise ValueError("only what no trained parameter has a part in can be computed beforehand")
        return {name: tensor.cpu() for name, tensor in tensors.items() if tensor.numel()}

    def fingerprints(self) -> dict[str, str]:
        """Fingerprint of each encoder that is used."""
        parts: dict[str, nn.Module] = {"autoencoder": self.autoencoder}
        if self.image_encoder.num_tokens:
            parts["image_encoder"] = self.image_encoder
        return {name: fingerprint(part) for name, part in parts.items()}


class Row(NamedTuple):
    """A copy of a sample, before it is encoded.

    Attributes:
        sample: The raw sample.
        copy: Number of the copy.
        images: Its crops.
    """

    sample: RawSample
    copy: int
    images: TryOnSample


def make_card(encoders: Encoders, transform: TripletTransform, copies: int, seed: int, dtype: Dtype) -> LatentsCard:
    """Say how latents are going to be made.

    Args:
        encoders: What encodes.
        transform: Crops and flips.
        copies: Copies of each sample.
        seed: Seed of their crops and flips.
        dtype: Type of the numbers that are stored.

    Raises:
        ValueError: If the autoencoder trains or there is to be no copy.
    """
    if copies < 1:
        raise ValueError(f"copies must be at least 1, got {copies}")
    check_frozen(encoders.autoencoder)
    side = transform.resolution
    blank = {name: torch.zeros(1, 3, side, side) for name in ("ornament_image", "person_image")}
    blank |= {name: torch.zeros(1, 1, side, side) for name in ("ornament_mask", "box_mask")}
    encoded = encoders.encode(cast(TryOnBatch, blank))
    shapes = {name: tuple(tensor.shape[1:]) for name, tensor in encoded.items()}
    return LatentsCard(copies, seed, dtype, transform, shapes, encoders.fingerprints())


def write_latents(
    shards: Sequence[str], folder: Path, encoders: Encoders, card: LatentsCard, batch_size: int = 8, workers: int = 2
) -> list[SampleError]:
    """Copy shards and add latents to each sample. Shards that are there already are kept, and the index is written.

    Args:
        shards: Paths of shards; the new ones get their names.
        folder: Where to; made if it is not there.
        encoders: What encodes.
        card: How, as :func:`make_card` says.
        batch_size: Copies that are encoded at once.
        workers: Threads that decode and crop.

    Returns:
        What was wrong with samples that are left out.

    Raises:
        SampleError: If a shard cannot be read to its end.
        ValueError: If the folder holds other shards or latents that were made in another way, two shards have one
            name, or a number is less than 1.
    """
    if batch_size < 1 or workers < 1:
        raise ValueError(f"batch_size and workers must be at least 1, got {batch_size} and {workers}")
    targets = _targets(shards, folder)
    _claim(folder, card)
    entries = _finished(folder)
    sample_errors: list[SampleError] = []
    with _progress() as progress:
        task = progress.add_task("latents", total=len(targets), samples=0)
        for target, source in targets.items():
            if target.name not in entries:
                samples = _encoded_samples(source, encoders, card, batch_size, workers, sample_errors)
                entries[target.name] = write_shard(target, _counted(samples, progress, task))
                write_index(folder, entries.values())
            progress.advance(task)
    write_index(folder, entries.values())
    return sample_errors


def _targets(shards: Sequence[str], folder: Path) -> dict[Path, str]:
    """Path of each new shard, and the shard that it is made of."""
    remote = [shard for shard in shards if is_remote(shard)]
    if remote:
        raise ValueError(f"latents are computed of shards on a disk, got {remote[0]}; copy them first")
    targets = {folder / Path(shard).name: shard for shard in shards}
    if len(targets) < len(shards):
        raise ValueError("shards must have different names, since the new ones get the same names in one folder")
    return targets


def _claim(folder: Path, card: LatentsCard) -> None:
    """Make the folder, or check that it was begun in the same way."""
    folder.mkdir(parents=True, exist_ok=True)
    begun = read_card(folder)
    if begun is None and any(folder.glob("*.tar")):
        raise ValueError(f"{folder} holds shards without latents; give a folder of their own to the new ones")
    if begun is not None and (differing := differences(begun, card)):
        raise ValueError(
            f"{folder} was begun in another way: {', '.join(differing)}; choose another folder, or delete this one"
        )
    write_card(folder, card)


def _finished(folder: Path) -> dict[str, ShardEntry]:
    """Entries of the shards that are there: none has its name before it is whole."""
    indexed = read_index(folder)
    paths = sorted(folder.glob("*.tar"))
    return {path.name: indexed.get(path.name) or scan_shard(path, checksum=True) for path in paths}


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    samples = TextColumn("shards, {task.fields[samples]} samples of this one")
    console = Console(stderr=True)
    return Progress(*columns, samples, TimeRemainingColumn(), console=console, disable=not console.is_terminal)


def _counted(samples: Iterable[Sample], progress: Progress, task: TaskID) -> Iterator[Sample]:
    for number, sample in enumerate(samples, 1):
        progress.update(task, samples=number)
        yield sample


def _encoded_samples(
    shard: str, encoders: Encoders, card: LatentsCard, batch_size: int, workers: int, sample_errors: list[SampleError]
) -> Iterator[Sample]:
    """Key and entries of each sample of a shard, with its latents."""
    samples = read_shard(shard, raise_sample_error, wanted=lambda entry: not is_latents(entry))
    rows = _crop_all(samples, card, workers, sample_errors)
    latents: dict[str, bytes] = {}
    for row, tensors in _encode_all(rows, encoders, batch_size):
        latents[LATENTS.format(row.copy)] = _pack(tensors, card.dtype)
        if row.copy == card.copies - 1:
            entries = {name: content for name, content in row.sample.items() if not name.startswith("__")}
            yield row.sample["__key__"], {**entries, **latents}


def _crop_all(
    samples: Iterable[RawSample], card: LatentsCard, workers: int, sample_errors: list[SampleError]
) -> Iterator[Row]:
    """Crop every copy of every sample, in order."""

    def crop(sample: RawSample) -> list[Row]:
        wanted = {name: value for name, value in sample.items() if name.startswith("__") or card.transform.wants(name)}
        triplet = decode(wanted, describe(wanted))
        seeds = [card.copy_seed(triplet.key, copy) for copy in range(card.copies)]
        return [Row(sample, copy, card.transform(triplet, seed)) for copy, seed in enumerate(seeds)]

    for future in _in_threads(crop, samples, workers):
        error = future.exception()
        if isinstance(error, SampleError):
            sample_errors.append(error)
        else:
            yield from future.result()


def _in_threads(function: Callable[[Task], Result], tasks: Iterable[Task], workers: int) -> Iterator[Future[Result]]:
    """Call a function on each task in threads, a few tasks ahead of what is taken, in order."""
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for task in tasks:
            pending.append(pool.submit(function, task))
            if len(pending) > workers:
                yield pending.popleft()
        yield from pending


def _encode_all(rows: Iterator[Row], encoders: Encoders, batch_size: int) -> Iterator[tuple[Row, dict[str, Tensor]]]:
    while batch := list(islice(rows, batch_size)):
        encoded = encoders.encode(default_collate([row.images for row in batch]))
        for index, row in enumerate(batch):
            yield row, {name: tensor[index] for name, tensor in encoded.items()}


def _pack(tensors: dict[str, Tensor], dtype: Dtype) -> bytes:
    packed = {name: tensor.to(DTYPES[dtype]).contiguous() for name, tensor in tensors.items()}
    if not all(tensor.isfinite().all() for tensor in packed.values()):
        raise ValueError(f"latents must be finite numbers of {dtype}, got others; try --dtype float32")
    return save(packed)
