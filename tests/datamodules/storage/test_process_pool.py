import math
import os
import signal
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from datamodules.storage.process_pool import map_in_order
from tests.sessions import members, send, start, wait_for

BUSY = """
from datamodules.storage.process_pool import map_in_order
from ornament_lit.cli.errors import end_well
from ornament_lit.cli.signals import sigterm_interrupts

def work():
    list(map_in_order(sum, [range(10**13)] * 2, 2))  # in one call of C, which lets no thread of Python in

if __name__ == "__main__":
    with sigterm_interrupts():
        raise SystemExit(end_well(work))
"""
ALL = 5  # this process, the resource tracker, the fork server and two workers


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers: int) -> None:
    assert list(map_in_order(math.factorial, range(40), workers)) == [math.factorial(number) for number in range(40)]


def test_endless_tasks_are_taken_only_a_few_ahead() -> None:
    results = map_in_order(math.sqrt, count(), 2)
    assert [next(results) for _ in range(3)] == [0.0, 1.0, math.sqrt(2)]
    results.close()


def test_an_error_comes_through() -> None:
    with pytest.raises(ValueError, match="math domain error"):
        list(map_in_order(math.sqrt, [1, -1], 2))


def test_a_worker_that_dies_is_told() -> None:
    with pytest.raises(ValueError, match="worker processes died"):
        list(map_in_order(os._exit, [3], 2))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    ("number", "group", "code", "said"),
    [
        (signal.SIGTERM, False, 143, "\nterminated\n"),
        (signal.SIGINT, True, 130, "\ninterrupted\n"),
        (signal.SIGKILL, False, -signal.SIGKILL, None),
    ],
)
def test_busy_workers_end_with_their_command(
    tmp_path: Path, number: int, group: bool, code: int, said: str | None
) -> None:
    process = start([sys.executable, "-c", BUSY], tmp_path / "output")
    wait_for(process.pid, ALL, ALL)
    time.sleep(0.5)
    send(process, number, group)
    assert process.wait(60) == code
    wait_for(process.pid, 0, 0)
    assert members(process.pid) == [] and said in (None, (tmp_path / "output").read_text())
