"""What a set was rendered with, and what each shard cost, beside the shards.

``render-train.json`` holds the options of the train shards, so that a run with others is refused. ``render_log/`` has
a file for each finished shard: checksum, and for each triplet its kind, processor time and rejected drawings.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from datamodules.rendering.plan import Plan
from datamodules.rendering.pool import Product
from ornament_lit.utils.files import write_file

LOG = "render_log"


class Row(NamedTuple):
    """What the log says of a triplet.

    Attributes:
        key: Its key.
        category: Its type.
        kind: Its kind.
        seconds: Processor time.
        rejected: Why drawings before it were thrown away.
    """

    key: str
    category: str
    kind: str
    seconds: float
    rejected: list[str]


def check_options(folder: Path, plan: Plan, options: dict[str, Any]) -> None:
    """Write the options of a set, or compare them with those that its shards were made with.

    Args:
        folder: Of the shards; it must exist.
        plan: The set.
        options: What the bytes of its shards depend on, JSON-able.

    Raises:
        ValueError: If the folder has shards of this split that were made with other options, or by something else.
    """
    path = folder / f"render-{plan.split}.json"
    shards = sorted(folder.glob(f"{plan.split}-*.tar"))
    if not shards:
        write_file(path, (json.dumps(options, indent=2, sort_keys=True) + "\n").encode())
        return
    if not path.exists():
        raise ValueError(f"{folder} has {shards[0].name}, which was not rendered here; choose another --out")
    before = json.loads(path.read_text(encoding="utf-8"))
    names = [name for name in sorted({*before, *options}) if before.get(name) != options.get(name)]
    if names:
        changes = ", ".join(f"{name} {before.get(name)!r} (now {options.get(name)!r})" for name in names)
        raise ValueError(f"{folder} has {plan.split} shards of other options: {changes}; take these or another --out")


def read_options(folder: Path) -> dict[str, dict[str, Any]]:
    """The options of the splits that were rendered into a folder."""
    texts = {split: folder / f"render-{split}.json" for split in ("train", "val", "test")}
    return {split: json.loads(path.read_text(encoding="utf-8")) for split, path in texts.items() if path.exists()}


def add_option(folder: Path, name: str, value: object) -> None:
    """Write down that all splits of a folder have an option now, as if they had been rendered with it."""
    for split, options in read_options(folder).items():
        text = json.dumps(options | {name: value}, indent=2, sort_keys=True) + "\n"
        write_file(folder / f"render-{split}.json", text.encode())


def write_log(folder: Path, shard: str, digest: str | None, rows: Sequence[Row]) -> None:
    """Write the log of a finished shard."""
    (folder / LOG).mkdir(exist_ok=True)
    content = {"shard": shard, "sha256": digest, "triplets": [row._asdict() for row in rows]}
    write_file(folder / LOG / f"{shard}.json", (json.dumps(content, separators=(",", ":")) + "\n").encode())


def read_log(folder: Path, shard: str) -> tuple[str | None, list[Row]]:
    """Checksum and rows of a shard's log; None and nothing where there is no log."""
    path = folder / LOG / f"{shard}.json"
    if not path.exists():
        return None, []
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["sha256"], [Row(**row) for row in content["triplets"]]


def row_of(key: str, product: Product) -> Row:
    """What the log says of a triplet."""
    metadata = json.loads(product.entries["json"])
    return Row(key, metadata["type"], metadata["kind"], round(product.seconds, 3), list(product.rejected))
