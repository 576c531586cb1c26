"""A server for one page on this machine: nobody else's page may use it, and nothing stays when it ends."""

import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
GRACE = 1
"""Seconds that open connections are given at the end."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]


class SameOrigin:
    """Refuse what another web page, or a host name that is not this machine's, asks of the server.

    The first is request forgery: browsers send the page's ``Origin`` with uploads. The second is DNS rebinding: a
    stranger's name that leads here stands in ``Host``.

    Args:
        app: The application behind it.
        any_address: Answer to any IP address, too, where the server listens beyond this machine: a rebound host is
            a name.
    """

    def __init__(self, app: ASGI, any_address: bool = False) -> None:
        self.app = app
        self.any_address = any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] in ("http", "websocket"):
            headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
            host, origin = headers.get("host", ""), headers.get("origin")
            if not self._known(host) or (origin is not None and origin.partition("://")[2] != host):
                await PlainTextResponse("refused: another host or origin\n", 403)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _known(self, host: str) -> bool:
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        return name in LOOPBACK or (self.any_address and _is_address(name.strip("[]")))


def guarded(any_address: bool) -> FastAPI:
    """An empty application behind :class:`SameOrigin`."""
    return FastAPI(openapi_url=None, middleware=[Middleware(SameOrigin, any_address=any_address)])


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder that only this user can read, for uploads and results; it goes with the block.

    What the libraries of the page would send home or fetch is switched off, so enter it before they are imported.
    """
    with TemporaryDirectory(prefix="ornament_lit-demo-", ignore_cleanup_errors=True) as folder:
        os.environ |= {
            "GRADIO_TEMP_DIR": f"{folder}/cache",
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        yield Path(folder)


def check_host(host: str) -> bool:
    """Whether an address leads beyond this machine.

    Args:
        host: An IP address, or ``localhost``.

    Raises:
        ValueError: If it is a name.
    """
    if host == "localhost":
        return False
    if not _is_address(host):
        raise ValueError(f"--host must be an IP address of this machine, or localhost, got {host!r}")
    return not ipaddress.ip_address(host).is_loopback


def listen(host: str, port: int) -> socket.socket:
    """Take a port.

    Args:
        host: An IP address, or ``localhost``.
        port: Its number; 0 for a free one.

    Raises:
        ValueError: If it is taken, or may not be used.
    """
    if not 0 <= port < 2**16:
        raise ValueError(f"--port must be from 0 (any free one) to 65535, got {port}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ValueError(
            f"port {port} of {host} cannot be used: {reason}; give --port another one, or 0 for any"
        ) from error


def address_of(listening: socket.socket) -> str:
    """The page's address."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def serve(application: FastAPI, listening: socket.socket, stop_work: Callable[[], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; a second one ends connections at once.

    Args:
        application: What answers.
        listening: Where.
        stop_work: Called when the end has come, so that running work stops.
    """
    config = uvicorn.Config(application, log_level="critical", timeout_graceful_shutdown=GRACE)
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[assignment, method-assign]  # it raises them again at the end

    def end(number: int, frame: FrameType | None) -> None:
        stop_work()
        server.force_exit = server.should_exit
        server.should_exit = True

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run(sockets=[listening])
    finally:
        stop_work()
        for number, handler in before.items():
            signal.signal(number, handler)


def warn_of_strangers(host: str) -> None:
    """Say that others can reach the page."""
    print(
        f"warning: --host {host} lets everybody on the network use this page, and nothing is encrypted", file=sys.stderr
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
