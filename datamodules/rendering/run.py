"""The work behind ``data render``: shards, their log, and index, card and contact sheet when all are there."""

import sys
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from datamodules.rendering.card import CARD, renew_card
from datamodules.rendering.composition import CATEGORIES, Recipe
from datamodules.rendering.plan import Plan, Task
from datamodules.rendering.pool import Product, render_all
from datamodules.rendering.records import check_options, read_log, row_of, write_log
from datamodules.rendering.variants import Variant
from datamodules.shards.index import ShardEntry, scan_shard, write_index
from datamodules.shards.writing import write_shard
from datamodules.storage.sample_errors import SampleError

SHEET = "contact_sheet.png"
SHEET_TRIPLETS = 16


class Job(NamedTuple):
    """What a run does.

    Attributes:
        folder: Where the shards go.
        plan: The set.
        shards: Which of its shards.
        recipe: What its triplets have in common.
        variant: What renders.
        workers: Processes.
    """

    folder: Path
    plan: Plan
    shards: range
    recipe: Recipe
    variant: Variant
    workers: int

    def options(self) -> dict[str, Any]:
        """What the bytes of the shards depend on, JSON-able."""
        versions = {"variant": self.variant.name, "mitsuba": version("mitsuba")}
        types = None if self.plan.categories == CATEGORIES else list(self.plan.categories)
        cut = {"shard_size": self.plan.shard_size, "types": types}
        return {**asdict(self.recipe), "correspondence": True, **cut, **versions}


def run(job: Job) -> None:
    """Render what is not there yet, then write index, card and contact sheet if the set is complete.

    Raises:
        ValueError: If the folder has shards of other options.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    check_options(job.folder, job.plan, job.options())
    missing = [shard for shard in job.shards if not _is_finished(job, shard)]
    kept = len(job.shards) - len(missing)
    if kept:
        print(f"{kept} of {len(job.shards)} shards are there already")
    if missing:
        _render(job, missing)
    absent = [shard for shard in range(job.plan.shards) if not (job.folder / job.plan.name(shard)).exists()]
    if absent:
        print(f"{len(absent)} of {job.plan.shards} shards are missing; the run that makes the last one adds the card")
        return
    finish(job)


def _is_finished(job: Job, shard: int) -> bool:
    """Whether a shard is whole; one is not where a smaller set ended with it, or a disk lost its end."""
    path = job.folder / job.plan.name(shard)
    if not path.exists():
        return False
    sample_errors: list[SampleError] = []
    entry = scan_shard(path, sample_errors.append)
    return len(entry.samples) == len(job.plan.indices(shard)) and not sample_errors


def _render(job: Job, shards: list[int]) -> None:
    tasks = [task for shard in shards for task in job.plan.tasks(shard)]
    open_tasks = {shard: len(job.plan.tasks(shard)) for shard in shards}
    products: dict[int, list[Product]] = {shard: [] for shard in shards}
    with closing(_with_progress(job, tasks)) as rendered:
        for task, made in rendered:
            products[task.shard] += made
            open_tasks[task.shard] -= 1
            if open_tasks[task.shard] == 0:
                _write(job, task.shard, sorted(products.pop(task.shard)))


def _with_progress(job: Job, tasks: list[Task]) -> Generator[tuple[Task, list[Product]], None, None]:
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=sum(len(task.indices) for task in tasks), rate="")
        with closing(render_all(tasks, job.recipe, job.variant, job.workers)) as rendered:
            for task, made in rendered:
                yield task, made
                speed = progress.tasks[bar].speed
                progress.update(bar, advance=len(made), rate=f"{speed:.2f} triplets/s" if speed else "")


def _write(job: Job, shard: int, products: list[Product]) -> None:
    name, keys = job.plan.name(shard), [job.plan.key(product.number) for product in products]
    rows = [row_of(key, product) for key, product in zip(keys, products, strict=True)]
    write_shard(
        job.folder / name,
        ((key, product.entries) for key, product in zip(keys, products, strict=True)),
        lambda entry: write_log(job.folder, name, entry.sha256, rows),
    )


def finish(job: Job) -> None:
    """Write index, card and contact sheet for all shards that are in the folder."""
    from datamodules.shards.contact_sheet import sheet_of_shards
    from ornament_lit.imaging.writing import save_image

    names = sorted(path.name for path in job.folder.glob("*.tar"))
    entries = [_entry(job.folder, name) for name in names]
    write_index(job.folder, entries)
    triplets = renew_card(job.folder)
    save_image(sheet_of_shards(job.folder, entries, SHEET_TRIPLETS), job.folder / SHEET, {})
    print(f"{triplets} triplets in {len(names)} shards: {job.folder}, see {CARD} and {SHEET}", file=sys.stderr)


def _entry(folder: Path, name: str) -> ShardEntry:
    digest, _ = read_log(folder, name)
    scanned = scan_shard(folder / name, checksum=digest is None)
    return ShardEntry(name, scanned.bytes, scanned.samples, digest or scanned.sha256)
