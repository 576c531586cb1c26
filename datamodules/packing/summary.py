"""What was packed, as tables."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from datamodules.packing.rows import SPLITS
from datamodules.packing.rules import RULES, Problem
from datamodules.shards.index import ShardEntry
from ornament_lit.utils.categories import CATEGORIES


def print_summary(
    console: Console, entries: Sequence[ShardEntry], problems: Sequence[Problem], report: Path | None
) -> None:
    """Print how many triplets of each type went into each split, and which rules the others broke.

    Args:
        console: Where to.
        entries: The shards.
        problems: The rows that are left out.
        report: Where they are listed.
    """
    console.print(_packed_table(entries))
    if problems:
        console.print(_problem_table(problems))
        console.print(f"{len(problems)} rows are left out, listed in {report}", soft_wrap=True, highlight=False)


def _packed_table(entries: Sequence[ShardEntry]) -> Table:
    total = sum(len(entry.samples) for entry in entries)
    table = Table(title=f"{total} triplets packed")
    for column in ("", *CATEGORIES, "all", "shards", "MiB"):
        table.add_column(column, justify="right" if column else "left")
    for split in SPLITS:
        members = [entry for entry in entries if entry.name.startswith(f"{split}-")]
        counts = Counter(row.category for entry in members for row in entry.samples)
        if members:
            numbers = [*(counts[name] for name in CATEGORIES), counts.total(), len(members)]
            size = sum(entry.bytes for entry in members) / 2**20
            table.add_row(split, *map(str, numbers), f"{size:.1f}")
    return table


def _problem_table(problems: Sequence[Problem]) -> Table:
    table = Table(title="left out")
    for column in ("rule", "rows", "what to do"):
        table.add_column(column, justify="right" if column == "rows" else "left")
    for rule, count in Counter(problem.rule for problem in problems).most_common():
        table.add_row(rule, str(count), RULES[rule])
    return table
