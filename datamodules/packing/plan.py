"""Which rows go into which shard, and which shards of an earlier run are still good."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datamodules.packing.rows import SPLITS, Row
from datamodules.packing.rules import Problem
from datamodules.packing.splits import hash_text
from datamodules.shards.index import ShardEntry, scan_shard
from datamodules.storage.sample_errors import SampleError
from ornament_lit.utils.files import write_file

STATE = "pack.json"
FORMAT = "ornament_lit-pack/1"


@dataclass(frozen=True)
class Plan:
    """A shard to be.

    Attributes:
        name: Its file name.
        rows: What goes into it; rows with problems leave it shorter.
        fingerprint: Changes when a row or one of its files does.
    """

    name: str
    rows: tuple[Row, ...]
    fingerprint: str


def plan_shards(rows: Sequence[Row], shard_size: int) -> list[Plan]:
    """Lay rows into shards, in an order drawn from their keys, so that each shard mixes what the set has.

    Args:
        rows: Rows with a split.
        shard_size: Rows of a shard.

    Returns:
        The shards ``{split}-{number:06d}.tar``.
    """
    plans = []
    for split in SPLITS:
        members = sorted((row for row in rows if row.split == split), key=lambda row: hash_text(row.key))
        for number, start in enumerate(range(0, len(members), shard_size)):
            chosen = tuple(members[start : start + shard_size])
            plans.append(Plan(f"{split}-{number:06d}.tar", chosen, _fingerprint(chosen)))
    return plans


def _fingerprint(rows: Sequence[Row]) -> str:
    state = [
        [
            (row.number, row.key, row.category, row.box, row.ornament_id, row.labels, row.metadata),
            [(str(path.absolute()), _file_state(path)) for path in row.files],
        ]
        for row in rows
    ]
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _file_state(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


@dataclass
class State:
    """What ``pack.json`` remembers, so that a later run resumes where this one ended.

    Attributes:
        folder: Where the shards are.
        options: Options that change what is packed.
        shards: For each finished shard its fingerprint and problems.
    """

    folder: Path
    options: Mapping[str, Any]
    shards: dict[str, tuple[str, list[Problem]]] = field(default_factory=dict)

    def finished_entry(self, plan: Plan) -> ShardEntry | None:
        """Entry of a shard that is there as planned and whole; None where none of its rows is good.

        Raises:
            SampleError: If it must be written.
        """
        fingerprint, problems = self.shards.get(plan.name, ("", []))
        if fingerprint != plan.fingerprint:
            raise SampleError(f"{plan.name} is not written yet, or of other rows", "unreadable_shard")
        if len(problems) == len(plan.rows):
            return None
        return scan_shard(self.folder / plan.name, checksum=True)

    def problems(self, plans: Sequence[Plan]) -> list[Problem]:
        """Problems in the shards that are written as planned."""
        problems: list[Problem] = []
        for plan in plans:
            fingerprint, found = self.shards.get(plan.name, ("", []))
            problems += found if fingerprint == plan.fingerprint else []
        return problems

    def finish(self, plan: Plan, problems: list[Problem]) -> None:
        """Remember a shard."""
        self.shards[plan.name] = plan.fingerprint, problems
        self.save()

    def keep_only(self, names: set[str]) -> None:
        """Delete the shards of earlier runs that are not planned any more."""
        for name in set(self.shards) - names:
            (self.folder / name).unlink(missing_ok=True)
            del self.shards[name]
        self.save()

    def save(self) -> None:
        """Write ``pack.json``; a reader sees the old one or the new one."""
        shards = {
            name: {"fingerprint": fingerprint, "problems": problems}
            for name, (fingerprint, problems) in sorted(self.shards.items())
        }
        document = {"format": FORMAT, "options": self.options, "shards": shards}
        write_file(self.folder / STATE, (json.dumps(document, indent=1) + "\n").encode())


def open_state(folder: Path, options: Mapping[str, Any]) -> State:
    """Start in a folder, or resume in it.

    Args:
        folder: Where the shards go; made if needed.
        options: Options that change what is packed; JSON values.

    Raises:
        ValueError: If it was packed with other options, or has shards that were not packed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = State(folder, options)
    foreign = next(folder.glob("*.tar"), None)
    if (folder / STATE).exists():
        earlier, state.shards = _read_state(folder / STATE)
        changed = [
            f"{name} {earlier.get(name)!r}, now {options.get(name)!r}"
            for name in sorted({*earlier, *options})
            if earlier.get(name) != options.get(name)
        ]
        if changed:
            raise ValueError(f"{folder} was packed with other options: {'; '.join(changed)}; give another --out")
    elif foreign is not None:
        raise ValueError(f"{folder} has shards that were not packed here ({foreign.name}); give another --out")
    state.save()
    return state


def _read_state(path: Path) -> tuple[dict[str, Any], dict[str, tuple[str, list[Problem]]]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise ValueError(f"format must be {FORMAT!r}, got {document['format']!r}")
        shards = {
            str(name): (str(shard["fingerprint"]), [Problem(*problem) for problem in shard["problems"]])
            for name, shard in document["shards"].items()
        }
        return dict(document["options"]), shards
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} cannot be read ({error}); delete it and pack again") from error
