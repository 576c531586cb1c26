import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from filelock import FileLock

from datamodules import OrnamentDataModule
from datamodules.shards.cache import ShardCache
from datamodules.shards.index import raise_sample_error
from datamodules.shards.sample_index import Catalogue, open_catalogue
from datamodules.storage.retry import Retries
from datamodules.storage.sample_errors import SampleError
from tests.datamodules.shard_server import Server

Draw = Callable[..., dict[str, bytes]]
Write = Callable[[Path, Mapping[str, dict[str, bytes]]], Path]


def listed(server: Server) -> Catalogue:
    return open_catalogue([f"{server.url}/train-00000{i}.tar" for i in range(4)], raise_sample_error, 1.0)


def read(cache: ShardCache, catalogue: Catalogue, sample: int) -> str:
    return str(cache.read(catalogue.place(sample))["__key__"])


def test_a_shard_is_copied_once_and_whole(server: Server, tmp_path: Path, shard_dir: Path) -> None:
    catalogue, cache = listed(server), ShardCache(tmp_path / "cache")
    assert [read(cache, catalogue, sample) for sample in (9, 8, 15)] == ["train-000009", "train-000008", "train-000015"]
    assert server.asked == ["index.json", "train-000001.tar"]
    (copy,) = (path for path in cache.folder.iterdir() if path.suffix == ".tar")
    assert copy.read_bytes() == (shard_dir / "train-000001.tar").read_bytes()


def test_local_shards_stay_where_they_are(shard_dir: Path, tmp_path: Path) -> None:
    catalogue = open_catalogue([str(shard_dir / "train-000000.tar")], raise_sample_error, 1.0)
    assert read(ShardCache(tmp_path / "cache"), catalogue, 3) == "train-000003"
    assert not (tmp_path / "cache").exists()
    (shard_dir / "train-000000.tar").unlink()
    with pytest.raises(SampleError, match=r"train-000000\.tar: train-000003: .*No such file"):
        read(ShardCache(), catalogue, 3)


def test_a_remote_that_stops_sending_is_an_error_and_no_hang(server: Server, tmp_path: Path) -> None:
    catalogue, cache = listed(server), ShardCache(tmp_path / "cache", timeout=0.2, retries=Retries(3, 0.01))
    server.always["train-000000.tar"] = "stall"
    start = time.monotonic()
    with pytest.raises(
        OSError, match=r"train-000000\.tar cannot be copied .* tried 3 times: .*nothing came for 0\.2 s"
    ):
        read(cache, catalogue, 0)
    assert time.monotonic() - start < 5
    assert server.asked.count("train-000000.tar") == 3 and not list(cache.folder.glob("*.tar"))
    server.always.clear()
    assert read(cache, catalogue, 0) == "train-000000"


def test_a_remote_that_never_answers_is_an_error(server: Server) -> None:
    server.always["index.json"] = "stall"
    with pytest.raises(OSError, match=r"index\.json cannot be read .*nothing came for 0\.2 s.*data check FOLDER"):
        open_catalogue([f"{server.url}/train-000000.tar"], raise_sample_error, 0.2)


def test_a_remote_that_sends_half_is_an_error(server: Server, tmp_path: Path) -> None:
    server.always["train-000000.tar"] = "cut"
    with pytest.raises(OSError, match="tried 2 times"):
        read(ShardCache(tmp_path, retries=Retries(2, 0.01)), listed(server), 0)


@pytest.mark.parametrize("change", ["flip", "longer"])
def test_bytes_that_are_not_those_of_the_index_are_refused(
    server: Server, tmp_path: Path, shard_dir: Path, change: str
) -> None:
    catalogue = listed(server)
    content = bytearray((shard_dir / "train-000000.tar").read_bytes())
    content[5000] ^= 1
    (shard_dir / "train-000000.tar").write_bytes(content if change == "flip" else bytes(content) + bytes(512))
    with pytest.raises(OSError, match="not those of the index"):
        read(ShardCache(tmp_path, retries=Retries(2, 0.01)), catalogue, 0)
    assert not list(tmp_path.glob("*.tar")) and not list(tmp_path.glob("*.part"))


def test_remote_shards_need_an_index(server: Server, shard_dir: Path) -> None:
    with pytest.raises(ValueError, match=r"new\.tar is not in the index\.json beside it"):
        open_catalogue([f"{server.url}/new.tar"], raise_sample_error, 1.0)
    (shard_dir / "index.json").unlink()
    with pytest.raises(OSError, match=r"remote shards need an index .*Error 404.*data check FOLDER"):
        listed(server)


def test_a_host_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9/index\.json cannot be read"):
        open_catalogue(["http://127.0.0.1:9/a.tar"], raise_sample_error, 1.0)


def test_copies_used_longest_ago_make_room(server: Server, tmp_path: Path, shard_dir: Path) -> None:
    catalogue = listed(server)
    size = (shard_dir / "train-000000.tar").stat().st_size
    cache = ShardCache(tmp_path / "cache", limit=2.5 * size / 2**30)
    for sample in (0, 8, 0, 16):
        assert read(cache, catalogue, sample) == f"train-{sample:06d}"
        time.sleep(0.02)
    assert sorted(path.name[17:] for path in cache.folder.glob("*.tar")) == ["train-000000.tar", "train-000002.tar"]


def _read_all(cache: ShardCache, catalogue: Catalogue, results: "multiprocessing.Queue[list[str]]") -> None:
    results.put([read(cache, catalogue, sample) for sample in range(0, 32, 8)])


def test_one_process_copies_and_the_others_wait(server: Server, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    arguments = (ShardCache(tmp_path / "cache"), listed(server), results)
    processes = [context.Process(target=_read_all, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    expected = [f"train-{sample:06d}" for sample in range(0, 32, 8)]
    assert [results.get(timeout=30) for _ in processes] == [expected] * 4
    for process in processes:
        process.join()
    assert len(server.asked) == 5


def test_a_lock_that_is_held_for_nothing_is_an_error(server: Server, tmp_path: Path) -> None:
    catalogue, cache = listed(server), ShardCache(tmp_path, timeout=0.05, retries=Retries(1))
    with contextlib.suppress(OSError):
        read(ShardCache(tmp_path / "other"), catalogue, 0)
    (copy,) = (path.name for path in (tmp_path / "other").glob("*.tar"))
    with FileLock(f"{tmp_path / copy}.lock"), pytest.raises(TimeoutError, match="another process holds"):
        read(cache, catalogue, 0)


def test_a_program_that_stops_sending_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "aws"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nprintf half\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(OSError, match=r"s3://bucket/index\.json cannot be read .*sent nothing for 0\.3 s"):
        open_catalogue(["s3://bucket/a.tar"], raise_sample_error, 0.3)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_program_that_fails_or_is_absent_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OSError, match="No such file"):
        open_catalogue(["s3://bucket/a.tar"], raise_sample_error, 1.0)
    (tmp_path / "aws").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "aws").chmod(0o755)
    with pytest.raises(OSError, match="ended with code 3"):
        open_catalogue(["s3://bucket/a.tar"], raise_sample_error, 1.0)


@pytest.mark.parametrize("workers", [0, 2])
def test_training_and_validation_from_a_remote(server: Server, tmp_path: Path, shard_dir: Path, workers: int) -> None:
    def keys(place: str) -> list[list[str]]:
        data = OrnamentDataModule(
            f"{place}/train-{{000000..000003}}.tar",
            f"{place}/val-000000.tar",
            resolution=8,
            batch_size=4,
            num_workers=workers,
            shuffle_block_size=10,
            cache_dir=str(tmp_path / "cache"),
        )
        return [batch["key"] for loader in (data.train_dataloader(), data.val_dataloader()) for batch in loader]

    assert keys(server.url) == keys(str(shard_dir))
    assert sorted(server.asked) == sorted(
        ["index.json", "index.json", "val-000000.tar", *(f"train-00000{i}.tar" for i in range(4))]
    )


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_remote_that_stalls_ends_training_with_an_error(server: Server, tmp_path: Path, workers: int) -> None:
    data = OrnamentDataModule(
        f"{server.url}/train-000000.tar",
        resolution=8,
        batch_size=4,
        num_workers=workers,
        cache_dir=str(tmp_path / "cache"),
        remote_timeout=0.2,
        read_attempts=1,
    )
    server.always["train-000000.tar"] = "stall"
    with pytest.raises(OSError, match="cannot be copied"):
        list(data.train_dataloader())
