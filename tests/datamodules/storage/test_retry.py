"""Storage that stalls or fails for a while: what is tried again, how often, and what is said."""

import errno
import logging
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from datamodules import OrnamentDataModule
from datamodules.shards.cache import ShardCache
from datamodules.shards.index import raise_sample_error
from datamodules.shards.sample_index import Catalogue, open_catalogue
from datamodules.storage.retry import RefusedError, Retries, local_may_pass, remote_may_pass, within
from datamodules.storage.sample_errors import SampleError
from tests.datamodules.shard_server import Server

SOON = Retries(4, 0.01)


def listed(place: str | Path, retries: Retries = SOON) -> Catalogue:
    return open_catalogue([f"{place}/train-000000.tar"], raise_sample_error, 0.3, retries)


def test_a_remote_that_fails_in_every_way_and_then_works_is_read(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers = {"index.json": [503], "train-000000.tar": ["stall", 500, "cut"]}
    with caplog.at_level(logging.WARNING):
        sample = ShardCache(tmp_path, timeout=0.3, retries=SOON).read(listed(server.url).place(0))
    assert sample["__key__"] == "train-000000"
    assert server.asked == ["index.json"] * 2 + ["train-000000.tar"] * 4
    told = [record.message for record in caplog.records if "train-000000.tar" in record.message]
    assert len(told) == 2
    assert "trying again, 3 times at most" in told[0] and "nothing came for 0.3 s" in told[0]
    assert told[1].endswith("train-000000.tar: read at attempt 4")


def test_a_remote_that_goes_on_failing_is_given_up(server: Server, tmp_path: Path) -> None:
    server.answers = {"train-000000.tar": [500] * 9}
    with pytest.raises(OSError, match=r"train-000000\.tar cannot be copied to .*, tried 4 times: .*Error 500"):
        ShardCache(tmp_path, retries=SOON).read(listed(server.url).place(0))
    assert server.asked.count("train-000000.tar") == 4


@pytest.mark.parametrize(("answer", "times"), [(403, 1), (404, 1), (410, 1), (429, 4), (408, 4)])
def test_what_a_remote_refuses_is_not_asked_for_again(server: Server, tmp_path: Path, answer: int, times: int) -> None:
    place = listed(server.url).place(0)
    server.answers = {"train-000000.tar": [answer] * 9}
    with pytest.raises(OSError, match=f"Error {answer}") as caught:
        ShardCache(tmp_path, retries=SOON).read(place)
    assert server.asked.count("train-000000.tar") == times
    assert ("tried" in str(caught.value)) == (times > 1)


class Failing:
    """Takes the place of a function: raises some errors first."""

    def __init__(self, function: Callable[..., object], *numbers: int) -> None:
        self.function, self.numbers, self.calls = function, list(numbers), 0

    def __call__(self, *args: object) -> object:
        self.calls += 1
        if self.numbers:
            number = self.numbers.pop(0)
            raise OSError(number, os.strerror(number))
        return self.function(*args)


def test_a_local_read_that_fails_for_a_while_is_read(shard_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Failing(os.pread, errno.EIO, errno.ESTALE)
    monkeypatch.setattr(os, "pread", failing)
    assert ShardCache(retries=SOON).read(listed(shard_dir).place(0))["__key__"] == "train-000000"
    assert failing.calls == 3


def test_a_bad_place_on_a_disk_is_a_sample_and_storage_that_is_away_is_an_error(
    shard_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = listed(shard_dir).place(0)
    monkeypatch.setattr(os, "pread", Failing(os.pread, *[errno.EIO] * 4))
    with pytest.raises(SampleError, match=r"train-000000\.tar: train-000000"):
        ShardCache(retries=SOON).read(place)
    monkeypatch.setattr(os, "pread", Failing(os.pread, *[errno.ESTALE] * 4))
    with pytest.raises(OSError, match=r"train-000000\.tar cannot be read, tried 4 times"):
        ShardCache(retries=SOON).read(place)


def test_a_file_that_is_not_there_is_not_tried_again(shard_dir: Path) -> None:
    place = listed(shard_dir).place(0)
    (shard_dir / "train-000000.tar").unlink()
    start = time.monotonic()
    with pytest.raises(SampleError, match="No such file"):
        ShardCache(retries=Retries(4, 5.0)).read(place)
    assert time.monotonic() - start < 1


def test_a_local_shard_that_never_answers_ends_training_with_its_name(shard_dir: Path) -> None:
    data = OrnamentDataModule(
        str(shard_dir / "train-000000.tar"), resolution=8, batch_size=4, remote_timeout=0.1, read_attempts=2
    )
    loader = data.train_dataloader()
    (shard_dir / "train-000000.tar").unlink()
    os.mkfifo(shard_dir / "train-000000.tar")  # whoever opens it waits until somebody writes
    start = time.monotonic()
    with pytest.raises(
        OSError, match=r"train-000000\.tar cannot be read, tried 2 times: .*nothing was read for 0\.1 s"
    ):
        list(loader)
    assert time.monotonic() - start < 5


def test_pauses_grow_up_to_a_minute_and_leave_seeded_generators_alone() -> None:
    state = random.getstate()
    for attempt, pause in ((1, 2.0), (2, 4.0), (3, 8.0), (9, 60.0)):
        drawn = [Retries(10, 2.0).seconds(attempt) for _ in range(100)]
        assert 0.5 * pause <= min(drawn) < max(drawn) <= 1.5 * pause <= Retries(10, 2.0).longest
    assert random.getstate() == state
    assert Retries(1).longest == 0


def test_one_attempt_is_one_attempt(caplog: pytest.LogCaptureFixture) -> None:
    failing = Failing(str, errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        Retries(1)(failing, "it", local_may_pass)
    assert failing.calls == 1 and not caplog.records


def test_what_may_pass() -> None:
    assert remote_may_pass(TimeoutError()) and remote_may_pass(OSError("half of it"))
    assert not remote_may_pass(RefusedError("404")) and not remote_may_pass(FileNotFoundError("aws"))
    assert local_may_pass(OSError(errno.EIO, "")) and local_may_pass(TimeoutError())
    assert not local_may_pass(OSError(errno.EACCES, "")) and not local_may_pass(SampleError("cut off"))


def test_a_limit_of_time_passes_results_and_errors_on() -> None:
    assert within(5.0, lambda: None, "it") is None
    with pytest.raises(KeyError):
        within(5.0, lambda: {}["a"], "it")
    with pytest.raises(TimeoutError, match=r"it: nothing was read for 0\.05 s"):
        within(0.05, lambda: time.sleep(1), "it")
