import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ornament_lit.cli.errors import end_well
from ornament_lit.cli.signals import Terminated, sigterm_interrupts, stopped_by


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_ends_a_command_with_143_and_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with sigterm_interrupts():
        assert end_well(terminate) == 143
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL  # a second one ends the process
    assert capsys.readouterr().err == "\nterminated\n" and signal.getsignal(signal.SIGTERM) == before


class Dropped:
    """Gets a signal, or raises an error, while it is removed."""

    def __init__(self, number: int = 0) -> None:
        self.number = number

    def __del__(self) -> None:
        if not self.number:
            raise ValueError
        os.kill(os.getpid(), self.number)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_that_meets_a_destructor_is_not_lost(number: int, code: int) -> None:
    def command() -> None:
        Dropped(number)
        time.sleep(10)

    with sigterm_interrupts():
        assert end_well(command) == code


def test_a_signal_that_meets_the_report_of_a_destructors_error_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> None:
        Dropped()
        time.sleep(10)

    reported = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: (terminate(), reported.append(type(dropped.exc_value))))
    with sigterm_interrupts():
        assert end_well(command) == 143
    assert reported == [ValueError]


def test_what_libraries_make_of_it() -> None:
    for error, code in ((Terminated(), 143), (KeyboardInterrupt(), 130), (BrokenPipeError(), 141)):
        with pytest.raises(SystemExit) as stop:
            try:
                raise error
            except type(error):
                raise SystemExit(1)  # noqa: B904
        assert stopped_by(error) == stopped_by(stop.value) == code
    assert stopped_by(SystemExit(1)) is None and stopped_by(ValueError()) is None


def test_an_output_that_nobody_reads_is_no_finding(shard_dir: Path) -> None:
    command = [sys.executable, "-m", "ornament_lit", "data", "check", str(shard_dir), "--workers", "1"]
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=120, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, b"") and (shard_dir / "index.json").exists()
