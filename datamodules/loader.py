"""The loader that a trainer iterates: sets the epoch before, reports what was skipped after."""

import logging
from collections.abc import Callable, Iterator
from typing import cast

from torch.utils.data import DataLoader

from datamodules.dataset import TripletDataset
from datamodules.transforms import TryOnSample
from ornament_lit.batch import TryOnBatch

logger = logging.getLogger(__name__)


class TripletLoader:
    """Iterates a dataset in batches.

    It starts lazily, at the first ``next``: trainers call ``iter`` before they know the epoch.

    Args:
        loader: Batches of a :class:`datamodules.dataset.TripletDataset`, whose fault counter must have a row for
            each worker.
        name: What the data are for, in messages.
        epoch: Called at the start of each iteration.
        num_batches: Batches in an epoch, where that is fixed.
    """

    def __init__(
        self,
        loader: DataLoader[TryOnSample],
        name: str,
        epoch: Callable[[], int] = int,
        num_batches: int | None = None,
    ) -> None:
        """Store the parts; no process is started."""
        self._loader = loader
        self._triplets = cast(TripletDataset, loader.dataset)
        self._name = name
        self._epoch = epoch
        self._num_batches = num_batches

    def __len__(self) -> int:
        """Batches in an epoch.

        Raises:
            TypeError: If that is not known beforehand, as ``len`` asks for.
        """
        if self._num_batches is None:
            raise TypeError("a pass over shards has no length: their samples are not counted beforehand")
        return self._num_batches

    def __iter__(self) -> Iterator[TryOnBatch]:
        """Yield the batches of an epoch.

        Raises:
            ValueError: If there is not one batch.
            SampleError: At the first fault, where they are not to be skipped.
        """
        self._triplets.epoch = self._epoch()
        try:
            # One batch ahead, so that the report comes with the last batch: a trainer that knows the length
            # never asks for more.
            ahead: TryOnBatch | None = None
            for batch in self._loader:
                if ahead is not None:
                    yield ahead
                ahead = cast(TryOnBatch, batch)
            if ahead is None:
                raise ValueError(self._nothing())
            self._report()
            yield ahead
        finally:
            self._report()

    def _nothing(self) -> str:
        report = self._triplets.faults.report()
        return f"{self._name} data must give at least one batch of {self._loader.batch_size}, got none: {report}"

    def _report(self) -> None:
        report = self._triplets.faults.report()
        if report.bad:
            rank = f" (rank {self._triplets.source.rank})" if self._triplets.source.world_size > 1 else ""
            logger.warning("%s data, epoch %d%s: %s", self._name, self._triplets.epoch, rank, report)
        self._triplets.faults.reset()
