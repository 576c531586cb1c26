"""The loader that a trainer iterates: starts an epoch at any batch, reports what was skipped at its end."""

import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader

from datamodules.loading.dataset import TripletDataset, collate
from datamodules.loading.order import deal
from datamodules.loading.worker_signals import outlive_signals
from ornament_lit.batch import TryOnBatch

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Process:
    """This process among those that share the data, and how it loads them.

    Attributes:
        rank: Which of the processes this is.
        world_size: Number of processes.
        num_workers: Processes that decode for this one; 0 for none but itself.
        pin_memory: Copy batches into page-locked memory.
    """

    rank: int = 0
    world_size: int = 1
    num_workers: int = 0
    pin_memory: bool = False


class TripletLoader:
    """Iterates the batches of one process, an epoch at a time.

    It starts lazily, at the first ``next``: trainers call ``iter`` before they know where a resumed run starts. It
    is not a ``DataLoader``, so that a trainer does not put samplers of its own into it.

    Args:
        name: What the data are for, in messages.
        epoch_data: Gives the dataset of an epoch.
        batch_size: Samples in a batch of this process.
        process: See :class:`Process`.
        num_batches: Batches in an epoch: the greatest number of all processes.
        position: Called at the start of each iteration: the epoch, and its batches that are done already.
        collate: Makes one thing of the samples of a batch, or None where none could be used; in the workers.
        finish: Makes a batch of that; in this process.
    """

    def __init__(
        self,
        name: str,
        epoch_data: Callable[[int], TripletDataset],
        batch_size: int,
        process: Process,
        num_batches: int,
        position: Callable[[], tuple[int, int]] = lambda: (0, 0),
        collate: Callable[[Any], Any] = collate,
        finish: Callable[[Any], TryOnBatch] = lambda batch: batch,
    ) -> None:
        """Store the parts; no process is started."""
        self._name = name
        self._epoch_data = epoch_data
        self._batch_size = batch_size
        self._process = process
        self._num_batches = num_batches
        self._position = position
        self._collate = collate
        self._finish = finish

    def __len__(self) -> int:
        """Batches in an epoch; where samples are not substituted, a process may have fewer."""
        return self._num_batches

    def state_dict(self) -> dict[str, Any]:
        """Nothing, for trainers that ask whether the loader can resume: the position is the data module's."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Do nothing, see :meth:`state_dict`."""

    def __iter__(self) -> Iterator[TryOnBatch]:
        """Yield the batches of an epoch, from the position on.

        Raises:
            ValueError: If there is only this process and it has not one batch.
            SampleError: At the first sample error, where they are not to be skipped.
        """
        epoch, start = self._position()
        data = self._epoch_data(epoch)
        data.sample_errors.reset()
        dealt = sum(1 for _ in self._deal(data, start))
        empty = start == 0 and self._process.world_size == 1
        try:
            for number, batch in enumerate(self._batches(data, start), 1):
                if batch is not None:
                    empty = False
                if empty and number == dealt:
                    raise ValueError(
                        f"{self._name} data must give one batch at least, got none: {data.sample_errors.report()}"
                    )
                if number == dealt:  # a trainer that knows the length never asks for more
                    self._report(data)
                if batch is not None:
                    yield batch
        finally:
            if not sys.is_finalizing():  # a loop left open at the interpreter's end; torch's tensors abort it then
                self._report(data)

    def _deal(self, data: TripletDataset, start: int) -> Iterator[list[int]]:
        return deal(len(data), self._batch_size, self._process.rank, self._process.world_size, start)

    def _batches(self, data: TripletDataset, start: int) -> Iterator[TryOnBatch | None]:
        for batch in self._load(data, start):
            yield None if batch is None else self._finish(batch)

    def _load(self, data: TripletDataset, start: int) -> "DataLoader[Any]":
        return DataLoader(
            data,
            batch_sampler=self._deal(data, start),
            num_workers=self._process.num_workers,
            collate_fn=self._collate,
            pin_memory=self._process.pin_memory,
            worker_init_fn=outlive_signals,
            # Without a generator of its own the loader would draw from torch's global one.
            generator=torch.Generator().manual_seed(data.seed),
        )

    def _report(self, data: TripletDataset) -> None:
        report = data.sample_errors.report()
        if report.bad:
            rank = f" (rank {self._process.rank})" if self._process.world_size > 1 else ""
            logger.warning("%s data, epoch %d%s: %s", self._name, data.epoch, rank, report)
        data.sample_errors.reset()
