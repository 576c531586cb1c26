"""The masks' IoU as a table for the terminal."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ornament_lit.utils.categories import CATEGORIES

if TYPE_CHECKING:
    from rich.table import Table


def build_table(result: Mapping[str, Any]) -> "Table":
    """Lay a result out as a table: stages down, all samples and the types across.

    Args:
        result: What ``result.json`` holds.
    """
    from rich.table import Table

    table = Table(title=f"IoU of the wearing mask, {result['num_samples']} validation samples")
    for column in ("", "all", *CATEGORIES):
        table.add_column(column, justify="right" if column else "left")
    for stage, value in result["iou"].items():
        types = [result["iou_per_type"].get(name, {}).get(stage) for name in CATEGORIES]
        name = stage if stage == "box" else f"iteration {stage}"
        table.add_row(name, *(_format(entry) for entry in (value, *types)))
    types = [result["attention_iou_per_type"].get(name) for name in CATEGORIES]
    table.add_row("attention mass", *(_format(entry) for entry in (result["attention_iou"], *types)))
    return table


def _format(value: float | None) -> str:
    """Three digits, or a dash where there is nothing."""
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"
