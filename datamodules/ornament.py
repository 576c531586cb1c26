"""OrnamentDataModule: batches of triplets from shards, for training, validation, testing and prediction."""

import math

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader
from webdataset.utils import pytorch_worker_info

from datamodules.dataset import ShuffledDataset, Source, TripletDataset, type_chances
from datamodules.faults import FaultCounter
from datamodules.loader import TripletLoader
from datamodules.shards import resolve_shards
from datamodules.transforms import TripletTransform, TryOnSample


class OrnamentDataModule(LightningDataModule):
    """Streams triplets from WebDataset shards as ``TryOnBatch``.

    Shards are given as a path, a pattern with braces or wildcards, a folder, an http(s), s3, gs or hf URL, a list of
    those, or ``bundled:`` and a path in this package. Samples that cannot be used are skipped, counted and reported
    once an epoch.

    Args:
        train_shards: Shards to train on.
        val_shards: Shards to validate on.
        test_shards: Shards to test and predict on; null for ``val_shards``.
        resolution: Side of the images in pixels.
        batch_size: Training samples in a batch of one process.
        val_batch_size: Samples in a batch of one process otherwise; null for ``batch_size``.
        num_workers: Processes that decode, for each training process; 0 decodes in the training process itself.
        seed: Seed of everything that is drawn: order, boxes, flips, and the model's noise and timesteps.
        type_weights: How often each type is trained on, such as ``{ring: 2, necklace: 0}``. A sample is kept in a
            pass with the chance weight / greatest weight; a type that is left out has weight 1.
        box_growth: Least and greatest fraction of the annotated box's width or height by which each side moves
            outwards, since a user's box is coarse; also in validation, where each sample keeps its box.
        crop_factor: Side of the square that is cut out around the coarse box, over the box's longer side.
        horizontal_flip: Mirror half of the training samples, ornament and person together.
        shuffle_buffer: Training samples in the shuffle buffer of each worker; 1 for none.
        samples_per_epoch: Training samples of all processes in an epoch, rounded down to whole batches: the shards
            are gone through as often as it takes. Null for one pass over the shards, with one process only.
        strict: Raise at the first sample that cannot be used, instead of skipping it.
        pin_memory: Copy batches into page-locked memory; null for where a CUDA device is present.

    Raises:
        ValueError: If a number is out of its range or a type is unknown.
    """

    def __init__(
        self,
        train_shards: str | list[str] = "bundled:rendered_128/train-*.tar",
        val_shards: str | list[str] = "bundled:rendered_128/val-*.tar",
        test_shards: str | list[str] | None = None,
        resolution: int = 512,
        batch_size: int = 8,
        val_batch_size: int | None = None,
        num_workers: int = 0,
        seed: int = 0,
        type_weights: dict[str, float] | None = None,
        box_growth: tuple[float, float] = (0.1, 0.25),
        crop_factor: float = 1.5,
        horizontal_flip: bool = True,
        shuffle_buffer: int = 256,
        samples_per_epoch: int | None = None,
        strict: bool = False,
        pin_memory: bool | None = None,
    ) -> None:
        """Check and store the options; no shard is looked for before a loader is asked for."""
        super().__init__()
        for name, number in (
            ("resolution", resolution),
            ("batch_size", batch_size),
            ("val_batch_size", val_batch_size),
            ("shuffle_buffer", shuffle_buffer),
            ("samples_per_epoch", samples_per_epoch),
        ):
            _check_number(name, number, 1)
        _check_number("num_workers", num_workers, 0)
        _check_number("seed", seed, 0)
        _check_geometry(box_growth, crop_factor)
        self.train_shards = train_shards
        self.val_shards = val_shards
        self.test_shards = test_shards
        self.resolution = resolution
        self.batch_size = batch_size
        self.val_batch_size = val_batch_size or batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.type_chances = type_chances(type_weights)
        self.box_growth = box_growth
        self.crop_factor = crop_factor
        self.horizontal_flip = horizontal_flip
        self.shuffle_buffer = shuffle_buffer
        self.samples_per_epoch = samples_per_epoch
        self.strict = strict
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory

    def train_dataloader(self) -> TripletLoader:
        """Shuffled, augmented batches of equal size.

        Raises:
            FileNotFoundError: If a pattern matches no shard.
            ValueError: If there are fewer shards than workers of all processes, or ``samples_per_epoch`` is not
                given with several processes or is less than one batch for each.
        """
        source = self._source(self.train_shards, self.type_chances)
        num_batches = self._num_batches(source.world_size)
        readers = source.world_size * max(1, self.num_workers)
        if len(source.shards) < readers:
            raise ValueError(
                f"training needs a shard for each worker of each process, got {len(source.shards)} shards for "
                f"{readers} workers ({source.world_size} x {max(1, self.num_workers)}); lower data.num_workers or "
                "pack smaller shards"
            )
        quota = None if num_batches is None else self._quota(num_batches)
        faults = FaultCounter(self.num_workers, self.strict)
        dataset = ShuffledDataset(source, self._transform(self.horizontal_flip), faults, self.shuffle_buffer, quota)
        loader = self._batches(dataset, self.batch_size, drop_last=True)
        return TripletLoader(loader, "training", self._current_epoch, num_batches)

    def val_dataloader(self) -> TripletLoader:
        """Every sample of ``val_shards`` once, always the same.

        Raises:
            FileNotFoundError: If a pattern matches no shard.
        """
        return self._evaluation(self.val_shards, "validation", type_chances())

    def test_dataloader(self) -> TripletLoader:
        """Every sample of ``test_shards`` once, or of ``val_shards`` where there are none.

        Raises:
            FileNotFoundError: If a pattern matches no shard.
        """
        return self._evaluation(self.test_shards or self.val_shards, "test", type_chances())

    def predict_dataloader(self) -> TripletLoader:
        """The same samples as :meth:`test_dataloader`.

        Raises:
            FileNotFoundError: If a pattern matches no shard.
        """
        return self._evaluation(self.test_shards or self.val_shards, "prediction", type_chances())

    def calibration_dataloader(self) -> TripletLoader:
        """One pass over the training samples as validation would see them: in order, without augmentation.

        Raises:
            FileNotFoundError: If a pattern matches no shard.
        """
        return self._evaluation(self.train_shards, "calibration", self.type_chances)

    def _evaluation(self, shards: str | list[str], name: str, chances: dict[str, float]) -> TripletLoader:
        faults = FaultCounter(self.num_workers, self.strict)
        dataset = TripletDataset(self._source(shards, chances), self._transform(flip=False), faults)
        return TripletLoader(self._batches(dataset, self.val_batch_size), name)

    def _batches(self, dataset: TripletDataset, batch_size: int, drop_last: bool = False) -> DataLoader[TryOnSample]:
        # Without a generator of its own the loader would draw from torch's global one.
        generator = torch.Generator().manual_seed(self.seed)
        return DataLoader(
            dataset,
            batch_size,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory,
            generator=generator,
            drop_last=drop_last,
        )

    def _source(self, shards: str | list[str], chances: dict[str, float]) -> Source:
        rank, world_size = self._rank()
        return Source(resolve_shards(shards), self.seed, chances, rank, world_size)

    def _transform(self, flip: bool) -> TripletTransform:
        return TripletTransform(self.resolution, self.box_growth, self.crop_factor, flip)

    def _rank(self) -> tuple[int, int]:
        """Rank and number of processes, from the trainer or, without one, as webdataset finds them."""
        if self.trainer is not None:
            return self.trainer.global_rank, self.trainer.world_size
        rank, world_size, *_ = pytorch_worker_info()
        return rank, world_size

    def _current_epoch(self) -> int:
        """Epoch as Lightning tells it to samplers; ``current_epoch`` lags behind it where a run is resumed."""
        return 0 if self.trainer is None else self.trainer.fit_loop.epoch_progress.current.processed  # type: ignore[attr-defined]

    def _num_batches(self, world_size: int) -> int | None:
        """Batches of one process in an epoch; None for one pass."""
        if self.samples_per_epoch is None:
            if world_size > 1:
                raise ValueError(
                    f"{world_size} processes must have equally many batches, or they wait for each other for ever: "
                    "set data.samples_per_epoch"
                )
            return None
        num_batches = self.samples_per_epoch // (world_size * self.batch_size)
        if num_batches == 0:
            raise ValueError(
                f"samples_per_epoch must give each process a batch ({world_size} x {self.batch_size} samples), "
                f"got {self.samples_per_epoch}"
            )
        return num_batches

    def _quota(self, num_batches: int) -> list[int]:
        """Samples of each worker, in whole batches."""
        workers = max(1, self.num_workers)
        return [self.batch_size * len(range(worker, num_batches, workers)) for worker in range(workers)]


def _check_number(name: str, number: int | None, least: int) -> None:
    if number is not None and number < least:
        raise ValueError(f"{name} must be at least {least}, got {number}")


def _check_geometry(box_growth: tuple[float, float], crop_factor: float) -> None:
    low, high = box_growth
    if not 0.0 <= low <= high < math.inf:
        raise ValueError(f"box_growth must be [least, greatest] with 0 <= least <= greatest, got {box_growth}")
    if not 1.0 <= crop_factor < math.inf:
        raise ValueError(f"crop_factor must be at least 1, so that the crop holds the box, got {crop_factor}")
