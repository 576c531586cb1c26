import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from datamodules.checking.command import check, stats
from datamodules.samples.correspondence import PixelCorrespondence
from datamodules.samples.correspondence_png import encode_correspondence
from datamodules.shards.index import read_index

Draw = Callable[..., dict[str, bytes]]
Write = Callable[..., Path]


@pytest.fixture
def good(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> Path:
    """Two shards of training and one of validation, all samples different."""
    folder = tmp_path / "good"
    folder.mkdir()
    for number, (shard, sizes) in enumerate(
        {"train-000000.tar": range(40, 44), "train-000001.tar": range(44, 48), "val-000000.tar": range(48, 52)}.items()
    ):
        write_shard(folder / shard, {f"s{number}-{size}": draw_entries(size, size=size) for size in sizes})
    return folder


def findings(folder: Path) -> list[tuple[str, str, str, str]]:
    with pytest.raises(SystemExit) as stop:
        check(str(folder), workers=1)
    assert stop.value.code == 1
    with open(folder / "check_report.csv", newline="", encoding="utf-8") as file:
        return [(row["shard"], row["key"], row["rule"], row["value"]) for row in csv.DictReader(file)]


def rules(folder: Path) -> list[tuple[str, str, str]]:
    return [row[:3] for row in findings(folder)]


def test_a_good_folder_gets_an_index_and_a_sheet(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(str(good), workers=2)
    assert [len(entry.samples) for entry in read_index(good).values()] == [4, 4, 4]
    assert all(entry.sha256 for entry in read_index(good).values())
    assert Image.open(good / "contact_sheet.png").size[0] > 1000
    assert "12 samples in 3 shards: all good" in capsys.readouterr().out
    check(str(good), workers=1, sheet=str(good / "other.png"))
    assert (good / "other.png").exists() and "index written" not in capsys.readouterr().out


def test_a_shard_that_is_cut_off(good: Path) -> None:
    check(str(good), workers=1)
    os.truncate(good / "train-000001.tar", (good / "train-000001.tar").stat().st_size // 2)
    found = rules(good)
    assert ("train-000001.tar", "", "unreadable_shard") in found
    assert ("train-000001.tar", "", "index") in found
    assert {shard for shard, _, _ in found} == {"train-000001.tar"}


def test_no_index_is_written_over_a_damaged_shard(good: Path) -> None:
    os.truncate(good / "val-000000.tar", 2000)
    assert ("index.json", "", "index") in rules(good) and not (good / "index.json").exists()


def png(image: Image.Image) -> bytes:
    import io

    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_bad_samples_are_named(good: Path, draw_entries: Draw, write_shard: Write) -> None:
    import io

    upside_down = ImageOps.invert(Image.open(io.BytesIO(draw_entries(size=61)["ornament_mask.png"])))
    cut_box = json.dumps({"type": "ring", "box": [20, 16, 36, 32]}).encode()
    samples = {
        "fine": draw_entries(size=60),
        "inverted": draw_entries(size=61, ornament_mask__png=png(upside_down)),
        "cut_box": draw_entries(size=48, json=cut_box),
        "no_type": draw_entries(size=62, json=b"{}"),
        "no_mask": draw_entries(size=63, wearing_mask__png=None),
        "no_jpeg": draw_entries(size=64, person__jpg=b"nothing"),
    }
    write_shard(good / "train-000002.tar", samples)
    found = rules(good)
    assert sorted(found) == sorted(
        ("train-000002.tar", key, rule)
        for key, rule in {
            "inverted": "inverted_mask",
            "cut_box": "box_without_mask",
            "no_type": "bad_metadata",
            "no_mask": "missing_entry",
            "no_jpeg": "undecodable",
        }.items()
    )


def test_repetitions_over_shards(good: Path, draw_entries: Draw, write_shard: Write) -> None:
    again = draw_entries(49, size=49)
    other = {name: again[name] for name in ("person.jpg", "wearing_mask.png", "json")}
    write_shard(good / "train-000002.tar", {"s0-40": draw_entries(70, size=70), "twin": draw_entries(41, size=41)})
    write_shard(good / "val-000001.tar", {"new": draw_entries(71, size=71) | other})
    write_shard(good / "test-000000.tar", {"leak": draw_entries(42, size=42) | other})
    found = findings(good)
    assert [row for row in found if row[2] == "duplicate_key"] == [
        ("train-000002.tar", "s0-40", "duplicate_key", "as s0-40 in train-000000.tar")
    ]
    assert [row[1] for row in found if row[2] == "duplicate_triplet"] == ["twin"]
    leaks = {(key, value.split(" is ")[0]) for _, key, rule, value in found if rule == "in_two_splits"}
    assert ("s0-42", "the same ornament") in leaks or ("leak", "the same ornament") in leaks
    assert any(value == "the same person" for _, value in leaks)
    assert len(found) == 2 + sum(row[2] == "in_two_splits" for row in found)


def test_an_index_that_is_not_true(good: Path, draw_entries: Draw, write_shard: Write) -> None:
    check(str(good), workers=1)
    data = bytearray((good / "train-000000.tar").read_bytes())
    data[257] ^= 1  # in the field of the header that names the archive's kind, which no reader looks at
    (good / "val-000000.tar").unlink()
    write_shard(good / "extra.tar", {"e": draw_entries(80, size=80)})
    write_shard(good / "train-000001.tar", {"f": draw_entries(81, size=81)})
    found = {(shard, value) for shard, _, rule, value in findings(good) if rule == "index"}
    assert ("val-000000.tar", "is in index.json, but there is no such file") in found
    assert ("extra.tar", "is not in index.json") in found
    assert any(shard == "train-000001.tar" and "bytes, index.json says" in value for shard, value in found)
    check(str(good), write_index=True, workers=1)
    assert set(read_index(good)) == {"extra.tar", "train-000000.tar", "train-000001.tar"}
    assert not (good / "check_report.csv").exists()


def test_a_changed_byte_is_noticed_by_the_checksum(good: Path) -> None:
    check(str(good), workers=1)
    path = good / "train-000000.tar"
    data = bytearray(path.read_bytes())
    start = data.index(b"\xff\xd9")  # the end of a photograph; what follows fills the block up
    data[start + 2] ^= 1
    path.write_bytes(data)
    assert findings(good) == [
        ("train-000000.tar", "", "index", "has another checksum than index.json says: its bytes have changed")
    ]


def test_an_index_that_cannot_be_read(good: Path) -> None:
    (good / "index.json").write_text("[]")
    assert rules(good) == [("index.json", "", "index")]


def test_a_folder_without_shards(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"\*\.tar"):
        check(str(tmp_path))
    with pytest.raises(ValueError, match="workers must be at least 1"):
        (tmp_path / "a.tar").touch()
        check(str(tmp_path), workers=0)


def test_a_folder_of_which_nothing_can_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train-000000.tar").write_bytes(b"no tar" * 300)
    assert rules(tmp_path) == [("train-000000.tar", "", "unreadable_shard"), ("index.json", "", "index")]
    assert "2 findings in 1 shards" in capsys.readouterr().out


def test_the_sheet_is_of_good_samples(good: Path, draw_entries: Draw, write_shard: Write) -> None:
    broken = {f"b{number}": draw_entries(number, person__jpg=b"nothing") for number in range(80)}
    write_shard(good / "train-000002.tar", broken | {"fine": draw_entries(size=60)})
    assert len(rules(good)) == 80 and (good / "contact_sheet.png").exists()


def test_a_folder_that_cannot_be_written(
    good: Path, draw_entries: Draw, write_shard: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    write_shard(good / "train-000002.tar", {f"b{n}": draw_entries(n, person__jpg=b"nothing") for n in range(60)})

    def refuse(folder: Path) -> None:
        raise PermissionError(folder)

    monkeypatch.setattr("datamodules.checking.run.check_folder", refuse)
    with pytest.raises(SystemExit, match="1"):
        check(str(good), workers=1)
    assert sorted(path.suffix for path in good.iterdir()) == [".tar"] * 4
    said = capsys.readouterr().out
    assert f"{good} cannot be written" in said and said.count("undecodable: person.jpg") == 60  # all are listed
    with pytest.raises(SystemExit, match="1"):
        check(str(good), workers=1, sheet=str(good.parent / "sheet.png"))
    assert (good.parent / "sheet.png").exists()
    with pytest.raises(ValueError, match="must be writable"):
        check(str(good), write_index=True, workers=1)


def test_stats_of_drawn_samples(
    tmp_path: Path, draw_entries: Draw, write_shard: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "train-0.tar", {f"k{index}": draw_entries(index, size=48) for index in range(8)})
    stats(str(tmp_path), out=str(tmp_path / "numbers"), workers=1)
    summary = json.loads((tmp_path / "numbers/stats.json").read_text())
    assert summary["counts"] == {"train": {"bracelet": 2, "ring": 2, "earring": 2, "necklace": 2}}
    assert summary["samples"] == 8
    # An ellipse in a box of 24 x 16 pixels of 48 x 48.
    ring = {name: quantity["quantiles"]["ring"] for name, quantity in summary["quantities"].items()}
    assert ring["box_side"] == [24.0] * 5 and ring["box_share"] == [0.5] * 5
    assert ring["wearing_area"][2] == pytest.approx(3.1416 / 4 * 24 * 16 / 48**2, rel=0.03)
    assert [sum(counts) for counts in summary["quantities"]["box_side"]["counts"].values()] == [2, 2, 2, 2]
    assert Image.open(tmp_path / "numbers/stats.png").width > 900
    assert "box, longer side in pixels" in capsys.readouterr().out


def correspondence(entries: dict[str, bytes], shift: int = 0, size: int = 60) -> bytes:
    """Known in the wearing mask, each pixel the one of the ornament that lies ``shift`` to the right."""
    import io

    known = np.asarray(Image.open(io.BytesIO(entries["wearing_mask.png"])), np.float32) / 255
    x, y = np.meshgrid(np.arange(size) + 0.5 + shift, np.arange(size) + 0.5)
    points = np.stack([x, y], -1).astype(np.float32) * (known > 0)[..., None]
    return encode_correspondence(PixelCorrespondence(points, known, known))


def test_a_correspondence_must_be_that_of_its_triplet(good: Path, draw_entries: Draw, write_shard: Write) -> None:
    one, other = draw_entries(size=60), draw_entries(61, size=60)
    unknown = encode_correspondence(PixelCorrespondence(np.zeros((60, 60, 2), np.float32), *np.zeros((2, 60, 60))))
    small = {
        "correspondence.png": encode_correspondence(PixelCorrespondence(*map(np.zeros, ((9, 9, 2), (9, 9), (9, 9)))))
    }
    samples = {
        "fine": one | {"correspondence.png": correspondence(one)},
        "far": other | {"correspondence.png": correspondence(other, 30)},
        "unknown": draw_entries(62, size=62) | {"correspondence.png": b""},
        "mask": draw_entries(63, size=60) | {"correspondence.png": unknown},
        "small": draw_entries(64, size=64) | small,
    }
    write_shard(good / "train-000002.tar", samples)
    found = {key: (rule, value) for _, key, rule, value in findings(good) if key in samples and "same" not in value}
    assert found["far"][0] == "correspondence" and "points lie outside" in found["far"][1]
    assert found["mask"] == (
        "correspondence",
        "what is known differs from the wearing mask by 100% of its area, more than 2%",
    )
    assert found["unknown"][0] == "undecodable" and found["small"][0] == "size_mismatch"
    assert "fine" not in found or found["fine"][0] != "correspondence"


def test_stats_count_correspondences(good: Path, draw_entries: Draw, write_shard: Write) -> None:
    entries = draw_entries(size=60)
    write_shard(good / "train-000002.tar", {"k": entries | {"correspondence.png": correspondence(entries)}})
    stats(str(good), workers=1)
    assert json.loads((good / "stats.json").read_text())["correspondence"] == pytest.approx(1 / 13, abs=1e-4)


def test_an_oriented_box_that_cuts_the_mask(good: Path, draw_entries: Draw, write_shard: Write) -> None:
    def described(angle: float, grown: int) -> bytes:
        return json.dumps({"type": "ring", "box": [12 - grown, 16 - grown, 36 + grown, 32 + grown, angle]}).encode()

    entries = {f"s{angle}": draw_entries(angle, json=described(angle, 0)) for angle in (0, 42)}
    entries["s1"] = draw_entries(1, json=described(10, 3))
    write_shard(good / "train-000009.tar", entries)
    found = [row for row in findings(good) if row[0] == "train-000009.tar"]
    assert [row[1:3] for row in found] == [("s42", "box_without_mask")] and "out of the turned box" in found[0][3]
