"""How a set is cut into shards, and shards into tasks for workers."""

import re
from typing import NamedTuple

from datamodules.rendering.composition import CATEGORIES, ORNAMENTS_PER_BODY

BODY_GROUP = ORNAMENTS_PER_BODY * len(CATEGORIES)


class Task(NamedTuple):
    """Triplets of one shard that are worn on one body, so that a worker draws that body once.

    Attributes:
        shard: Number of the shard.
        indices: Numbers of the triplets in the set.
    """

    shard: int
    indices: tuple[int, ...]


class Plan(NamedTuple):
    """A set of triplets in shards.

    Attributes:
        num: Triplets.
        shard_size: Triplets of a shard; the last one may have fewer.
        split: Its name, with which keys and shards begin.
        categories: The types that it has; triplets of the others are left out, and their numbers with them.
    """

    num: int
    shard_size: int
    split: str
    categories: tuple[str, ...] = CATEGORIES

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.num // self.shard_size)

    def name(self, shard: int) -> str:
        """File name of a shard."""
        return f"{self.split}-{shard:06d}.tar"

    def key(self, index: int) -> str:
        """Key of a triplet."""
        return f"{self.split}-{index:06d}"

    def indices(self, shard: int) -> tuple[int, ...]:
        """Numbers of a shard's triplets."""
        turn = [place for place, category in enumerate(CATEGORIES) if category in self.categories]
        counted = range(shard * self.shard_size, min((shard + 1) * self.shard_size, self.num))
        return tuple(len(CATEGORIES) * (count // len(turn)) + turn[count % len(turn)] for count in counted)

    def tasks(self, shard: int) -> list[Task]:
        """The tasks of a shard."""
        groups: dict[tuple[int, int], list[int]] = {}
        for index in self.indices(shard):
            groups.setdefault((index // BODY_GROUP, index % len(CATEGORIES)), []).append(index)
        return [Task(shard, tuple(indices)) for indices in groups.values()]


def check_plan(plan: Plan) -> None:
    """Check the numbers of a plan.

    Raises:
        ValueError: If one is not positive, or no type is left.
    """
    if plan.num < 1 or plan.shard_size < 1:
        raise ValueError(f"--num and --shard_size must be at least 1, got {plan.num} and {plan.shard_size}")
    if not plan.categories:
        raise ValueError(f"--types must name at least one of {', '.join(CATEGORIES)}, got none; null means all")


def parse_range(text: str | None, count: int) -> range:
    """The shards that a run renders.

    Args:
        text: ``a:b`` for the shards a to b - 1, either end may be left out; None for all.
        count: Number of shards of the set.

    Raises:
        ValueError: If the text is no range of these shards.
    """
    match = re.fullmatch(r"(\d*):(\d*)", text if text is not None else ":")
    if match is None:
        raise ValueError(f"--shard_range must be a:b, got {text!r}; 0:16 means the first 16 shards")
    first, last = int(match[1] or 0), int(match[2] or count)
    if not first < last <= count:
        raise ValueError(f"--shard_range must lie in 0:{count}, the set's shards, and not be empty, got {text!r}")
    return range(first, last)
