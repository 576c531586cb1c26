"""Streams of samples: which shards, which samples, in which order. All of it is a function of (seed, epoch).

Evaluation reads all shards in order and shares them out sample by sample, so that each comes exactly once for any
number of ranks and workers. Training shares out whole shards, so that no shard is read twice.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, islice

import torch
from torch.utils.data import IterableDataset, get_worker_info
from webdataset.filters import shuffle

from datamodules.decoding import Description, decode, describe
from datamodules.faults import FaultCounter, SampleError, shared_zeros
from datamodules.reading import RawSample, read_shard
from datamodules.seeding import hash_fraction, hash_seed, sample_seed
from datamodules.transforms import TripletTransform, TryOnSample
from ornament_lit.batch import CATEGORIES

Described = tuple[RawSample, Description]


def type_chances(weights: Mapping[str, float] | None = None) -> dict[str, float]:
    """Chance of a sample of each type to be kept in a pass: its weight over the greatest weight.

    Args:
        weights: Weights by type; a type that is left out has weight 1.

    Returns:
        Numbers in [0, 1], one for each type.

    Raises:
        ValueError: If a type is unknown, a weight is negative or not finite, or all are 0.
    """
    given = dict(weights or {})
    unknown = sorted(set(given) - set(CATEGORIES))
    if unknown:
        raise ValueError(f"type_weights may name {', '.join(CATEGORIES)}, got {', '.join(unknown)}")
    full = {name: float(given.get(name, 1.0)) for name in CATEGORIES}
    greatest = max(full.values())
    if not all(0.0 <= weight < float("inf") for weight in full.values()) or greatest == 0.0:
        raise ValueError(f"type_weights must be finite, not negative and not all 0, got {given}")
    return {name: weight / greatest for name, weight in full.items()}


@dataclass(frozen=True)
class Source:
    """What a stream reads, and this process's place among those that share it.

    Attributes:
        shards: Paths and URLs, as :func:`datamodules.shards.resolve_shards` gives them.
        seed: Seed of everything that is drawn.
        chances: Chance of each type to be kept in a pass, see :func:`type_chances`.
        rank: Which of the processes this is.
        world_size: Number of processes.
    """

    shards: list[str]
    seed: int = 0
    chances: dict[str, float] = field(default_factory=type_chances)
    rank: int = 0
    world_size: int = 1


class TripletDataset(IterableDataset[TryOnSample]):
    """Every sample of the shards once, in order; what evaluation reads.

    Args:
        source: What to read.
        transform: Makes a sample of a triplet.
        faults: Counts what is skipped.
    """

    def __init__(self, source: Source, transform: TripletTransform, faults: FaultCounter) -> None:
        """Store the parts; nothing is read."""
        self.source = source
        self.transform = transform
        self.faults = faults
        self._epoch = shared_zeros(dtype=torch.int64)
        self._held_back = False

    @property
    def epoch(self) -> int:
        """Epoch of the next iteration; worker processes that are already running see it too."""
        return int(self._epoch)

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[TryOnSample]:
        """Yield this worker's samples."""
        self.faults.start()
        index, parts = self._part()
        report = self.faults.record if index == 0 else _ignore
        samples = islice(_read(self.source.shards, report), index, None, parts)
        yield from self._finish(self._keep(self._describe(samples), 0), 0)

    def _part(self) -> tuple[int, int]:
        """Which part of how many this worker of this rank reads."""
        worker, workers = _worker()
        return self.source.rank + self.source.world_size * worker, self.source.world_size * workers

    def _describe(self, samples: Iterable[RawSample]) -> Iterator[Described]:
        for sample in samples:
            try:
                yield sample, describe(sample)
            except SampleError as error:
                self.faults.record(error)

    def _keep(self, samples: Iterable[Described], occurrence: int) -> Iterator[Described]:
        for sample, description in samples:
            chance = self.source.chances[description.category]
            if hash_fraction(self.source.seed, self.epoch, occurrence, "keep", sample["__key__"]) < chance:
                yield sample, description
            elif chance > 0.0:
                self._held_back = True

    def _finish(self, samples: Iterable[Described], occurrence: int) -> Iterator[TryOnSample]:
        for sample, description in samples:
            try:
                triplet = decode(sample, description)
            except SampleError as error:
                self.faults.record(error)
                continue
            self.faults.count_good()
            yield self.transform(triplet, sample_seed(self.source.seed, self.epoch, triplet.key, occurrence))


class ShuffledDataset(TripletDataset):
    """Samples in a random order, for training.

    The order of the shards is drawn, each worker of each rank takes its share of them, and the samples pass through
    a shuffle buffer. With ``quota`` the shards are gone through as often as it takes.

    Args:
        source: What to read.
        transform: Makes a sample of a triplet.
        faults: Counts what is skipped.
        shuffle_buffer: Samples in the buffer; 1 keeps the order within the shards.
        quota: Samples of each worker in an epoch, in the order of the workers; None for one pass over the shards.
    """

    def __init__(
        self,
        source: Source,
        transform: TripletTransform,
        faults: FaultCounter,
        shuffle_buffer: int = 256,
        quota: list[int] | None = None,
    ) -> None:
        """Store the parts; nothing is read."""
        super().__init__(source, transform, faults)
        self.shuffle_buffer = shuffle_buffer
        self.quota = quota

    def __iter__(self) -> Iterator[TryOnSample]:
        """Yield this worker's samples.

        Raises:
            ValueError: If a whole pass over this worker's shards, of several, gave no sample.
        """
        self.faults.start()
        if self.quota is None:
            yield from self._pass(0)
        else:
            yield from islice(self._passes(), self.quota[_worker()[0]])

    def _passes(self) -> Iterator[TryOnSample]:
        for number in count():
            samples = 0
            for sample in self._pass(number):
                samples += 1
                yield sample
            if samples == 0 and not self._held_back:
                raise ValueError(
                    f"a pass over the shards must give a sample, got none: {self.faults.report()}; check the shards "
                    f"and type_weights (chances {self.source.chances})"
                )

    def _pass(self, number: int) -> Iterator[TryOnSample]:
        seed, epoch = self.source.seed, self.epoch
        self._held_back = False
        index, parts = self._part()
        shards = list(self.source.shards)
        random.Random(hash_seed(seed, epoch, number, "shards")).shuffle(shards)
        samples = self._keep(self._describe(_read(shards[index::parts], self.faults.record)), number)
        rng = random.Random(hash_seed(seed, epoch, number, "buffer", index, parts))
        buffered = shuffle(self.shuffle_buffer, initial=self.shuffle_buffer, rng=rng)(samples)
        yield from self._finish(buffered, number)


def _worker() -> tuple[int, int]:
    """Which worker of how many this is."""
    worker = get_worker_info()
    return (0, 1) if worker is None else (worker.id, worker.num_workers)


def _read(shards: Iterable[str], report: Callable[[SampleError], None]) -> Iterator[RawSample]:
    for shard in shards:
        yield from read_shard(shard, report)


def _ignore(error: SampleError) -> None:
    """Leave a fault to the worker that counts it."""
