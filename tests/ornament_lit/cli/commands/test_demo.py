"""The command demo, as a user calls it."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import util
from pathlib import Path

import pytest

from ornament_lit.__main__ import main
from ornament_lit.demo.serving import listen

ROOT = Path(__file__).resolve().parents[4]
INTERRUPTIBLE = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
OFFLINE = """
import socket
asked = []
resolve = socket.getaddrinfo
def watched(host, *args, **options):
    if host not in ("127.0.0.1", None):
        print("asked for", host, flush=True)
    return resolve(host, *args, **options)
socket.getaddrinfo = watched
"""
RUN = "from ornament_lit.__main__ import main; sys.exit(main(['demo', *sys.argv[1:]]))"


@contextmanager
def started(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process of its own with its own temporary folder, and the page's address."""
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE + OFFLINE + RUN, "--port=0", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    try:
        lines = ""
        while not (found := re.search(r"(http://\S+)  \(Ctrl-C ends it\)", lines)):
            line = process.stdout.readline()
            assert line, f"it has ended: {lines}"
            lines += line
        process.said = lines  # type: ignore[attr-defined]
        yield process, found[1]
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def asked(address: str, **headers: str) -> int:
    try:
        request = urllib.request.Request(address, headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_it_listens_here_alone_asks_nobody_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path) as (process, address):
        assert address.startswith("http://127.0.0.1:")
        assert asked(address) == 200 and asked(address, Host="evil.example") == 403
        assert asked(address, Origin="http://evil.example") == 403
        assert [path.name[:18] for path in tmp_path.iterdir()] == ["ornament_lit-demo-"]
        listening = _listening(process.pid)
        assert listening == {"0100007F"}, "127.0.0.1, as the kernel writes it"
        process.send_signal(number)
        begun = time.monotonic()
        rest = process.stdout.read() if process.stdout else ""
        assert process.wait(20) == 0 and time.monotonic() - begun < 15
    assert list(tmp_path.iterdir()) == []
    assert "asked for" not in process.said + rest and "Traceback" not in rest  # type: ignore[attr-defined]


def _listening(pid: int) -> set[str]:
    """Addresses on which a process listens, by the kernel's tables."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(link)
        inodes |= set(re.findall(r"socket:\[(\d+)\]", target))
    rows = [line.split() for kind in ("tcp", "tcp6") for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes}


@pytest.mark.slow
def test_a_public_address_is_warned_of_in_a_line_and_the_guard_holds(tmp_path: Path) -> None:
    with started(tmp_path, "--host=0.0.0.0") as (process, address):
        warned = [line for line in process.said.splitlines() if "warning" in line]  # type: ignore[attr-defined]
        assert warned == [
            "warning: --host 0.0.0.0 lets everybody on the network use this page, and nothing is encrypted"
        ]
        local = address.replace("0.0.0.0", "127.0.0.1")
        assert asked(local) == 200 and asked(local, Host="evil.example") == 403
        assert asked(local, Origin="http://evil.example") == 403


@pytest.mark.slow
def test_ctrl_c_while_it_loads_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE + RUN, "--port=0"], stderr=subprocess.PIPE, text=True, env=environment
    )
    while not list(tmp_path.iterdir()):
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and said.strip() == "interrupted" and list(tmp_path.iterdir()) == []


def test_a_busy_port_ends_it_before_anything_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        before = set(Path(tempfile.gettempdir()).glob("ornament_lit-demo-*"))
        assert main(["demo", f"--port={port}", "--checkpoint=absent.ckpt"]) == 2
    told = capsys.readouterr().err
    assert told.splitlines()[0] == (
        f"error: port {port} of 127.0.0.1 cannot be used: Address already in use; give --port another one, or 0 for any"
    )
    assert set(Path(tempfile.gettempdir()).glob("ornament_lit-demo-*")) == before


def test_without_gradio_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = util.find_spec
    monkeypatch.setattr(
        "ornament_lit.cli.commands.demo.find_spec", lambda name: None if name == "gradio" else found(name)
    )
    assert main(["demo"]) == 2
    assert capsys.readouterr().err.splitlines()[0] == (
        "error: the page needs gradio; install it by pip install -e '.[demo]'"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--host=shop.example"], "--host must be an IP address of this machine, or localhost, got 'shop.example'"),
        (["--port=70000"], "--port must be from 0 (any free one) to 65535, got 70000"),
        (["--checkpoint=a", "--pipeline=b"], "give either --checkpoint or --pipeline, or neither for the weights"),
        (["--raw"], "--raw and --resolution are for a --checkpoint"),
        (["--port=0", "--checkpoint=absent.ckpt"], "absent.ckpt"),
        (["--port=0", "--pipeline=bundled:large"], "the weights that ship are bundled:small, got 'bundled:large'"),
    ],
)
def test_wrong_options_are_told_in_a_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", *words]) == 2
    error = capsys.readouterr().err
    assert told in error and "Traceback" not in error and len(error.splitlines()) <= 2
