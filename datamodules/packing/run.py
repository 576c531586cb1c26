"""From a manifest or folder to shards, index, report and contact sheet."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from datamodules.packing.encoding import Encoding, Packed, encode_row
from datamodules.packing.plan import Plan, State, open_state, plan_shards
from datamodules.packing.rows import Row, Source, with_all_columns, without_duplicates
from datamodules.packing.rules import Problem, write_report
from datamodules.packing.sources import read_source
from datamodules.packing.splits import parse_fractions, split_rows
from datamodules.packing.summary import print_summary
from datamodules.shards.contact_sheet import sheet_of_shards
from datamodules.shards.index import INDEX, ShardEntry, write_index
from datamodules.shards.writing import write_shard
from datamodules.storage.process_pool import available_cores, map_in_order
from datamodules.storage.sample_errors import SampleError
from ornament_lit.imaging.writing import save_image

SHEET = "contact_sheet.png"


@dataclass(frozen=True)
class Request:
    """What the user wants, see :func:`datamodules.packing.command.pack`."""

    source: Path
    out: Path
    encoding: Encoding = field(default_factory=Encoding)
    category: str | None = None
    layout: str = "auto"
    split: str | None = None
    auto_mask: str | None = None
    parse_labels: tuple[int, ...] = ()
    shard_size: int = 128
    workers: int | None = None
    strict: bool = False
    sheet: int = 24

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: If one is out of range.
        """
        for name, least in (("shard_size", 1), ("workers", 1), ("sheet", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")

    @property
    def lasting_options(self) -> dict[str, Any]:
        """Options that change what is packed, as JSON values."""
        options = {name: getattr(self, name) for name in ("category", "layout", "split", "auto_mask", "shard_size")}
        return {**asdict(self.encoding), **options, "parse_labels": list(self.parse_labels)}


def run(request: Request) -> None:
    """Pack, and print what was done.

    Raises:
        SystemExit: With 1, if nothing could be packed.
        ValueError: If an option, the manifest or the folder is wrong, or at the first problem if that is asked for.
        FileNotFoundError: If the source is not there.
    """
    source = _read(request)
    _stop_at_first(source.problems, request.strict)
    state = open_state(request.out, request.lasting_options)
    source = _with_masks(source, request)
    plans = plan_shards(source.rows, request.shard_size)
    state.keep_only({plan.name for plan in plans})
    _stop_at_first([*source.problems, *state.problems(plans)], request.strict)
    try:
        entries = _write_shards(plans, state, request)
    finally:
        problems = [*source.problems, *state.problems(plans)]
        report = write_report(request.out, problems)
    console = Console()
    print_summary(console, entries, problems, report)
    if not entries:
        raise SystemExit(1)
    write_index(request.out, entries)
    if request.sheet:
        save_image(sheet_of_shards(request.out, entries, request.sheet), request.out / SHEET, {})
        console.print(str(request.out / SHEET), soft_wrap=True, highlight=False)


def _read(request: Request) -> Source:
    """List the rows, each key once, with its split and all columns."""
    fractions = None if request.split is None else parse_fractions(request.split)
    masks = request.auto_mask is None
    source = read_source(request.source, request.layout, request.category, request.parse_labels, masks)
    return split_rows(with_all_columns(without_duplicates(source)), fractions)


def _with_masks(source: Source, request: Request) -> Source:
    """Make the masks that are missing, if that is asked for."""
    if request.auto_mask is None or all(row.ornament_mask and row.wearing_mask for row in source.rows):
        return source
    from datamodules.packing.auto_masks import FOLDER, MaskMaker, add_masks

    made = add_masks(source.rows, MaskMaker(request.auto_mask), request.out / FOLDER)
    results = list(_show(made, "making masks", len(source.rows)))
    rows = [result for result in results if isinstance(result, Row)]
    return Source(rows, [*source.problems, *(result for result in results if isinstance(result, Problem))])


def _write_shards(plans: Iterable[Plan], state: State, request: Request) -> list[ShardEntry]:
    """Write what is not there yet; return the entries of all shards."""
    entries: dict[str, ShardEntry | None] = {}
    waiting = []
    for plan in plans:
        try:
            entries[plan.name] = state.finished_entry(plan)
        except SampleError:
            waiting.append(plan)
    if waiting:
        (request.out / INDEX).unlink(missing_ok=True)  # it is not true any more
    rows = [row for plan in waiting for row in plan.rows]
    encode = partial(encode_row, encoding=request.encoding)
    with closing(map_in_order(encode, rows, request.workers or available_cores())) as made:
        results = _show(made, "packing", len(rows))
        for plan in waiting:
            entries[plan.name] = _write(plan, islice(results, len(plan.rows)), state, request)
    return [entry for entry in entries.values() if entry is not None]


def _write(plan: Plan, results: Iterable[Packed | Problem], state: State, request: Request) -> ShardEntry | None:
    samples: list[Packed] = []
    problems: list[Problem] = []
    for result in results:
        if isinstance(result, Problem):
            _stop_at_first([result], request.strict)
            problems.append(result)
        else:
            samples.append(result)
    path = request.out / plan.name
    entry = write_shard(path, ((sample.key, sample.entries) for sample in samples)) if samples else None
    if entry is None:
        path.unlink(missing_ok=True)
    state.finish(plan, problems)
    return entry


def _stop_at_first(problems: list[Problem], strict: bool) -> None:
    if strict and problems:
        raise ValueError(str(min(problems)))


def _show(results: Iterable[Any], description: str, total: int) -> Iterator[Any]:
    console = Console(stderr=True)
    return iter(track(results, description, total, console=console, disable=not console.is_terminal or not total))
