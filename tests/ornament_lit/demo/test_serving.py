"""The server answers this machine's own page alone, and leaves nothing."""

import os
import signal
import stat
import threading
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from ornament_lit.demo.serving import SameOrigin, address_of, check_host, guarded, listen, serve, workspace

ROUTES = ("/", "/config", "/gradio_api/upload")
REFUSED = [
    ("evil.example", None),
    ("evil.example:7860", "http://evil.example:7860"),
    ("127.0.0.1:7860", "http://evil.example"),
    ("127.0.0.1:7860", "http://127.0.0.1:8000"),
    ("localhost.evil.example:7860", None),
    ("127.0.0.1:7860", "null"),
    ("", None),
]
ANSWERED = [
    ("127.0.0.1:7860", None),
    ("127.0.0.1", "http://127.0.0.1"),
    ("localhost:7860", "http://localhost:7860"),
    ("[::1]:7860", "http://[::1]:7860"),
]


def status(host: str, origin: str | None, route: str, any_address: bool = False, method: str = "GET") -> int:
    client = TestClient(SameOrigin(PlainTextResponse("page"), any_address))  # type: ignore[arg-type]
    headers = {"host": host} | ({} if origin is None else {"origin": origin})
    return int(client.request(method, route, headers=headers).status_code)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_host_or_origin_is_refused(route: str, method: str) -> None:
    assert [status(*pair, route, method=method) for pair in REFUSED] == [403] * len(REFUSED)
    assert [status(*pair, route, method=method) for pair in ANSWERED] == [200] * len(ANSWERED)


def test_beyond_this_machine_addresses_are_answered_and_names_are_not() -> None:
    address, named = ("192.168.1.5:7860", "http://192.168.1.5:7860"), ("shop.example:7860", "http://shop.example:7860")
    assert status(*address, "/") == 403
    assert status(*address, "/", any_address=True) == 200
    assert status("[fe80::1]:7860", None, "/", any_address=True) == 200
    assert status(*named, "/", any_address=True) == 403
    assert status("192.168.1.5:7860", "http://evil.example", "/", any_address=True) == 403


def test_a_host_is_an_address() -> None:
    assert [check_host(host) for host in ("127.0.0.1", "localhost", "::1", "127.0.0.2")] == [False] * 4
    assert [check_host(host) for host in ("0.0.0.0", "192.168.1.5", "::")] == [True] * 3
    with pytest.raises(ValueError, match=r"^--host must be an IP address of this machine, or localhost, got 'shop'$"):
        check_host("shop")


def test_a_busy_port_is_told() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert address_of(taken) == f"http://127.0.0.1:{port}/"
        with pytest.raises(
            ValueError, match=rf"^port {port} of 127.0.0.1 cannot be used: Address already in use; give"
        ):
            listen("127.0.0.1", port)
    for wrong in (-1, 65536):
        with pytest.raises(ValueError, match="--port must be from 0"):
            listen("127.0.0.1", wrong)


def test_the_workspace_is_private_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", "before")
    with workspace() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert Path(os.environ["GRADIO_TEMP_DIR"]).parent == folder
        (folder / "photograph.jpg").write_bytes(b"private")
    assert not folder.exists()


def test_a_signal_ends_it_and_handlers_are_as_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    stopped: list[str] = []
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with listen("127.0.0.1", 0) as listening:
        serve(guarded(any_address=False), listening, lambda: stopped.append("work"))
    assert stopped and signal.getsignal(signal.SIGTERM) is before
