import json

import pytest

pytest.importorskip("mitsuba")
from datamodules.rendering.plan import Plan
from datamodules.rendering.pool import Product
from datamodules.rendering.records import Row, check_options, read_log, read_options, row_of, write_log

PLAN = Plan(8, 4, "train")


def test_the_options_of_a_new_set_are_written(tmp_path):
    check_options(tmp_path, PLAN, {"seed": 1})
    assert read_options(tmp_path) == {"train": {"seed": 1}}
    check_options(tmp_path, PLAN, {"seed": 2})  # no shard depends on them yet
    assert read_options(tmp_path) == {"train": {"seed": 2}}


def test_shards_of_other_options_are_not_mixed(tmp_path):
    check_options(tmp_path, PLAN, {"seed": 1, "size": 64})
    (tmp_path / "train-000000.tar").touch()
    check_options(tmp_path, PLAN, {"seed": 1, "size": 64})
    with pytest.raises(ValueError, match=r"train shards of other options: size 64 \(now 128\).*another --out"):
        check_options(tmp_path, PLAN, {"seed": 1, "size": 128})
    check_options(tmp_path, Plan(8, 4, "val"), {"seed": 1, "size": 128})


def test_shards_of_unknown_origin_are_left_alone(tmp_path):
    (tmp_path / "train-000000.tar").touch()
    with pytest.raises(ValueError, match=r"train-000000\.tar, which was not rendered here"):
        check_options(tmp_path, PLAN, {"seed": 1})


def test_a_log_is_read_as_it_was_written(tmp_path):
    rows = [Row("train-000000", "ring", "halo", 1.5, ["hidden"])]
    write_log(tmp_path, "train-000000.tar", "abc", rows)
    assert read_log(tmp_path, "train-000000.tar") == ("abc", rows)
    assert read_log(tmp_path, "train-000001.tar") == (None, [])
    assert not list(tmp_path.rglob("*.part"))


def test_a_row_comes_from_the_metadata_and_the_clock():
    product = Product(3, {"json": json.dumps({"type": "ring", "kind": "halo"}).encode()}, ("hidden",), 1.23456)
    assert row_of("train-000003", product) == Row("train-000003", "ring", "halo", 1.235, ["hidden"])
