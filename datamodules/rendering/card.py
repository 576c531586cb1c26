"""The card of a rendered set: a README.md beside its shards, made from their logs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from datamodules.rendering.records import Row, read_log, read_options
from ornament_lit.utils.files import write_file

CARD = "README.md"

ENTRIES = """| entry | what |
|---|---|
| `{key}.ornament.jpg` | the ornament alone, in another pose, scale and light |
| `{key}.ornament_mask.png` | its mask, 0-255 coverage |
| `{key}.person.jpg` | the ornament worn |
| `{key}.wearing_mask.png` | the part of the ornament that is seen in it, 0-255 coverage |
| `{key}.correspondence.png` | which point of the ornament's image each worn pixel shows, see \
`datamodules/samples/correspondence_png.py` |
| `{key}.bare.jpg` | the same person, light and camera without the ornament (with `--bare true`) |
| `{key}.json` | `type`, `kind`, `design`, `components`, `box` [x0, y0, x1, y1) in pixels, \
`visible_fraction`, `materials`, `pose`, `reference`, `look`, `lights`, `crop` (x, y, side as shares of the whole \
scene), `mirrored`, seeds and versions |
"""


def renew_card(folder: Path) -> int:
    """Write the card of a folder from its logs, if it has any; say how many triplets they list."""
    rows = [row for path in sorted(folder.glob("*.tar")) for row in read_log(folder, path.name)[1]]
    if rows:
        write_file(folder / CARD, write_card(rows, read_options(folder)).encode())
    return len(rows)


def write_card(rows: Sequence[Row], sets: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of a card.

    Args:
        rows: All triplets of the logs.
        sets: Options by split.
    """
    numbers = Counter(row.key.partition("-")[0] for row in rows)
    commands = [command_of(options, numbers[split]) for split, options in sets.items()]
    parts = [
        "# Rendered ornament triplets\n",
        f"{len(rows)} triplets of an ornament, a person who wears it, and their masks: path traced from drawn shapes, "
        "no photograph and no person went into them. They are stylised: right to check a pipeline, compare parts of a "
        "method and pre-train; no replacement for photographs. Licence: Apache-2.0.\n",
        "Made by\n\n```\n" + "\n".join(commands) + "\n```\n",
        _options(sets),
        ENTRIES,
        "The designs of train, val and test differ, not only their seeds. The same command gives the same bytes, "
        "whatever the number of processes, on processors of the same kind.\n",
        _counts(rows),
        _costs(rows),
    ]
    return "\n".join(parts)


def command_of(options: Mapping[str, Any], num: int) -> str:
    """The command that makes a split again.

    Args:
        options: Of the split.
        num: Its triplets.
    """
    words = [f"--{name} {options[name]}" for name in ("size", "samples_per_pixel", "seed", "split", "shard_size")]
    if options.get("types"):
        words.append(f"--types '[{','.join(options['types'])}]'")
    words += [f"--{name} true" for name in ("bare", "whole_scene") if options[name]]
    return " ".join(
        [f"python -m ornament_lit data render --num {num}", *words, f"--variant {options['variant']}", "--out DIR"]
    )


def _options(sets: Mapping[str, Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(name for options in sets.values() for name in options))
    head = "| option | " + " | ".join(sets) + " |\n|---|" + "---|" * len(sets)
    lines = [f"| {name} | " + " | ".join(str(options.get(name)) for options in sets.values()) + " |" for name in names]
    return "\n".join([head, *lines, ""])


def _counts(rows: Sequence[Row]) -> str:
    kinds = Counter((row.category, row.kind) for row in rows)
    categories = Counter(row.category for row in rows)
    lines = ["| type | triplets | kinds |", "|---|---|---|"]
    for category, count in sorted(categories.items()):
        listed = ", ".join(f"{kind} {number}" for (of, kind), number in sorted(kinds.items()) if of == category)
        lines.append(f"| {category} | {count} | {listed} |")
    return "\n".join([*lines, ""])


def _costs(rows: Sequence[Row]) -> str:
    seconds = [row.seconds for row in rows] or [0.0]
    reasons = Counter(reason for row in rows for reason in row.rejected)
    rejected = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "none"
    return (
        f"Processor time per triplet: mean {mean(seconds):.2f} s, median {median(seconds):.2f} s, "
        f"greatest {max(seconds):.2f} s. Drawings that were thrown away: {rejected} "
        f"({sum(reasons.values())} for {len(rows)} triplets).\n"
    )
