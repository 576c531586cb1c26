"""A web server of shards, whose answers a test can spoil."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from datamodules.shards.index import scan_shard, write_index


@dataclass
class Server:
    """What a server answers: the number of an error, or 200; ``stall`` or ``cut`` after half of the file.

    Attributes:
        url: Its address, on this machine.
        answers: By the name of a file, the answers to come first, one for each request.
        always: By name, the answer to all other requests; 200 where there is none.
        asked: Names that were asked for.
        released: Set when those that are stalled shall go on.
    """

    url: str
    answers: dict[str, list[int | str]] = field(default_factory=dict)
    always: dict[str, int | str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """Serve a folder of shards, with an index."""
    write_index(folder, [scan_shard(path, checksum=True) for path in sorted(folder.glob("*.tar"))])

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            state.asked.append(name)
            answer = state.answers[name].pop(0) if state.answers.get(name) else state.always.get(name, 200)
            if answer == 200:
                return super().do_GET()
            self.close_connection = True
            if isinstance(answer, int):
                return self.send_error(answer)
            content = (folder / name).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            if answer == "stall":
                state.released.wait(30)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))) as web:
        state = Server(f"http://127.0.0.1:{web.server_port}")
        threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True).start()
        yield state
        state.released.set()
        web.shutdown()
