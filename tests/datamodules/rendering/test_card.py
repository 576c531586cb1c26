import pytest

pytest.importorskip("mitsuba")
from datamodules.rendering.card import command_of, write_card
from datamodules.rendering.records import Row

OPTIONS = {
    "size": 64,
    "samples_per_pixel": 16,
    "seed": 3,
    "split": "train",
    "shard_size": 2,
    "bare": True,
    "whole_scene": False,
    "detail": 0.6,
    "variant": "scalar_rgb",
    "mitsuba": "3.9.1",
}
ROWS = [
    Row("train-000000", "bracelet", "beads", 1.0, []),
    Row("train-000001", "ring", "halo", 3.0, ["hidden", "too small"]),
    Row("train-000002", "ring", "plain", 2.0, ["hidden"]),
]


def test_the_command_says_all_that_the_bytes_depend_on():
    assert command_of(OPTIONS, 3) == (
        "python -m ornament_lit data render --num 3 --size 64 --samples_per_pixel 16 --seed 3 --split train "
        "--shard_size 2 --bare true --variant scalar_rgb --out DIR"
    )


def test_the_command_names_types_where_not_all_were_rendered():
    assert "--shard_size 2 --types '[bracelet,ring]' --bare true" in command_of(
        {**OPTIONS, "types": ["bracelet", "ring"]}, 3
    )
    assert command_of({**OPTIONS, "types": None}, 3) == command_of(OPTIONS, 3)


def test_a_card_counts_types_kinds_rejections_and_seconds():
    card = write_card(ROWS, {"train": OPTIONS})
    assert card.startswith("# Rendered ornament triplets\n\n3 triplets")
    assert "| ring | 2 | halo 1, plain 1 |" in card
    assert "mean 2.00 s, median 2.00 s, greatest 3.00 s" in card
    assert "2 hidden, 1 too small (3 for 3 triplets)" in card
    assert command_of(OPTIONS, 3) in card
    assert "| mitsuba | 3.9.1 |" in card and "Apache-2.0" in card


def test_a_card_has_a_column_for_each_split():
    card = write_card(ROWS, {"train": OPTIONS, "val": {**OPTIONS, "split": "val", "seed": 4}})
    assert "| seed | 3 | 4 |" in card
    assert "--num 0" in card  # no row of val


def test_a_set_without_a_log_still_has_a_card():
    assert "0 triplets" in write_card([], {"train": OPTIONS})
