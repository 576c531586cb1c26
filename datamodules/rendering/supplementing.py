"""The work behind ``data correspondence``: shards that were rendered before get one entry more a sample."""

import shutil
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from datamodules.rendering.card import renew_card
from datamodules.rendering.correspondence import correspond
from datamodules.rendering.plan import BODY_GROUP
from datamodules.rendering.recomposing import NEEDED, Options, StrangeError, recompose
from datamodules.rendering.records import add_option, read_log, read_options, write_log
from datamodules.samples.correspondence_png import encode_correspondence
from datamodules.samples.schema import CORRESPONDENCE
from datamodules.shards.index import ShardEntry, raise_sample_error, read_index, scan_shard, write_index
from datamodules.shards.reading import RawSample, read_shard
from datamodules.shards.writing import write_shard
from datamodules.storage.process_pool import map_in_order

LISTED = 20


class Made(NamedTuple):
    """What became of a sample.

    Attributes:
        key: Its key.
        content: Its new entry; empty where there is none.
        strange: Why there is none.
    """

    key: str
    content: bytes
    strange: str = ""

    def __str__(self) -> str:
        """One line on why there is none."""
        return f"{self.key}: {self.strange}"


def supplement(folder: Path, out: Path, workers: int) -> None:
    """Add the correspondence to the samples of a folder that lack it, shard after shard, and print what was done.

    A shard is replaced when it is whole, and its log and the index then: it can be interrupted and run again.

    Args:
        folder: Of shards that ``data render`` made.
        out: Where to; the folder itself to replace its shards.
        workers: Processes.

    Raises:
        FileNotFoundError: If there is no shard.
        SampleError: If a shard cannot be read to its end.
    """
    names = sorted(path.name for path in folder.glob("*.tar"))
    if not names:
        raise FileNotFoundError(f"{folder} must be a folder with shards (*.tar), there is none")
    if out.resolve() != folder.resolve():
        shutil.copytree(folder, out, ignore=shutil.ignore_patterns("*.tar", "*.part"), dirs_exist_ok=True)
    sources = [out / name if (out / name).exists() else folder / name for name in names]
    options = read_options(out)
    index = {}
    made: list[Made] = []
    with closing(_make(sources, options, workers)) as shards:
        for source, results in shards:
            made += results
            index[source.name] = _write(source, out / source.name, results)
            write_index(out, (read_index(out) | index).values())
    strange = [one for one in made if one.strange]
    if not strange:
        add_option(out, "correspondence", True)
    renew_card(out)
    _report(made, strange)


def _make(sources: Sequence[Path], options: Options, workers: int) -> Generator[tuple[Path, list[Made]], None, None]:
    """Make the entries of one shard after the other; the next ones are in the making meanwhile."""
    lacking = {source: [raw["__key__"] for raw in _read(source) if CORRESPONDENCE not in raw] for source in sources}
    chunks = (chunk for source in sources for chunk in _chunks(source))
    total = sum(map(len, lacking.values()))
    with closing(map_in_order(partial(make_entries, options=options), chunks, workers)) as results:
        shown = _show((made for chunk in results for made in chunk), total)
        for source, keys in lacking.items():
            yield source, list(islice(shown, len(keys)))


def _read(source: Path) -> Iterator[RawSample]:
    return read_shard(str(source), raise_sample_error, {*NEEDED, CORRESPONDENCE}.__contains__)


def _chunks(source: Path) -> Iterator[list[RawSample]]:
    """The samples of a shard that lack the entry, those of one body together."""
    lacking = (raw for raw in _read(source) if CORRESPONDENCE not in raw)
    while chunk := list(islice(lacking, BODY_GROUP)):
        yield chunk


def make_entries(samples: Sequence[RawSample], options: Options) -> list[Made]:
    """Make the entry of each of some samples."""
    return [_make_entry(sample, options) for sample in samples]


def _make_entry(sample: RawSample, options: Options) -> Made:
    key = sample["__key__"]
    try:
        return Made(key, encode_correspondence(correspond(recompose(key, sample, options))))
    except StrangeError as error:
        return Made(key, b"", str(error))


def _write(source: Path, target: Path, made: Sequence[Made]) -> ShardEntry:
    """Write a shard with its new entries, and its checksum into its log."""
    contents = {one.key: {CORRESPONDENCE: one.content} for one in made if one.content}
    _, rows = read_log(target.parent, target.name)

    def log(entry: ShardEntry) -> None:
        if rows:
            write_log(target.parent, target.name, entry.sha256, rows)

    if source == target and not contents:
        entry = scan_shard(target, checksum=True)
        log(entry)  # an interrupted run may have left that of the shard before
        return entry
    everything = read_shard(str(source), raise_sample_error, lambda entry: True)
    samples = ((raw["__key__"], _entries(raw) | contents.get(raw["__key__"], {})) for raw in everything)
    return write_shard(target, samples, log)


def _entries(raw: RawSample) -> dict[str, bytes]:
    return {name: content for name, content in raw.items() if not name.startswith("__")}


def _show(made: Iterator[Made], total: int) -> Iterator[Made]:
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield from progress.track(made, total)


def _report(made: Sequence[Made], strange: Sequence[Made]) -> None:
    print(f"{len(made) - len(strange)} of {len(made)} samples without a correspondence have one now")
    if strange:
        print(f"{len(strange)} stay without, because they are not what their seed draws here:", file=sys.stderr)
        print("\n".join(map(str, strange[:LISTED])), file=sys.stderr)
