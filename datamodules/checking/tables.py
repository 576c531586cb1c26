"""What is in a set and what is wrong with it, as tables."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from datamodules.checking.findings import Finding
from ornament_lit.utils.categories import CATEGORIES


def counts_table(summary: Mapping[str, Any]) -> Table:
    """Samples by split and type.

    Args:
        summary: As :func:`datamodules.checking.statistics.summarize` gives it.
    """
    ornaments, people = summary["different_ornaments"], summary["different_people"]
    title = f"{summary['samples']} samples, {ornaments} images of ornaments, {people} of people"
    table = _table(title, ("", *CATEGORIES, "all"))
    for split, counts in summary["counts"].items():
        numbers = [counts.get(name, 0) for name in CATEGORIES]
        table.add_row(split, *map(str, numbers), str(sum(numbers)))
    return table


def quantiles_table(summary: Mapping[str, Any], name: str, title: str) -> Table:
    """Quantiles of a quantity by type."""
    heads = {0.0: "least", 0.5: "median", 1.0: "greatest"}
    columns = [heads.get(share, f"{share:.0%}") for share in summary["quantiles"]]
    table = _table(title, ("", *columns))
    for category, values in summary["quantities"][name]["quantiles"].items():
        table.add_row(category, *(f"{value:.1f}" if name == "box_side" else f"{value:.4f}" for value in values))
    return table


def findings_table(findings: Sequence[Finding]) -> Table:
    """How often each rule is broken."""
    table = _table("what is wrong", ("rule", "how often"))
    for rule, count in Counter(finding.rule for finding in findings).most_common():
        table.add_row(rule, str(count))
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left")
    return table
