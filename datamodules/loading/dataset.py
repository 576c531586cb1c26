"""Positions of an order to samples: read, decode, transform; what a worker process does."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from torch.utils.data import Dataset, default_collate

from datamodules.loading.order import Integers, Order
from datamodules.samples.decoding import Triplet, decode, describe
from datamodules.samples.latents import PrecomputedTransform
from datamodules.samples.seeding import hash_seed, sample_seed
from datamodules.samples.transforms import OtherSample, TripletTransform, TryOnSample
from datamodules.shards.cache import ShardCache
from datamodules.shards.sample_index import Catalogue
from datamodules.storage.sample_errors import SampleError, SampleErrorCounter
from ornament_lit.batch import TryOnBatch

SUBSTITUTES = 32


@dataclass(frozen=True)
class TripletDataset(Dataset[TryOnSample | None]):
    """The samples of one epoch by their position in its order.

    Attributes:
        catalogue: Which samples there are.
        order: Which of them comes where.
        transform: Makes a sample of a triplet.
        sample_errors: Counts what cannot be used; it must have a row for each worker.
        cache: Opens shards.
        seed: Seed of everything that is drawn.
        epoch: Epoch, from 0.
        substitute: Hand out another sample in the place of one that cannot be used, so that batches keep their size.
    """

    catalogue: Catalogue
    order: Order
    transform: TripletTransform | PrecomputedTransform
    sample_errors: SampleErrorCounter
    cache: ShardCache
    seed: int = 0
    epoch: int = 0
    substitute: bool = False

    def __len__(self) -> int:
        """Number of positions."""
        return len(self.order.samples)

    def __getitem__(self, position: int) -> TryOnSample | None:
        """Load a sample.

        Args:
            position: Position in the order.

        Returns:
            The sample, a substitute, or None where it cannot be used and is not substituted.

        Raises:
            SampleError: If it cannot be used and errors are not to be skipped.
            ValueError: If no substitute can be used either.
            OSError: If a remote shard cannot be fetched.
        """
        sample = self._try(position, int(self.order.passes[position]))
        return self._substitute(position) if sample is None and self.substitute else sample

    def _substitute(self, position: int) -> TryOnSample:
        """Draw positions until one can be used; as all that is drawn, they are a function of seed and position."""
        for attempt in range(SUBSTITUTES):
            drawn = hash_seed(self.seed, self.epoch, position, attempt, "substitute") % len(self)
            # Passes count from 0 on: below it, each attempt has a number, and so a sample seed, of its own.
            sample = self._try(drawn, -1 - attempt - SUBSTITUTES * position)
            if sample is not None:
                return sample
        raise ValueError(
            f"a sample and {SUBSTITUTES} substitutes cannot be used; check the shards with data check: "
            f"{self.sample_errors.report()}"
        )

    def _try(self, position: int, occurrence: int) -> TryOnSample | None:
        try:
            sample = self.load(int(self.order.samples[position]), occurrence)
        except SampleError as error:
            self.sample_errors.record(error)
            return None
        self.sample_errors.count_good()
        return sample

    def load(self, row: int, occurrence: int = 0) -> TryOnSample:
        """Load the sample in a row of the catalogue.

        Raises:
            SampleError: If it cannot be used.
        """
        triplet = self.read(row, self.transform.wants)
        return self.transform(triplet, sample_seed(self.seed, self.epoch, triplet.key, occurrence))

    def read(self, row: int, wanted: Callable[[str], bool]) -> Triplet:
        """Read and decode the triplet in a row of the catalogue, as far as its entries are wanted.

        Raises:
            SampleError: If it cannot be used.
        """
        raw = self.cache.read(self.catalogue.place(row), wanted)
        return decode(raw, describe(raw))


@dataclass(frozen=True)
class ComparisonDataset(TripletDataset):
    """The samples, each with the ornaments of others of its type, to be drawn as wrong references.

    Attributes:
        count: How many others.
    """

    count: int = 1

    def __post_init__(self) -> None:
        """Check that there are enough samples of each type.

        Raises:
            ValueError: If several others are wanted and a type has not so many.
        """
        for category, found in Counter(self.catalogue.categories).items():
            if found <= self.count > 1:
                raise ValueError(
                    f"other_ornaments={self.count} needs {self.count + 1} samples of each type, and there are only "
                    f"{found} of type {category}; give more test data, or set --data.other_ornaments lower"
                )

    @cached_property
    def others(self) -> Integers:
        """Rows of the other samples for each row of the catalogue: the next ones of its type, (N, count).

        A single other one is any where there is none of the type.
        """
        categories = np.array(self.catalogue.categories)
        rows = np.arange(len(categories))
        others = np.stack([np.roll(rows, -1)] * self.count, axis=1)
        for category in np.unique(categories):
            alike = rows[categories == category]
            if len(alike) > 1:
                others[alike] = np.stack([np.roll(alike, -step) for step in range(1, self.count + 1)], axis=1)
        return others

    def load(self, row: int, occurrence: int = 0) -> TryOnSample:
        """Load the sample in a row of the catalogue, with other ornaments if there is more than one sample."""
        sample = super().load(row, occurrence)
        others = [self._ornament(other) for other in self.others[row].tolist() if other != row]
        if others:
            sample["other_ornament"] = others[0]
        if len(others) > 1:
            sample["other_ornaments"] = others[1:]
        return sample

    def _ornament(self, row: int) -> OtherSample:
        found = super().load(row)
        other = OtherSample(
            ornament_image=found["ornament_image"], ornament_mask=found["ornament_mask"], key=found["key"]
        )
        if "ornament_detail" in found:
            other["ornament_detail"] = found["ornament_detail"]
        return other


def collate(samples: Sequence[TryOnSample | None]) -> TryOnBatch | None:
    """Batch the samples that could be used; None where there are none."""
    usable = [sample for sample in samples if sample is not None]
    if not usable:
        return None
    photographs = [sample.pop("photograph") for sample in usable if "photograph" in sample]
    batch = cast(TryOnBatch, default_collate(usable))
    if photographs:  # each has a size of its own
        batch["photograph"] = photographs
    return batch
