"""Files are written whole or not at all, and whether they can be is told before the work."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ornament_lit.utils import files
from ornament_lit.utils.files import check_file, check_folder, write_file


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)]
    if os.name != "posix" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fail(error: OSError) -> object:
    """A function that raises an error, whatever it is called with."""

    def call(*args: object, **options: object) -> object:
        raise error

    return call


def test_what_can_be_written_is_not_touched_by_the_check(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("old")
    for check in (check_file, check_folder):
        check(tmp_path / "new" / "deep" / "name")
    check_file(tmp_path / "old.json")
    check_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]
    assert (tmp_path / "old.json").read_text() == "old"


@pytest.mark.parametrize("name", ["file", "file/new", "file/new/deep"])
def test_a_file_where_a_folder_is_meant(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=rf"{tmp_path / name} cannot be a folder: .*file is a file"):
        check_folder(tmp_path / name)
    with pytest.raises(NotADirectoryError, match="cannot be a folder"):
        check_file(tmp_path / name / "x.json")


def test_a_folder_where_a_file_is_meant(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder, and shall be a file; give a file's name"):
        check_file(tmp_path)


def test_a_link_to_nothing_and_a_name_that_is_too_long(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "x")
    with pytest.raises(OSError, match="nothing can be written to"):
        check_folder(tmp_path / "link")
    with pytest.raises(OSError, match=r"nothing can be written to .*too long"):
        check_folder(tmp_path / ("x" * 300))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_no_right_a_read_only_disk_and_a_full_one(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "TemporaryFile", fail(OSError(number, os.strerror(number))))
    with pytest.raises(
        OSError, match=rf"nothing can be written to .*new \({os.strerror(number)}\); give another place"
    ):
        check_folder(tmp_path / "new")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux")
def test_a_folder_that_takes_no_files() -> None:
    with pytest.raises(OSError, match=r"nothing can be written to /proc/x"):
        check_folder(Path("/proc/x"))
    with pytest.raises(OSError, match=r"nothing can be written to /proc "):
        check_file(Path("/proc/x"))


def test_a_disk_that_is_full_in_the_middle_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file(tmp_path / "a.json", b"old")
    monkeypatch.setattr(os, "replace", fail(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    with pytest.raises(OSError) as caught:
        write_file(tmp_path / "a.json", b"new")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "a.json"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == b"old"


def test_a_small_disk_is_full_in_the_middle_and_then_before(small_disk: Path) -> None:
    write_file(small_disk / "a", bytes(8192))
    with pytest.raises(OSError, match="No space left") as caught:
        write_file(small_disk / "b", bytes(12000))
    assert caught.value.filename == str(small_disk / "b")
    assert [path.name for path in small_disk.iterdir()] == ["a"]
    write_file(small_disk / "b", bytes(8192))
    with pytest.raises(OSError, match=r"nothing can be written to .*No space left"):
        check_file(small_disk / "c")
