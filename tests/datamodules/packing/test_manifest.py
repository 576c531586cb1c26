import json
from pathlib import Path

import pytest

from datamodules.packing.manifest import read_manifest
from datamodules.packing.rows import Source, without_duplicates

HEADER = "key,type,ornament,ornament_mask,person,wearing_mask,box,sku\n"
GOOD = "k1,Ring,a.jpg,am.png,sub/b.jpg,bm.png,1 2 30 40,S1\n"


def read(path: Path, text: str, **options: object) -> Source:
    path.write_text(text, encoding="utf-8")
    return read_manifest(path, **options)  # type: ignore[arg-type]


def test_a_csv(tmp_path: Path) -> None:
    source = read(tmp_path / "m.csv", HEADER + GOOD)
    (row,) = source.rows
    assert source.problems == []
    assert (row.number, row.key, row.category, row.box) == (2, "k1", "ring", (1, 2, 30, 40))
    assert (row.ornament, row.person) == (tmp_path / "a.jpg", tmp_path / "sub/b.jpg")
    assert (row.split, row.ornament_id, row.metadata) == (None, None, {"sku": "S1"})


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_csv_of_a_spreadsheet(tmp_path: Path, delimiter: str) -> None:
    text = "\ufeff" + (HEADER.replace("sku", " SKU ") + GOOD).replace(",", delimiter) + delimiter * 7 + "\n"
    source = read(tmp_path / "m.csv", text)
    assert source.problems == [] and source.rows[0].metadata == {"sku": "S1"}


def test_a_jsonl(tmp_path: Path) -> None:
    row = {"type": "ring", "ornament": "a.jpg", "person": "b\\c.jpg", "box": [1, 2.5, 30, 40], "stones": {"ruby": 3}}
    lines = [json.dumps(row), "", json.dumps(row | {"box": None, "key": 7}), "{", "[1]"]
    source = read(tmp_path / "m.jsonl", "\n".join(lines))
    first, second = source.rows
    assert (first.key, first.box, first.person) == ("row-000001", (1, 2.5, 30, 40), tmp_path / "b/c.jpg")
    assert (second.key, second.box, second.metadata) == ("7", None, {"stones": {"ruby": 3}})
    assert [(problem.row, problem.rule) for problem in source.problems] == [(4, "bad_row"), (5, "bad_row")]


@pytest.mark.parametrize(
    ("change", "rule", "value"),
    [
        (("a.jpg", ""), "missing_value", "ornament"),
        (("sub/b.jpg", ""), "missing_value", "person"),
        (("Ring", "tiara"), "unknown_type", "tiara"),
        (("Ring", ""), "missing_value", "type"),
        (("k1", "../k"), "bad_key", "../k"),
        (("k1", "a.b"), "bad_key", "a.b"),
        (("1 2 30 40", "1 2 30"), "bad_box", "1 2 30"),
        (("1 2 30 40", "30 2 1 40"), "bad_box", "30 2 1 40"),
        (("1 2 30 40", "nan 2 30 40"), "bad_box", "nan 2 30 40"),
        (("1 2 30 40", "1 2 inf 40"), "bad_box", "1 2 inf 40"),
        (("1 2 30 40", "left"), "bad_box", "left"),
        (("1 2 30 40", "1 2 30 40 5 6"), "bad_box", "1 2 30 40 5 6"),
        (("1 2 30 40", "1 2 30 40 nan"), "bad_box", "1 2 30 40 nan"),
        ((",S1", ""), "bad_row", "7 cells for 8 columns"),
    ],
)
def test_what_is_wrong_with_a_row(tmp_path: Path, change: tuple[str, str], rule: str, value: str) -> None:
    source = read(tmp_path / "m.csv", HEADER + GOOD.replace(*change) + GOOD)
    assert len(source.rows) == 1
    assert [(problem.row, problem.rule, problem.value) for problem in source.problems] == [(2, rule, value)]


@pytest.mark.parametrize("box", ["[1, 2, 30, 40]", "1;2;30;40", "(1,2,30,40)"])
def test_ways_to_write_a_box(tmp_path: Path, box: str) -> None:
    assert read(tmp_path / "m.csv", HEADER + GOOD.replace("1 2 30 40", f'"{box}"')).rows[0].box == (1, 2, 30, 40)


def test_the_type_of_rows_that_name_none(tmp_path: Path) -> None:
    header = HEADER.replace("type,", "")
    assert (
        read(tmp_path / "m.csv", header + GOOD.replace("Ring,", ""), default_type="earring").rows[0].category
        == "earring"
    )
    assert read(tmp_path / "m.csv", HEADER + GOOD, default_type="earring").rows[0].category == "ring"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace("wearing_mask", "worn_mask"), "must have a column 'wearing_mask'.*rename 'worn_mask'"),
        (HEADER.replace("type", "category"), "must have a column 'type'"),
        (HEADER.replace("sku", "key"), "each column once, got key twice"),
        ("\n", "must have a column 'ornament', got nothing"),
    ],
)
def test_columns_are_checked_at_once(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "m.csv", header + GOOD)


def test_masks_may_be_missing_where_they_are_made(tmp_path: Path) -> None:
    text = (HEADER + GOOD).replace("ornament_mask,", "").replace("wearing_mask,", "").replace("am.png,", "")
    (row,) = read(tmp_path / "m.csv", text.replace("bm.png,", ""), masks_needed=False).rows
    assert row.ornament_mask is None and row.wearing_mask is None


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in \.csv"):
        read(tmp_path / "m.xlsx", "")
    (tmp_path / "m.csv").write_bytes(HEADER.encode() + b"\xff")
    with pytest.raises(ValueError, match=f"UTF-8, got byte {len(HEADER)}"):
        read_manifest(tmp_path / "m.csv")


def test_the_first_of_several_rows_with_a_key_stays(tmp_path: Path) -> None:
    source = without_duplicates(read(tmp_path / "m.csv", HEADER + GOOD + GOOD.replace("k1", "k2") + GOOD))
    assert [row.number for row in source.rows] == [2, 3]
    assert [(problem.row, problem.rule, problem.value) for problem in source.problems] == [
        (4, "duplicate_key", "as row 2")
    ]
