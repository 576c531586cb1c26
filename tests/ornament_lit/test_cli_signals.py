import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ornament_lit.cli_errors import end_well
from ornament_lit.cli_signals import Terminated, sigterm_interrupts, stopped_by


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_ends_a_command_with_143_and_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with sigterm_interrupts():
        assert end_well(terminate) == 143
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL  # a second one ends the process
    assert capsys.readouterr().err == "\nterminated\n" and signal.getsignal(signal.SIGTERM) == before


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
