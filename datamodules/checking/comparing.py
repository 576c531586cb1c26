"""Across shards: what comes twice, and whether the index is true."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from datamodules.checking.examining import Measured
from datamodules.checking.findings import Finding
from datamodules.shards.index import INDEX, ShardEntry


def find_repetitions(samples: Sequence[Measured]) -> Iterator[Finding]:
    """Find keys and triplets that come twice, and images that lie in two splits.

    The same ornament on several people, and the same person with several ornaments, are fine within a split.
    """
    yield from _repeated(samples, "duplicate_key", lambda sample: sample.key)
    yield from _repeated(samples, "duplicate_triplet", lambda sample: sample.ornament + sample.person)
    for name in ("ornament", "person"):
        first: dict[str, Measured] = {}
        for sample in samples:
            earlier = first.setdefault(getattr(sample, name), sample)
            if earlier.split != sample.split:
                value = f"the same {name} is {earlier.key} in {earlier.shard}"
                yield Finding(sample.shard, sample.key, "in_two_splits", value)


def _repeated(samples: Iterable[Measured], rule: str, name: Callable[[Measured], str]) -> Iterator[Finding]:
    first: dict[str, Measured] = {}
    for sample in samples:
        earlier = first.setdefault(name(sample), sample)
        if earlier is not sample:
            yield Finding(sample.shard, sample.key, rule, f"as {earlier.key} in {earlier.shard}")


def compare_index(index: Mapping[str, ShardEntry], found: Mapping[str, ShardEntry]) -> Iterator[Finding]:
    """Compare an index with what is there.

    Args:
        index: What ``index.json`` says.
        found: What the shards are, with checksums.
    """
    for name in sorted({*index, *found}):
        if name not in found:
            yield Finding(name, "", "index", f"is in {INDEX}, but there is no such file")
        elif name not in index:
            yield Finding(name, "", "index", f"is not in {INDEX}")
        else:
            yield from _compare_entry(index[name], found[name])


def _compare_entry(said: ShardEntry, found: ShardEntry) -> Iterator[Finding]:
    if said.bytes != found.bytes:
        yield Finding(said.name, "", "index", f"has {found.bytes} bytes, {INDEX} says {said.bytes}")
    elif said.sha256 not in (None, found.sha256):
        yield Finding(said.name, "", "index", f"has another checksum than {INDEX} says: its bytes have changed")
    elif said.samples != found.samples:
        first = next((row.key for row, other in zip(said.samples, found.samples, strict=False) if row != other), "")
        value = f"{INDEX} lists {len(said.samples)} samples, there are {len(found.samples)}"
        yield Finding(said.name, first, "index", value)
