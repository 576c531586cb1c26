import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from datamodules.packing.command import pack
from datamodules.packing.encoding import Encoding
from datamodules.packing.run import Request, run
from datamodules.samples.decoding import decode, describe
from datamodules.shards.index import read_index
from datamodules.shards.reading import read_shard

Rows = list[dict[str, str]]


def packed(tmp_path: Path, out: str = "out", **options: Any) -> Path:
    run(Request(tmp_path / "shop/manifest.csv", tmp_path / out, **{"shard_size": 4, "workers": 1, **options}))
    return tmp_path / out


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


def report(folder: Path) -> list[dict[str, str]]:
    with open(folder / "report.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("shop")
def test_everything_is_packed_and_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = packed(tmp_path)
    keys = []
    for path in sorted(out.glob("*.tar")):
        for raw in read_shard(str(path), pytest.fail):
            keys.append(decode(raw, describe(raw)).key)
    assert sorted(keys) == sorted(f"k{index}" for index in range(12))
    index = read_index(out)
    assert list(index) == ["train-000000.tar", "train-000001.tar", "train-000002.tar"]
    assert [row.key for entry in index.values() for row in entry.samples] == keys
    assert Image.open(out / "contact_sheet.png").width > 500
    assert not (out / "report.csv").exists() and not list(out.glob("*.part"))
    assert "12 triplets packed" in capsys.readouterr().out


@pytest.mark.usefixtures("shop")
def test_the_shards_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    one = packed(tmp_path, "one", split="0.5,0.25,0.25")
    two = packed(tmp_path, "two", split="0.5,0.25,0.25", workers=2)
    assert {name.split("-")[0] for name in shards(one)} == {"train", "val", "test"}
    assert shards(one) == shards(two)
    assert (one / "index.json").read_bytes() == (two / "index.json").read_bytes()


def test_bad_rows_are_reported_and_left_out(shop: Rows, tmp_path: Path, write_manifest: Callable[..., Path]) -> None:
    (tmp_path / "shop/p3.jpg").write_bytes(b"")
    shop[5]["type"], shop[6]["key"], shop[7]["person"] = "tiara", "k1", "nowhere.jpg"
    write_manifest(tmp_path / "shop/manifest.csv", shop)
    out = packed(tmp_path)
    assert [(row["row"], row["key"], row["rule"]) for row in report(out)] == [
        ("5", "k3", "unreadable"),
        ("7", "k5", "unknown_type"),
        ("8", "k1", "duplicate_key"),
        ("9", "k7", "missing_file"),
    ]
    assert report(out)[3]["file"] == str(tmp_path / "shop/nowhere.jpg")
    assert sum(len(entry.samples) for entry in read_index(out).values()) == 8


@pytest.mark.usefixtures("shop")
def test_strict_stops_at_the_first_problem(tmp_path: Path) -> None:
    (tmp_path / "shop/p3.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"row 5 \(k3\): .*p3\.jpg: unreadable"):
        packed(tmp_path, strict=True)
    out = packed(tmp_path)
    with pytest.raises(ValueError, match=r"row 5 \(k3\)"):
        packed(tmp_path, strict=True)
    assert len(report(out)) == 1


def test_nothing_to_pack_is_an_error(shop: Rows, tmp_path: Path) -> None:
    for row in shop:
        (tmp_path / "shop" / row["person"]).unlink()
    with pytest.raises(SystemExit) as stop:
        packed(tmp_path)
    assert stop.value.code == 1
    assert {row["rule"] for row in report(tmp_path / "out")} == {"missing_file"}
    assert not shards(tmp_path / "out") and not (tmp_path / "out/index.json").exists()


@pytest.mark.usefixtures("shop")
def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = shards(packed(tmp_path, "whole"))
    calls: list[str] = []

    def stop_at_the_seventh(row: Any, encoding: Encoding) -> Any:
        from datamodules.packing.encoding import encode_row

        calls.append(row.key)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return encode_row(row, encoding)

    monkeypatch.setattr("datamodules.packing.run.encode_row", stop_at_the_seventh)
    with pytest.raises(KeyboardInterrupt):
        packed(tmp_path)
    assert list(shards(tmp_path / "out")) == ["train-000000.tar"] and not list((tmp_path / "out").glob("*.part"))
    written = (tmp_path / "out/train-000000.tar").stat().st_mtime_ns
    packed(tmp_path)
    assert shards(tmp_path / "out") == whole
    assert (tmp_path / "out/train-000000.tar").stat().st_mtime_ns == written
    assert len(calls) == 7 + 8


@pytest.mark.usefixtures("shop")
def test_only_shards_with_changed_files_are_packed_anew(tmp_path: Path) -> None:
    (tmp_path / "shop/p3.jpg").write_bytes(b"")
    out = packed(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    Image.open(tmp_path / "shop/p1.jpg").save(tmp_path / "shop/p3.jpg")
    packed(tmp_path)
    after = {path.name: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    assert sum(before[name] != after[name] for name in before) == 1
    assert not (out / "report.csv").exists()
    assert sum(len(entry.samples) for entry in read_index(out).values()) == 12


@pytest.mark.usefixtures("shop")
def test_an_index_is_never_older_than_its_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = packed(tmp_path)
    Image.open(tmp_path / "shop/p1.jpg").save(tmp_path / "shop/p3.jpg")
    monkeypatch.setattr("datamodules.packing.run.write_index", lambda *_: pytest.fail("stopped before the index"))
    with pytest.raises(pytest.fail.Exception):
        packed(tmp_path)
    assert not (out / "index.json").exists()


@pytest.mark.usefixtures("shop")
def test_a_damaged_shard_is_packed_anew(tmp_path: Path) -> None:
    out = packed(tmp_path)
    whole = shards(out)
    os.truncate(out / "train-000001.tar", 3000)
    (out / "train-000002.tar").unlink()
    packed(tmp_path)
    assert shards(out) == whole


def test_shards_that_are_no_longer_planned_go(shop: Rows, tmp_path: Path, write_manifest: Callable[..., Path]) -> None:
    out = packed(tmp_path)
    write_manifest(tmp_path / "shop/manifest.csv", shop[:5])
    packed(tmp_path)
    assert list(shards(out)) == ["train-000000.tar", "train-000001.tar"] == list(read_index(out))


@pytest.mark.usefixtures("shop")
def test_what_was_packed_otherwise_is_not_mixed(tmp_path: Path) -> None:
    out = packed(tmp_path)
    with pytest.raises(ValueError, match="with other options: size 768, now 64; give another --out"):
        packed(tmp_path, encoding=Encoding(size=64))
    (out / "pack.json").write_text("{}")
    with pytest.raises(ValueError, match=r"pack\.json cannot be read"):
        packed(tmp_path)
    (out / "pack.json").unlink()
    with pytest.raises(ValueError, match="shards that were not packed here"):
        packed(tmp_path)


def test_an_ornament_stays_in_one_split(shop: Rows, tmp_path: Path, write_manifest: Callable[..., Path]) -> None:
    rows = [row | {"ornament_id": f"id{index // 4}"} for index, row in enumerate(shop)]
    write_manifest(tmp_path / "shop/manifest.csv", rows)
    out = packed(tmp_path, split="0.4,0.3,0.3")
    found: dict[str, set[str]] = {}
    for path in out.glob("*.tar"):
        for raw in read_shard(str(path), pytest.fail):
            found.setdefault(json.loads(raw["json"])["ornament_id"], set()).add(path.name.split("-")[0])
    assert len(found) == 3 and all(len(splits) == 1 for splits in found.values())


@pytest.mark.usefixtures("shop")
def test_the_command(tmp_path: Path) -> None:
    pack(str(tmp_path / "shop/manifest.csv"), str(tmp_path / "out"), size=64, workers=1, sheet=0)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["index.json", "pack.json", "train-000000.tar"]
    with pytest.raises(ValueError, match="shard_size must be at least 1, got 0"):
        pack(str(tmp_path / "shop/manifest.csv"), str(tmp_path / "out"), shard_size=0)


@pytest.mark.slow
def test_a_killed_run_leaves_no_process_and_no_half_shard_and_goes_on(tmp_path: Path, shop: Rows) -> None:
    big = Image.open(tmp_path / "shop/p0.jpg").resize((4000, 2400))
    for row in shop:  # large photographs, so that the run lasts
        for name in ("ornament", "person"):
            big.save(tmp_path / "shop" / row[name])
            mask = Image.open(tmp_path / "shop" / row[f"{name.replace('person', 'wearing')}_mask"])
            mask.resize((4000, 2400)).save(mask.filename)  # type: ignore[attr-defined]
    whole = shards(packed(tmp_path, "whole", shard_size=2))
    out = tmp_path / "out"
    words = [sys.executable, "-m", "ornament_lit", "data", "pack", "--source", str(tmp_path / "shop/manifest.csv")]
    words += ["--out", str(out), "--shard_size=2", "--workers=2"]
    for stop in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
        before = len(shards(out)) if out.exists() else 0
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        while process.poll() is None and len(list(out.glob("*.tar"))) <= before:
            time.sleep(0.02)
        process.send_signal(stop)
        process.communicate(timeout=60)  # returns when the last process that holds the pipe has ended
        assert all(whole[name] == data for name, data in shards(out).items())
    subprocess.run(words, check=True, capture_output=True)
    assert shards(out) == whole and not list(out.glob("*.part"))


def test_the_json_of_all_samples_have_the_same_keys_and_types(tmp_path: Path, shop: list[dict[str, str]]) -> None:
    more = [{"box": [60, 40, 120, 70]}, {"box": [50.5, 30, 130, 80, 10]}, {"price": 3.5}, {"ornament_id": "a"}]
    rows = [row | given for row, given in zip(shop, more, strict=False)]
    manifest = tmp_path / "shop" / "rows.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(Request(manifest, tmp_path / "out", Encoding(size=64), workers=1, sheet=0))
    samples = [raw for path in (tmp_path / "out").glob("*.tar") for raw in read_shard(str(path), pytest.fail)]
    documents = [json.loads(raw["json"]) for raw in samples]
    assert len(documents) == len(more) and len({tuple(document) for document in documents}) == 1
    for name in documents[0]:
        assert len({type(document[name]) for document in documents} - {type(None)}) == 1, name
    assert all(type(edge) is float for document in documents for edge in document["box"])
