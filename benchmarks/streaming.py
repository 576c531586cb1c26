"""Samples a second that one core reads and decodes: ours against others, on the same images, in the same run.

Run ``python -m benchmarks.streaming --help`` for the options (by its path, this file would hide the package of the same
name that it measures); README.md in this folder says what to expect.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Literal

import torch
from jsonargparse import auto_cli
from PIL import Image
from webdataset import WebDataset

from datamodules.loading.dataset import TripletDataset
from datamodules.loading.order import OrderOptions, training_order
from datamodules.samples.decoding import decode, describe
from datamodules.samples.schema import ENTRIES
from datamodules.samples.transforms import TripletTransform
from datamodules.shards.cache import ShardCache
from datamodules.shards.index import raise_sample_error, write_index
from datamodules.shards.reading import RawSample, read_sample, read_shard
from datamodules.shards.sample_index import Catalogue, open_catalogue
from datamodules.shards.writing import write_shard
from datamodules.storage.sample_errors import SampleErrorCounter
from datamodules.storage.shard_paths import resolve_shards

Entries = dict[str, bytes]
Side = Callable[[Path, int], Iterable[object]]
SHARD_SIZE = 64


@dataclass(frozen=True)
class Options:
    """Read all samples in a random order, in one process, again and again.

    Attributes:
        shards: Where the images are from.
        samples: Number of samples; fewer are repeated under other keys.
        size: Side in pixels to which the images are scaled; null to keep their own.
        resolution: Side of the crops.
        work: Read and decode and crop, or read only.
        rounds: Turns that are measured; in each the sides come in a random order, after one turn that is not counted.
    """

    shards: str = "bundled:rendered_128/train-*.tar"
    samples: int = 512
    size: int | None = 512
    resolution: int = 512
    work: Literal["decode", "read"] = "decode"
    rounds: int = 5


def images(options: Options) -> Iterator[tuple[str, Entries]]:
    """Samples of the shards, scaled."""
    found: list[Entries] = []
    for shard in resolve_shards(options.shards):
        samples = islice(read_shard(shard, raise_sample_error), options.samples - len(found))
        found += [{entry: scaled(raw[entry], entry, options.size) for entry in ENTRIES} for raw in samples]
    for number in range(options.samples):
        yield f"sample-{number:06d}", found[number % len(found)]


def scaled(content: bytes, entry: str, size: int | None) -> bytes:
    """Scale an image; the boxes stay those of the original, so that crops are small parts of it."""
    if size is None or entry == "json":
        return content
    buffer, image = BytesIO(), Image.open(BytesIO(content))
    image.resize((size, size)).save(buffer, image.format, **({"quality": 95} if image.format == "JPEG" else {}))
    return buffer.getvalue()


def finish(raw: RawSample, transform: TripletTransform | None) -> object:
    """The work that all sides share."""
    return raw if transform is None else transform(decode(raw, describe(raw)), 0)


def write_files(folder: Path, samples: list[tuple[str, Entries]]) -> None:
    """A file for each entry."""
    for key, entries in samples:
        for name, content in entries.items():
            (folder / f"{key}.{name}").write_bytes(content)


def write_shards(folder: Path, samples: list[tuple[str, Entries]]) -> None:
    """Tars with an index."""
    parts = range(0, len(samples), SHARD_SIZE)
    write_index(folder, [write_shard(folder / f"{part:06d}.tar", samples[part : part + SHARD_SIZE]) for part in parts])


def write_mosaic(folder: Path, samples: list[tuple[str, Entries]]) -> None:
    """MosaicML's shards."""
    from streaming import MDSWriter

    columns = {"__key__": "str", **dict.fromkeys(ENTRIES, "bytes")}
    with MDSWriter(out=str(folder), columns=columns) as writer:
        for key, entries in samples:
            writer.write({"__key__": key, **entries})


def write_litdata(folder: Path, samples: list[tuple[str, Entries]]) -> None:
    """LitData's chunks."""
    from litdata.streaming import Cache

    cache = Cache(str(folder), chunk_size=SHARD_SIZE)
    for number, (key, entries) in enumerate(samples):
        cache[number] = {"__key__": key, **entries}
    cache.done()
    cache.merge()


def read_files(folder: Path, seed: int, transform: TripletTransform | None) -> Iterator[object]:
    """A plain file for each image."""
    keys = sorted(path.name.removesuffix(".json") for path in folder.glob("*.json"))
    random.Random(seed).shuffle(keys)
    for key in keys:
        entries = {entry: (folder / f"{key}.{entry}").read_bytes() for entry in ENTRIES}
        yield finish({"__key__": key, "__url__": str(folder), **entries}, transform)


def read_webdataset(folder: Path, seed: int, transform: TripletTransform | None) -> Iterator[object]:
    """Plain webdataset with shuffled shards and a shuffle buffer."""
    shards = [str(path) for path in sorted(folder.glob("*.tar"))]
    stream = WebDataset(shards, shardshuffle=len(shards), seed=seed).shuffle(256)
    return (finish(raw, transform) for raw in stream)


def read_ours(folder: Path, seed: int, transform: TripletTransform | None) -> Iterator[object]:
    """Ours; without decoding, only what gives the bytes."""
    catalogue = open_catalogue(map(str, sorted(folder.glob("*.tar"))), raise_sample_error, 1.0)
    order = training_order(catalogue, 0, OrderOptions(seed))
    if transform is None:
        return (read_bytes(catalogue, sample) for sample in order.samples.tolist())
    data = TripletDataset(catalogue, order, transform, SampleErrorCounter(strict=True), ShardCache())
    return (data[position] for position in range(len(data)))


def read_bytes(catalogue: Catalogue, sample: int) -> RawSample:
    """What our dataset does before it decodes."""
    place = catalogue.place(sample)
    with ShardCache().open(place) as file:
        return read_sample(file, place)


def read_mosaic(folder: Path, seed: int, transform: TripletTransform | None) -> Iterator[object]:
    """MosaicML Streaming."""
    from streaming import StreamingDataset

    data = StreamingDataset(local=str(folder), shuffle=True, shuffle_seed=seed, batch_size=1)
    return (finish({"__url__": str(folder), **raw}, transform) for raw in data)


def read_litdata(folder: Path, seed: int, transform: TripletTransform | None) -> Iterator[object]:
    """LitData."""
    from litdata import StreamingDataset

    for raw in StreamingDataset(str(folder), shuffle=True, seed=seed):
        entries = {entry: bytes(raw[entry]) for entry in ENTRIES}
        yield finish({"__key__": raw["__key__"], "__url__": str(folder), **entries}, transform)


SIDES = {
    "a file an image": (None, write_files, read_files),
    "webdataset": ("webdataset", write_shards, read_webdataset),
    "ours": (None, write_shards, read_ours),
    "mosaicml-streaming": ("mosaicml-streaming", write_mosaic, read_mosaic),
    "litdata": ("litdata", write_litdata, read_litdata),
}


def installed(package: str | None) -> str | None:
    """Version of a package, "" where none is needed, None where it is not there."""
    try:
        return "" if package is None else version(package)
    except PackageNotFoundError:
        return None


def prepare(root: Path, options: Options) -> dict[str, Callable[[int], Iterable[object]]]:
    """Write the same samples in the format of each side that is installed."""
    samples = list(images(options))
    transform = TripletTransform(options.resolution) if options.work == "decode" else None
    sides = {}
    for name, (package, write, read) in SIDES.items():
        if installed(package) is not None:
            folder = root / name.replace(" ", "-")
            folder.mkdir()
            write(folder, samples)
            sides[name] = partial(read, folder, transform=transform)
    return sides


def rate(read: Callable[[int], Iterable[object]], seed: int, samples: int) -> float:
    """Samples to a second of the processor's time, children and threads included."""
    start = time.process_time()
    count = sum(1 for _ in read(seed))
    if count != samples:
        raise RuntimeError(f"all {samples} samples must come once, got {count}")
    return count / (time.process_time() - start)


def measure(options: Options) -> dict[str, list[float]]:
    """Rates of each side, in turns of a random order."""
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as root:
        sides = prepare(Path(root), options)
        for turn in range(options.rounds + 1):
            for name in random.Random(turn).sample(list(sides), len(sides)):
                rates.setdefault(name, []).append(rate(sides[name], turn, options.samples))
    return {name: rates[name][1:] for name in sides}


def report(options: Options) -> str:
    """Measure, and lay the results out as a table."""
    rates = measure(options)
    lines = [
        f"{options.samples} samples of {options.size or 'own'} pixels, {options.work}, resolution "
        f"{options.resolution}; one process, {options.rounds} turns; samples to a second of one core",
        f"{'':28}{'median':>9}{'least':>9}{'most':>9}{'of webdataset':>15}",
    ]
    for name, found in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(found, rates["webdataset"], strict=True)]
        title = f"{name} {installed(SIDES[name][0])}".strip()
        lines.append(
            f"{title:28}{statistics.median(found):9.1f}{min(found):9.1f}{max(found):9.1f}"
            f"{statistics.median(ratios):14.3f}x"
        )
    absent = [name for name, (package, _, _) in SIDES.items() if installed(package) is None]
    return "\n".join([*lines, *(f"{name}: not installed" for name in absent)])


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(report(auto_cli(Options, as_positional=False)))
