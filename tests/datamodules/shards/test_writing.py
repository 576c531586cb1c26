import json
from pathlib import Path

import pytest

from datamodules.shards.index import scan_shard
from datamodules.shards.reading import read_shard
from datamodules.shards.writing import write_shard
from datamodules.storage.sample_errors import SampleError


def test_what_is_written_is_read_again(tmp_path: Path, draw_entries) -> None:
    samples = [(f"k{index}", draw_entries(index)) for index in range(3)]
    entry = write_shard(tmp_path / "a.tar", samples)
    assert entry == scan_shard(tmp_path / "a.tar", checksum=True)
    sample_errors: list[SampleError] = []
    read = list(read_shard(str(tmp_path / "a.tar"), sample_errors.append))
    assert not sample_errors
    assert [(sample["__key__"], {name: sample[name] for name in samples[0][1]}) for sample in read] == samples


def test_bytes_depend_on_nothing_but_the_samples(tmp_path: Path, draw_entries) -> None:
    entries = draw_entries()
    turned = dict(reversed(entries.items()))
    first = write_shard(tmp_path / "a.tar", [("k", entries)])
    assert first.sha256 == write_shard(tmp_path / "b.tar", [("k", turned)]).sha256


@pytest.mark.parametrize("fault", ["missing", "metadata", "twice", "dot", "interrupted"])
def test_nothing_half_written_is_left_and_an_old_shard_stays(tmp_path: Path, draw_entries, fault: str) -> None:
    good = draw_entries()
    old = write_shard(tmp_path / "a.tar", [("old", good)])

    def samples():
        yield "k", good
        if fault == "interrupted":
            raise KeyboardInterrupt
        bad = {"missing": draw_entries(person__jpg=None), "metadata": draw_entries(json=json.dumps({}).encode())}
        yield {"twice": "k", "dot": "k.1"}.get(fault, "k1"), bad.get(fault, good)

    with pytest.raises((ValueError, KeyboardInterrupt)):
        write_shard(tmp_path / "a.tar", samples())
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]
    assert scan_shard(tmp_path / "a.tar", checksum=True) == old
