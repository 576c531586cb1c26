"""Processes that are started in a session of their own, so that whoever outlives them is found (Linux)."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def interruptible() -> Iterator[None]:
    """Answer to Ctrl-C as in a terminal, in a block and in what it starts; the background of a script ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def start(command: Sequence[str], output: Path) -> "subprocess.Popen[bytes]":
    """Start a command that answers to Ctrl-C, whatever the tests do; stdout and stderr go into a file."""
    with interruptible(), open(output, "wb") as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)


def members(session: int) -> list[int]:
    """Processes of a session that are alive."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, _, _, of, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(of) == session and state != "Z":
                found.append(int(folder.name))
    return found


def send(process: "subprocess.Popen[bytes]", number: int, group: bool) -> None:
    """Signal a process, or all of its group, as a terminal and ``timeout`` do."""
    (os.killpg if group else os.kill)(process.pid, number)


def wait_for(session: int, least: int, greatest: int, seconds: float = 60.0) -> None:
    """Wait until a session has as many processes as that."""
    end = time.monotonic() + seconds
    while not least <= len(alive := members(session)) <= greatest:
        assert time.monotonic() < end, f"{alive} are alive after {seconds} s, not {least} to {greatest} processes"
        time.sleep(0.1)
