"""Train, validation and test, so that no ornament lies in two of them."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from datamodules.packing.rows import SPLITS, Row, Source
from datamodules.packing.rules import Problem
from ornament_lit.utils.categories import CATEGORIES
from ornament_lit.utils.files import file_hash

Fractions = tuple[float, float, float]


def parse_fractions(text: str) -> Fractions:
    """Read the shares of training, validation and test, such as ``0.9,0.05,0.05``.

    Raises:
        ValueError: If they are not three numbers that are not negative and sum to 1.
    """
    try:
        train, val, test = (float(word) for word in text.split(","))
    except ValueError as error:
        raise ValueError(f"--split must be three numbers such as 0.9,0.05,0.05, got {text!r}") from error
    if min(train, val, test) < 0.0 or abs(train + val + test - 1.0) > 1e-6:
        raise ValueError(f"--split must be shares that sum to 1, got {text!r}")
    return train, val, test


def split_rows(source: Source, fractions: Fractions | None) -> Source:
    """Give each row its split.

    Args:
        source: What was read. Where a row names a split, all must.
        fractions: Shares of the ornaments of each type; None to take the rows' own, or ``train`` for all.

    Returns:
        The rows with their splits; those whose ornament lies in an earlier row's other split are problems.

    Raises:
        ValueError: If there are fractions although rows name splits.
    """
    named = sum(row.split is not None for row in source.rows)
    if named and fractions is not None:
        raise ValueError(f"--split was given, but {named} rows name their split; leave one of them out")
    if not named and fractions is None:
        return Source([replace(row, split="train") for row in source.rows], source.problems)
    groups = group_by_ornament(source.rows)
    if fractions is not None:
        chosen = choose_splits(groups, fractions)
        return Source([replace(row, split=chosen[row.key]) for row in source.rows], source.problems)
    return _check_named(source, groups)


def _check_named(source: Source, groups: Iterable[Sequence[Row]]) -> Source:
    first = {row.key: group[0] for group in groups for row in group}
    rows, problems = [], list(source.problems)
    for row in source.rows:
        if row.split is None:
            problems.append(Problem(row.number, row.key, "", "missing_value", "split"))
        elif row.split != first[row.key].split:
            value = f"{row.split}, and {first[row.key].split} in row {first[row.key].number}"
            problems.append(Problem(row.number, row.key, "", "ornament_in_two_splits", value))
        else:
            rows.append(row)
    return Source(rows, problems)


def group_by_ornament(rows: Sequence[Row]) -> list[list[Row]]:
    """Group rows that have the same ``ornament_id``, or whose ornaments' files have the same bytes."""
    contents = _contents({row.ornament for row in rows})
    groups: list[list[Row]] = []
    place: dict[str, int] = {}
    for row in rows:
        names = [f"file {contents[row.ornament]}", *([] if row.ornament_id is None else [f"id {row.ornament_id}"])]
        known = sorted({place[name] for name in names if name in place})
        home = known[0] if known else len(groups)
        if not known:
            groups.append([])
        groups[home].append(row)
        for other in known[1:]:
            groups[home] += groups[other]
            groups[other] = []
            place.update({name: home for name, group in place.items() if group == other})
        place.update(dict.fromkeys(names, home))
    return [sorted(group, key=lambda row: row.number) for group in groups if group]


def choose_splits(groups: Iterable[Sequence[Row]], fractions: Fractions) -> dict[str, str]:
    """Draw a split for each group, for each type by itself.

    Args:
        groups: Rows of the same ornament.
        fractions: Shares of the groups. A share above 0 gets at least one group of each type that has as many
            groups as there are such shares.

    Returns:
        Split by key; a function of the keys alone.
    """
    by_type: dict[str, list[Sequence[Row]]] = defaultdict(list)
    for group in groups:
        by_type[group[0].category].append(group)
    chosen: dict[str, str] = {}
    for name in CATEGORIES:
        members = sorted(by_type[name], key=lambda group: hash_text(min(row.key for row in group)))
        quotas = _quotas(len(members), fractions)
        splits = [split for split, quota in zip(SPLITS[::-1], quotas[::-1], strict=True) for _ in range(quota)]
        for group, split in zip(members, splits, strict=True):
            chosen.update({row.key: split for row in group})
    return chosen


def _quotas(count: int, fractions: Fractions) -> list[int]:
    """Whole numbers in proportion to some shares, by their largest remainders."""
    quotas = [math.floor(share * count) for share in fractions]
    by_remainder = sorted(range(3), key=lambda index: quotas[index] - fractions[index] * count)
    for index in by_remainder[: count - sum(quotas)]:
        quotas[index] += 1
    wanted = [index for index in range(3) if fractions[index] > 0.0]
    for index in wanted:
        if quotas[index] == 0 and count >= len(wanted):
            quotas[quotas.index(max(quotas))] -= 1
            quotas[index] = 1
    return quotas


def hash_text(text: str) -> str:
    """Digest of a text, to draw an order from."""
    return hashlib.sha256(text.encode()).hexdigest()


def _contents(paths: Iterable[Path]) -> Mapping[Path, str]:
    """A name for the bytes of each file; only files of equal size are read."""
    sizes = {path: path.stat().st_size if path.is_file() else -1 for path in paths}
    shared = Counter(sizes.values())
    alone = {path for path, size in sizes.items() if size < 0 or shared[size] == 1}
    return {path: str(path) if path in alone else file_hash(path) for path in sorted(sizes)}
