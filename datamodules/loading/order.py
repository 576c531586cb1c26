"""The order of samples: a pure function of (seed, epoch, index of the shards) and a few options.

Nothing here knows of workers, and ranks come in at the very end, where batches are dealt out: whoever trains, on
however many processes, goes through one and the same sequence.

Shape legend: N samples of the catalogue, L samples of an epoch.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from math import fsum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.samples.seeding import hash_fraction, hash_seed
from datamodules.shards.sample_index import Catalogue
from ornament_lit.utils.categories import CATEGORIES

Integers = NDArray[np.int64]


class Order(NamedTuple):
    """A sequence of samples.

    Attributes:
        samples: (L,) rows of the catalogue.
        passes: (L,) which pass over the shards, from 0, each of them is from.
    """

    samples: Integers
    passes: Integers


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
class OrderOptions:
    """What the order of an epoch depends on besides the epoch and the shards.

    Attributes:
        seed: Seed of everything that is drawn.
        chances: Chance of each type to be kept in a pass, see :func:`type_chances`.
        samples_per_epoch: L; None for as many as one pass gives on average, which is N where all chances are 1.
        shuffle_block_size: Samples that are mixed with each other: a pass needs the shards of one block at a time.
    """

    seed: int = 0
    chances: dict[str, float] = field(default_factory=type_chances)
    samples_per_epoch: int | None = None
    shuffle_block_size: int = 8192

    def to_dict(self) -> dict[str, Any]:
        """The options as plain numbers, for a checkpoint."""
        return asdict(self)


def epoch_samples(catalogue: Catalogue, options: OrderOptions) -> int:
    """L, which is the same in every epoch.

    Raises:
        ValueError: If the catalogue has no sample of a type that is wanted.
    """
    expected = fsum(options.chances[name] for name in catalogue.categories)
    if expected == 0.0:
        wanted = ", ".join(name for name, chance in options.chances.items() if chance)
        raise ValueError(f"training needs samples of {wanted} (see type_weights), the shards have none")
    return options.samples_per_epoch or max(1, int(expected + 1e-6))


def training_order(catalogue: Catalogue, epoch: int, options: OrderOptions) -> Order:
    """Order of an epoch: passes over the shuffled shards, each with the samples that it keeps.

    Args:
        catalogue: The samples.
        epoch: Epoch, from 0.
        options: See :class:`OrderOptions`.

    Returns:
        L samples.

    Raises:
        ValueError: If the catalogue has no sample of a type that is wanted.
    """
    length = epoch_samples(catalogue, options)
    passes: list[Integers] = []
    while sum(map(len, passes)) < length:
        passes.append(_pass(catalogue, epoch, len(passes), options))
    numbers = np.repeat(np.arange(len(passes)), [len(samples) for samples in passes])
    return Order(np.concatenate(passes)[:length], numbers[:length])


def evaluation_order(catalogue: Catalogue, seed: int, chances: Mapping[str, float]) -> Order:
    """The samples of the catalogue that are kept, as they lie in the shards, each once."""
    rows = np.arange(len(catalogue))
    samples = rows[_kept(catalogue, rows, (seed, 0, 0), chances)]
    return Order(samples, np.zeros_like(samples))


def deal(length: int, batch_size: int, rank: int, world_size: int, start: int = 0) -> Iterator[list[int]]:
    """Deal positions of an order out to processes, in batches.

    Batch n of all processes together is the stretch from n * ``world_size`` * ``batch_size``; each process takes every
    ``world_size``-th position of it.

    Args:
        length: L.
        batch_size: Samples in a batch of one process.
        rank: Which process this is.
        world_size: Number of processes.
        start: Batches that are done already.

    Yields:
        The positions of this process's next batch; at the end of the order there may be fewer, but never none.
    """
    stretch = batch_size * world_size
    for number in count(start):
        positions = list(range(number * stretch + rank, min((number + 1) * stretch, length), world_size))
        if not positions:
            return
        yield positions


def _pass(catalogue: Catalogue, epoch: int, number: int, options: OrderOptions) -> Integers:
    parts = (options.seed, epoch, number)
    shards = _permutation(len(catalogue.shards), hash_seed(*parts, "shards"))
    samples = np.concatenate([catalogue.rows_of(shard) for shard in shards.tolist()])
    samples = samples[_kept(catalogue, samples, parts, options.chances)]
    blocks = np.arange(len(samples)) // options.shuffle_block_size
    return samples[np.lexsort((_random(len(samples), hash_seed(*parts, "blocks")), blocks))]


def _kept(
    catalogue: Catalogue, samples: Integers, parts: tuple[int, int, int], chances: Mapping[str, float]
) -> NDArray[np.bool_]:
    """Which samples a pass keeps: a pure function of each one's key."""
    if all(chance == 1.0 for chance in chances.values()):
        return np.ones(len(samples), dtype=bool)
    return np.array(
        [
            hash_fraction(*parts, "keep", catalogue.keys[row]) < chances[catalogue.categories[row]]
            for row in samples.tolist()
        ],
        dtype=bool,
    )


def _random(length: int, seed: int) -> NDArray[np.uint64]:
    """Random numbers that are the same in every release of numpy: raw ones, not of a distribution."""
    return np.random.Philox(key=seed).random_raw(length)


def _permutation(length: int, seed: int) -> Integers:
    return np.argsort(_random(length, seed), kind="stable")
