"""A checkpoint is whole or not there: kills, full disks, lost rights, damage."""

import multiprocessing
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from ornament_lit.checkpointing import atomic_io as checkpoint_io
from ornament_lit.checkpointing.atomic_io import AtomicCheckpointIO, plugins_with_io, write_whole
from ornament_lit.checkpointing.latest import is_whole, newest_whole
from ornament_lit.cli.signals import Terminated

Saver = Callable[[Path, int], None]


def content(step: int, size: int = 50_000) -> dict[str, Any]:
    return {"global_step": step, "state_dict": {"weight": torch.full((size,), float(step))}}


def step_of(path: Path) -> int:
    """The step in a file whose weights must fit it."""
    read = AtomicCheckpointIO().load_checkpoint(path, weights_only=True)
    assert torch.equal(read["state_dict"]["weight"], content(read["global_step"])["state_dict"]["weight"])
    return int(read["global_step"])


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_io, "RETRY_SECONDS", 0.0)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with the checkpoints of steps 1 and 2, of which ``last.ckpt`` is a link to the second."""
    folder = tmp_path / "checkpoints"
    for step in (1, 2):
        AtomicCheckpointIO().save_checkpoint(content(step), folder / f"step-{step}.ckpt")
        os.utime(folder / f"step-{step}.ckpt", (step, step))
    (folder / "last.ckpt").symlink_to("step-2.ckpt")
    return folder


def test_what_is_saved_is_read_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "last.ckpt"
    for step in (1, 2):
        AtomicCheckpointIO().save_checkpoint(content(step), path)
        assert step_of(path) == step
        assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_link_is_replaced_and_what_it_points_to_stays(saved: Path) -> None:
    AtomicCheckpointIO().save_checkpoint(content(3), saved / "last.ckpt")
    assert not (saved / "last.ckpt").is_symlink()
    assert [step_of(saved / name) for name in ("step-1.ckpt", "step-2.ckpt", "last.ckpt")] == [1, 2, 3]


def test_each_cut_is_found(saved: Path) -> None:
    whole = (saved / "step-2.ckpt").read_bytes()
    assert is_whole(saved / "step-2.ckpt", thoroughly=False)
    for length in [0, 1, *range(1000, len(whole), len(whole) // 60), len(whole) - 1]:
        (saved / "step-2.ckpt").write_bytes(whole[:length])
        assert not is_whole(saved / "step-2.ckpt", thoroughly=False), length


def test_changed_bytes_are_found_and_the_message_names_the_newest_whole_one(saved: Path) -> None:
    broken = bytearray((saved / "step-2.ckpt").read_bytes())
    broken[len(broken) // 2] ^= 1
    (saved / "step-2.ckpt").write_bytes(broken)
    assert newest_whole(saved) == saved / "step-1.ckpt"
    (saved / "step-2.ckpt").write_bytes(broken[:5000])
    message = re.escape(
        f"{saved}/last.ckpt is no checkpoint, or is damaged; the newest complete one beside it is {saved}"
    )
    with pytest.raises(ValueError, match=message + "/step-1.ckpt"):
        AtomicCheckpointIO().load_checkpoint(saved / "last.ckpt", weights_only=True)


def test_a_link_to_nothing_names_the_newest_whole_one(saved: Path) -> None:
    (saved / "step-2.ckpt").unlink()
    with pytest.raises(FileNotFoundError, match=r"last\.ckpt; the newest complete one beside it is .*step-1\.ckpt"):
        AtomicCheckpointIO().load_checkpoint(saved / "last.ckpt", weights_only=True)
    (saved / "step-1.ckpt").unlink()
    with pytest.raises(FileNotFoundError, match="there is no complete one beside it"):
        AtomicCheckpointIO().load_checkpoint(saved / "last.ckpt", weights_only=True)


def test_what_is_whole_but_holds_code_is_refused_without_torchs_advice_and_never_advised(saved: Path) -> None:
    torch.save({"state_dict": {}, "code": Trainer}, saved / "code.ckpt")
    with pytest.raises(ValueError, match="pickled objects can run any code") as caught:
        AtomicCheckpointIO().load_checkpoint(saved / "code.ckpt", weights_only=True)
    assert "weights_only" not in str(caught.value)
    assert newest_whole(saved) == saved / "code.ckpt"
    (saved / "cut.ckpt").write_bytes((saved / "step-2.ckpt").read_bytes()[:5000])
    for name, rule in (("cut.ckpt", "is damaged"), ("nowhere.ckpt", "there is no checkpoint")):
        with pytest.raises((ValueError, FileNotFoundError), match=rf"{rule}.* is .*step-2\.ckpt$"):
            AtomicCheckpointIO().load_checkpoint(saved / name, weights_only=True)


def test_a_folder_is_no_checkpoint(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is a folder; the newest complete one in it is .*step-2\.ckpt$"):
        AtomicCheckpointIO().load_checkpoint(saved, weights_only=True)
    with pytest.raises(ValueError, match="is a folder; there is no complete one in it"):
        AtomicCheckpointIO().load_checkpoint(tmp_path, weights_only=True)


@pytest.mark.parametrize("content", [{"weight": torch.zeros(3)}, torch.zeros(3)])
def test_a_plain_file_of_torch_is_no_checkpoint(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "plain.ckpt")
    with pytest.raises(ValueError, match=r"plain\.ckpt is a checkpoint of another project"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "plain.ckpt", weights_only=True)


def test_removing_what_last_points_to_turns_the_link_first(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    AtomicCheckpointIO().save_checkpoint(content(3), saved / "step-3.ckpt")
    AtomicCheckpointIO().remove_checkpoint(saved / "step-2.ckpt")
    assert step_of(saved / "last.ckpt") == 3
    assert sorted(file.name for file in saved.iterdir()) == ["last.ckpt", "step-1.ckpt", "step-3.ckpt"]


def _save_for_ever(path: Path) -> None:
    """Saves over a file without end; the writing takes about as long as the time between two of them."""
    slow = os.fsync

    def fsync(descriptor: int) -> None:
        time.sleep(0.02)
        slow(descriptor)

    def save(checkpoint: object, file: Any) -> None:
        real(checkpoint, _Writer(file, partial(time.sleep, 0.002)))

    os.fsync, real = fsync, torch.save
    checkpoint_io.torch.save = save  # type: ignore[attr-defined]
    step = step_of(path)
    while True:
        step += 1
        AtomicCheckpointIO().save_checkpoint(content(step), path)


class _Writer:
    """A file with something that happens before each write."""

    def __init__(self, file: Any, before: Callable[[], object]) -> None:
        self.file, self.before = file, before

    def write(self, part: Any) -> int:
        self.before()
        return int(self.file.write(part))

    def flush(self) -> None:
        self.file.flush()


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_kill_while_saving_never_leaves_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(content(0), path)
    steps, caught = [0], 0
    for number in range(25):
        process = multiprocessing.get_context("fork").Process(target=_save_for_ever, args=(path,))
        process.start()
        assert process.pid is not None
        wait_for(lambda: step_of(path) > steps[-1])
        time.sleep(0.004 * number)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        caught += (tmp_path / "last.ckpt.part").exists()
        steps.append(step_of(path))
    assert steps == sorted(set(steps))
    assert caught > 10, "the kills must come while a file is written"
    AtomicCheckpointIO().save_checkpoint(content(0), tmp_path / "other.ckpt")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["last.ckpt", "other.ckpt"]


def save_with(before: Callable[[], object], path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Save step 2 with something that happens before each write."""
    real = torch.save
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", lambda checkpoint, file: real(checkpoint, _Writer(file, before)))
        write_whole(content(2), path)


def test_a_stop_at_any_write_comes_out_as_a_stop_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, writes = tmp_path / "last.ckpt", []
    save_with(lambda: writes.append(1), path, monkeypatch)
    AtomicCheckpointIO().save_checkpoint(content(1), path)

    def stop() -> None:
        if next(left) == 0:
            raise Terminated

    for number in range(len(writes)):
        left = count(-number)
        with pytest.raises(Terminated):
            save_with(stop, path, monkeypatch)
        assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"] and step_of(path) == 1


def test_an_error_while_saving_after_a_stop_is_not_taken_for_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("no number")

    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        with pytest.raises(RuntimeError):
            save_with(fail, tmp_path / "last.ckpt", monkeypatch)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of 1 MiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def check_failure(folder: Path, reason: str) -> None:
    """The save of step 2 fails, and that of step 1 is as it was."""
    with pytest.raises(OSError, match="could not be written") as error:
        AtomicCheckpointIO().save_checkpoint(content(2, 500_000), folder / "step-2.ckpt")
    message = str(error.value)
    assert reason in message and str(folder / "step-2.ckpt") in message and "it needs 2,000,000 bytes" in message
    assert f"{folder / 'step-1.ckpt'} is intact" in message and re.search(r"[\d,]+ are free", message)
    assert [file.name for file in folder.iterdir()] == ["step-1.ckpt"]
    assert step_of(folder / "step-1.ckpt") == 1


def test_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path):
        AtomicCheckpointIO().save_checkpoint(content(1), tmp_path / "step-1.ckpt")
        check_failure(tmp_path, "No space left on device")


def test_a_limit_of_the_size_of_files(tmp_path: Path) -> None:
    AtomicCheckpointIO().save_checkpoint(content(1), tmp_path / "step-1.ckpt")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        check_failure(tmp_path, "File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_the_right_to_write_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    AtomicCheckpointIO().save_checkpoint(content(1), folder / "step-1.ckpt")
    for parent in (tmp_path, *list(tmp_path.parents)[:2]):
        parent.chmod(0o755)
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        check_failure(folder, "Permission denied")
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_failure_that_passes_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, real = [], os.fsync

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 1:
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    AtomicCheckpointIO().save_checkpoint(content(1), tmp_path / "last.ckpt")
    assert step_of(tmp_path / "last.ckpt") == 1


def test_what_cannot_be_saved_at_all_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="pickle"):
        write_whole({"code": lambda: None}, tmp_path / "last.ckpt")
    assert not list(tmp_path.iterdir())


def test_another_way_to_save_is_kept() -> None:
    class Other(AtomicCheckpointIO):
        pass

    other = Other()
    assert plugins_with_io({"plugins": other}) == [other]
    assert plugins_with_io({"plugins": [other]}) == [other]
    assert [type(one) for one in plugins_with_io({"plugins": None})] == [AtomicCheckpointIO]


def test_what_the_processes_of_a_fit_hand_over_is_read(tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.ones(2)}, tmp_path / ".temp.ckpt")
    assert AtomicCheckpointIO().load_checkpoint(tmp_path / ".temp.ckpt").keys() == {"layer.weight"}
    with pytest.raises(ValueError, match="is a checkpoint of another project"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / ".temp.ckpt", weights_only=True)
