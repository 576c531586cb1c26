import os
import signal
import sys
import time

import pytest
from torch.utils.data import DataLoader, Dataset

from datamodules.loading.loader import Process, TripletLoader
from datamodules.loading.worker_signals import outlive_signals

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals that are waited for")


class Numbers(Dataset[int]):
    def __len__(self) -> int:
        return 6

    def __getitem__(self, number: int) -> int:
        return number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_from_elsewhere_passes_and_one_of_the_parent_ends_the_process(number: int) -> None:
    iterator = iter(DataLoader(Numbers(), batch_size=None, num_workers=1, worker_init_fn=outlive_signals))
    assert next(iterator) == 0
    worker = iterator._workers[0]  # type: ignore[attr-defined]
    for _ in range(3):
        sender = os.fork()
        if sender == 0:
            os.kill(worker.pid, number)
            os._exit(0)
        os.waitpid(sender, 0)
    time.sleep(0.2)
    assert worker.is_alive()
    assert list(iterator) == [1, 2, 3, 4, 5]

    iterator = iter(DataLoader(Numbers(), batch_size=None, num_workers=1, worker_init_fn=outlive_signals))
    worker = iterator._workers[0]  # type: ignore[attr-defined]
    assert next(iterator) == 0
    worker.terminate()
    worker.join(5)
    assert worker.exitcode == 0


def test_the_loader_of_triplets_does_so() -> None:
    class Data(Numbers):
        seed = 0

    loader = TripletLoader("training", lambda epoch: Data(), 1, Process(num_workers=1), 6)  # type: ignore[arg-type,return-value]
    assert loader._load(Data(), 0).worker_init_fn is outlive_signals  # type: ignore[arg-type]
