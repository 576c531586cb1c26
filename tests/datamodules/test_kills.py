"""``data pack`` and ``data render``, killed at random and run again until they are done: the bytes are the same.

``ORNAMENT_LIT_KILLS=20 make test-slow PYTEST_ARGS=tests/datamodules/test_kills.py`` kills each of them 20 times.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.sessions import send, start, wait_for

KILLS = int(os.environ.get("ORNAMENT_LIT_KILLS", "3"))
COSTS = ("README.md", "render_log")  # processor seconds
ENDS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180 * (KILLS + 2)),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    names = {str(path.relative_to(folder)): path for path in files}
    return {
        name: "" if name.startswith(COSTS) else hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in sorted(names.items())
    }


def kill_and_run_again(command: Callable[[Path], list[str]], folder: Path) -> int:
    """Kill a command so often, whenever it may be; return how often it ended by itself and was begun anew."""
    whole, broken, output, random = folder / "whole", folder / "broken", folder / "output", Random(0)
    begun = time.monotonic()
    subprocess.run(command(whole), check=True, capture_output=True)
    lasts = time.monotonic() - begun
    expected = contents(whole)
    kills = finished = 0
    while kills < KILLS:
        anew, begun = not broken.exists(), time.monotonic()
        process = start(command(broken), output)
        try:
            code = process.wait(random.uniform(0, 1) * lasts)
        except subprocess.TimeoutExpired:
            number = random.choice(list(ENDS))
            send(process, number, group=number != signal.SIGKILL and random.random() < 0.5)
            code = process.wait(60)
            kills += code != 0
        wait_for(process.pid, 0, 0)
        assert code in (0, *ENDS.values(), -signal.SIGTERM, -signal.SIGINT)
        assert code == -signal.SIGINT or "Traceback" not in output.read_text()
        if code == 0:
            assert contents(broken) == expected
            shutil.rmtree(broken)
            finished += 1
            lasts = time.monotonic() - begun if anew else lasts
    subprocess.run(command(broken), check=True, capture_output=True)
    assert contents(broken) == expected
    print(f"{kills} kills, {finished + 1} times finished, the same bytes each time")
    return finished


def words(name: str, **options: object) -> list[str]:
    flags = [word for option, value in options.items() for word in (f"--{option}", str(value))]
    return [sys.executable, "-m", "ornament_lit", *name.split(), *flags, "--workers", "2"]


def test_pack(tmp_path: Path, draw_photographs: Callable[[Path, int], Path]) -> None:
    source = draw_photographs(tmp_path / "shop", 120)
    kill_and_run_again(lambda out: words("data pack", source=source, out=out, shard_size=8), tmp_path)


def test_render(tmp_path: Path) -> None:
    pytest.importorskip("mitsuba")
    options = {"num": 32, "size": 32, "samples_per_pixel": 4, "shard_size": 4}
    kill_and_run_again(lambda out: words("data render", out=out, **options), tmp_path)


@pytest.fixture
def draw_photographs(draw_entries: Callable[..., dict[str, bytes]]) -> Callable[[Path, int], Path]:
    """Write a folder of so many triplets for ``data pack``."""

    def draw(folder: Path, count: int) -> Path:
        (folder / "ring").mkdir(parents=True)
        for number in range(count):
            entries = draw_entries(number, size=320 + number)
            del entries["json"]
            for name, content in entries.items():
                (folder / "ring" / f"k{number}.{name}").write_bytes(content)
        return folder

    return draw
