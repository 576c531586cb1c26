import math
import os
from itertools import count

import pytest

from datamodules.processes import map_in_order


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
