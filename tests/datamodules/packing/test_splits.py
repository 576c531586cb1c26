from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from datamodules.packing.rows import Row, Source
from datamodules.packing.splits import Fractions, _quotas, choose_splits, group_by_ornament, parse_fractions, split_rows

TYPES = ("bracelet", "ring", "earring", "necklace")


def rows(folder: Path, count: int) -> list[Row]:
    made = []
    for index in range(count):
        path = folder / f"{index}.jpg"
        path.write_bytes(b"%d" % index)
        made.append(Row(index, f"k{index}", TYPES[index % 4], path, folder / "p.jpg"))
    return made


@pytest.mark.parametrize(
    ("count", "fractions", "quotas"),
    [
        (100, (0.9, 0.05, 0.05), [90, 5, 5]),
        (10, (0.9, 0.05, 0.05), [8, 1, 1]),
        (3, (0.9, 0.05, 0.05), [1, 1, 1]),
        (2, (0.9, 0.05, 0.05), [2, 0, 0]),
        (7, (0.0, 0.0, 1.0), [0, 0, 7]),
        (5, (0.8, 0.2, 0.0), [4, 1, 0]),
        (0, (0.8, 0.1, 0.1), [0, 0, 0]),
    ],
)
def test_quotas(count: int, fractions: Fractions, quotas: list[int]) -> None:
    assert _quotas(count, fractions) == quotas


def test_each_type_comes_into_each_split_and_the_choice_depends_on_keys_only(tmp_path: Path) -> None:
    made = rows(tmp_path, 80)
    chosen = {row.key: row.split for row in split_rows(Source(made), (0.8, 0.1, 0.1)).rows}
    counts = Counter((row.category, chosen[row.key]) for row in made)
    assert counts == {(name, split): n for name in TYPES for split, n in (("train", 16), ("val", 2), ("test", 2))}
    assert {row.key: row.split for row in split_rows(Source(made[::-1]), (0.8, 0.1, 0.1)).rows} == chosen


def test_an_ornament_is_known_by_its_bytes_and_by_its_id(tmp_path: Path) -> None:
    made = rows(tmp_path, 8)
    (tmp_path / "5.jpg").write_bytes(b"0")
    made[2] = replace(made[2], ornament_id="A")
    made[5] = replace(made[5], ornament_id="B")
    made[6] = replace(made[6], ornament_id="B")
    made[7] = replace(made[7], ornament_id="A", ornament=tmp_path / "5.jpg")  # now all of them are one
    groups = [[row.number for row in group] for group in group_by_ornament(made)]
    assert sorted(groups) == [[0, 2, 5, 6, 7], [1], [3], [4]]
    splits = choose_splits(group_by_ornament(made), (0.5, 0.5, 0.0))
    assert len({splits[f"k{number}"] for number in (0, 2, 5, 6, 7)}) == 1


def test_the_rows_own_splits(tmp_path: Path) -> None:
    made = rows(tmp_path, 4)
    (tmp_path / "3.jpg").write_bytes(b"0")
    named = [replace(row, split=split) for row, split in zip(made, ("train", "val", None, "val"), strict=True)]
    source = split_rows(Source(named), None)
    assert [(row.number, row.split) for row in source.rows] == [(0, "train"), (1, "val")]
    assert [(problem.row, problem.rule) for problem in source.problems] == [
        (2, "missing_value"),
        (3, "ornament_in_two_splits"),
    ]
    with pytest.raises(ValueError, match="3 rows name their split"):
        split_rows(Source(named), (0.9, 0.1, 0.0))


def test_without_any_word_all_is_training_and_no_file_is_read(tmp_path: Path) -> None:
    row = Row(1, "k", "ring", tmp_path / "nowhere.jpg", tmp_path / "nowhere.jpg")
    assert [row.split for row in split_rows(Source([row]), None).rows] == ["train"]


def test_fractions() -> None:
    assert parse_fractions("0.9,0.05, 0.05") == (0.9, 0.05, 0.05)
    for text in ("0.9,0.1", "a,b,c", "0.9,0.2,0.1", "1.1,-0.1,0"):
        with pytest.raises(ValueError, match="--split must be"):
            parse_fractions(text)
