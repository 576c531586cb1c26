"""OrnamentDataModule: batches of triplets from shards, for training, validation, testing and prediction."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from webdataset.utils import pytorch_worker_info

from datamodules.loading.dataset import ComparisonDataset, TripletDataset
from datamodules.loading.epoch_plan import TrainingPlan
from datamodules.loading.loader import Process, TripletLoader
from datamodules.loading.order import OrderOptions, evaluation_order, type_chances
from datamodules.loading.pairing import PairOptions, WarpedPairsDataset
from datamodules.loading.resume import Progress, ResumeData, TrainingPosition
from datamodules.samples.input_masks import INPUT_MASKS, InputMask
from datamodules.samples.latents import Mode, PrecomputedTransform, choose_transform
from datamodules.samples.photographs import CHANGES, Change
from datamodules.samples.ranges import check_geometry, check_number, check_person, check_reference, check_share
from datamodules.samples.transforms import TripletTransform
from datamodules.shards.cache import ShardCache, default_folder
from datamodules.shards.sample_index import Catalogue, open_catalogue
from datamodules.storage.retry import Retries
from datamodules.storage.sample_errors import SampleErrorCounter, SampleErrorReport
from datamodules.storage.shard_paths import resolve_shards

logger = logging.getLogger(__name__)


class OrnamentDataModule(LightningDataModule):
    """Streams triplets from WebDataset shards as ``TryOnBatch``.

    Shards are given as a path, a pattern with braces or wildcards, a folder, an http(s), s3, gs or hf URL, a list of
    those, or ``bundled:`` and a path in this package. The ``index.json`` beside them says where each sample lies;
    local shards without one are walked instead. Remote shards are copied, whole and once a machine, when they are
    needed.

    The order of training samples is a function of seed, epoch and shards alone. A run can be stopped anywhere and
    resumes exactly from its checkpoint, on any number of processes and workers whose global batch is the same.
    Samples that cannot be used are counted and reported once an epoch; in training others take their places.

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
        recolour: Share of the training samples, in [0, 1], whose ornament gets another hue and tint, the same in its
            own image and where it is worn, so that its colour can be told from the reference alone.
        warped_pairs: Share of the training samples, in [0, 1], whose ornament is cut out of its image, warped and
            pasted onto another person of its type and shard, so that it is known exactly which point of the
            ornament's image is seen where.
        warped_pairs_epochs: Epochs within which that share falls to 0, in a straight line; null to keep it.
        input_mask: What is masked out of the person and given to the model, in training and evaluation: the coarse
            ``box``, the ``oriented_box`` of the metadata, as coarse, or the tightest one where they have none, or, for
            studies, the ``convex_hull`` or the true ``wearing_mask``.
        reference_rotation: The ornament's images are turned by up to so many degrees, either way, in training and
            evaluation.
        reference_scale: Least and greatest factor of the ornament's size in its crop, in training and evaluation.
        other_ornaments: How many other ornaments of its type come with each test sample, to be drawn as wrong
            references: 1, or more for metrics of retrieval (see ``retrieval_references`` of the report).
        rotation: Training persons are turned by up to so many degrees, either way, and their box with them: it is the
            coarse box around the turned wearing mask, and around the turned oriented box where there is one.
        correspondence: Add which point of the ornament's image each pixel of the person shows, ``correspondence``:
            from shards of ``data render`` and ``data correspondence``; not known in samples without.
        wide_view: Add a wider view of the person, ``wide_view``, whose crop has so many times the side, at the same
            resolution; null for none.
        detail: Add the ornament at so many times the resolution, ``ornament_detail``; 1 for none.
        bare: Share of the training samples, in [0, 1], that show the model what a user's photograph shows: the person
            without the ornament, ``bare.jpg``, whose box is not masked out. Samples without such an image keep it
            masked out. In evaluation all that have one show it, unless this is 0.
        photographic: Share of the training samples, in [0, 1], that are made like photographs, for renderings: person
            and ornament as two cameras take them, with light, colours, blur, noise and compression of their own.
        photographic_changes: What changes in them.
        whole_photographs: Hand the persons' whole photographs to the test, for metrics of the region ``full``.
        shuffle_block_size: Training samples that are mixed with each other, of shards in a random order; remote
            shards are copied as their blocks come.
        samples_per_epoch: Training samples of all processes in an epoch, rounded down to whole steps: the shards
            are gone through as often as it takes. Null for one pass over the shards.
        strict: Raise at the first sample that cannot be used, instead of skipping it.
        pin_memory: Copy batches into page-locked memory; null for where a CUDA device is present.
        cache_dir: Folder for copies of remote shards; null for one in the user's cache.
        cache_limit: GiB of such copies: those used longest ago make room for new ones. Null for no limit.
        remote_timeout: Seconds after which a remote, or a disk, that sends nothing is given up.
        read_attempts: How often a shard is tried to be read before that ends the run, with pauses of 1, 2, 4 ... s.
        precomputed: Train on latents that ``data latents`` has put beside the images, with the crops and flips of its
            copies: ``auto`` where ``latents.json`` is beside shards on a disk and is of the same crops, ``require``
            to stop where that is not so, ``never`` to encode the images in each step; so does ``auto`` with
            ``warped_pairs``, ``bare`` or ``photographic``.

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
        recolour: float = 0.0,
        warped_pairs: float = 0.0,
        warped_pairs_epochs: int | None = None,
        input_mask: InputMask = "box",
        reference_rotation: float = 0.0,
        reference_scale: tuple[float, float] = (1.0, 1.0),
        other_ornaments: int = 1,
        rotation: float = 0.0,
        correspondence: bool = False,
        wide_view: float | None = None,
        detail: int = 1,
        bare: float = 0.0,
        photographic: float = 0.0,
        photographic_changes: tuple[Change, ...] = CHANGES,
        whole_photographs: bool = False,
        shuffle_block_size: int = 8192,
        samples_per_epoch: int | None = None,
        strict: bool = False,
        pin_memory: bool | None = None,
        cache_dir: str | None = None,
        cache_limit: float | None = None,
        remote_timeout: float = 60.0,
        read_attempts: int = 4,
        precomputed: Mode = "auto",
    ) -> None:
        """Check and store the options; no shard is looked for before a loader is asked for."""
        super().__init__()
        for name, number in (
            ("resolution", resolution),
            ("batch_size", batch_size),
            ("val_batch_size", val_batch_size),
            ("shuffle_block_size", shuffle_block_size),
            ("samples_per_epoch", samples_per_epoch),
            ("read_attempts", read_attempts),
            ("other_ornaments", other_ornaments),
            ("detail", detail),
        ):
            check_number(name, number, 1)
        check_number("num_workers", num_workers, 0)
        check_number("seed", seed, 0)
        check_geometry(box_growth, crop_factor)
        for name, share in (("recolour", recolour), ("bare", bare), ("photographic", photographic)):
            check_share(name, share)
        check_reference(reference_rotation, reference_scale)
        check_person(rotation, wide_view)
        if input_mask not in INPUT_MASKS:
            raise ValueError(f"input_mask is one of {', '.join(INPUT_MASKS)}, got {input_mask!r}")
        for name, share in (("warped_pairs", warped_pairs), ("bare", bare), ("photographic", photographic)):
            if share and precomputed == "require":
                raise ValueError(
                    f"{name} makes new images, of which there are no latents, got {name}={share} and "
                    "precomputed=require; set one of them to 0 or to auto"
                )
        self.train_shards = train_shards
        self.val_shards = val_shards
        self.test_shards = test_shards
        self.resolution = resolution
        self.batch_size = batch_size
        self.val_batch_size = val_batch_size or batch_size
        self.num_workers = num_workers
        self.box_growth = box_growth
        self.crop_factor = crop_factor
        self.horizontal_flip = horizontal_flip
        self.recolour = recolour
        self.pairs = PairOptions(warped_pairs, warped_pairs_epochs)
        self.input_mask: InputMask = input_mask
        self.reference_rotation = reference_rotation
        self.reference_scale = reference_scale
        self.other_ornaments = other_ornaments
        self.rotation = rotation
        self.correspondence = correspondence
        self.wide_view = wide_view
        self.detail = detail
        self.bare = bare
        self.photographic = photographic
        self.photographic_changes = tuple(photographic_changes)
        self.whole_photographs = whole_photographs
        self.strict = strict
        self.precomputed = precomputed
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        self.order = OrderOptions(seed, type_chances(type_weights), samples_per_epoch, shuffle_block_size)
        folder = Path(cache_dir) if cache_dir else default_folder()
        self.cache = ShardCache(folder, cache_limit, remote_timeout, Retries(read_attempts))
        self._catalogues: dict[str, Catalogue] = {}
        self._position = TrainingPosition()

    def setup(self, stage: str) -> None:
        """Be there when a checkpoint is loaded into a training run."""
        self._position = TrainingPosition()
        if stage == "fit" and self.trainer is not None:
            others = [callback for callback in self.trainer.callbacks if not isinstance(callback, ResumeData)]  # type: ignore[attr-defined]
            self.trainer.callbacks = [ResumeData(self._resume), *others]  # type: ignore[attr-defined]

    def train_dataloader(self) -> TripletLoader:
        """Shuffled, augmented batches of equal size.

        Raises:
            FileNotFoundError: If a pattern matches no shard.
            ValueError: If there are fewer samples than one step takes, or processes see different shards.
            OSError: If a remote index cannot be fetched.
        """
        plan = self._plan()
        if plan.samples < plan.asked_samples:
            logger.info(
                "training: %d samples an epoch are %d in whole steps; the rest, others each time, drop out",
                plan.asked_samples,
                plan.samples,
            )
        self._check_ranks(plan.catalogue)
        sample_errors, transform = SampleErrorCounter(self.num_workers, self.strict), self._training_transform()

        def epoch_data(epoch: int) -> TripletDataset:
            order, share = plan.order(epoch), self.pairs.share_in(epoch)
            parts = (plan.catalogue, order, transform, sample_errors, self.cache, self.order.seed, epoch, True)
            return WarpedPairsDataset(*parts, share) if share else TripletDataset(*parts)

        return TripletLoader("training", epoch_data, self.batch_size, self._process(), plan.batches, self._next_batch)

    @property
    def seed(self) -> int:
        """Seed of everything that is drawn."""
        return self.order.seed

    @property
    def encoders(self) -> dict[str, str]:
        """Fingerprints of the encoders whose latents are trained on, by name; none where images are encoded."""
        transform = self._training_transform()
        return transform.card.encoders if isinstance(transform, PrecomputedTransform) else {}

    def val_dataloader(self) -> TripletLoader:
        """Every sample of ``val_shards`` once, always the same.

        Raises:
            FileNotFoundError: If a pattern matches no shard.
            ValueError: If there is no sample.
            OSError: If a remote index cannot be fetched.
        """
        return self._evaluation(self.val_shards, "validation", type_chances())

    def test_dataloader(self) -> TripletLoader:
        """Every sample of ``test_shards`` once, or of ``val_shards`` where there are none; raises as validation.

        Each comes with the ornaments of ``other_ornaments`` others of its type, to be drawn as wrong references.
        """
        kind = partial(ComparisonDataset, count=self.other_ornaments)
        return self._evaluation(self._test_shards(), "test", type_chances(), kind)

    @property
    def test_checksum(self) -> str:
        """Checksum of the test data: names of the shards, and keys, types, places and sizes of the samples."""
        return self._catalogue(self.test_shards or self.val_shards, "test").fingerprint

    def predict_dataloader(self) -> TripletLoader:
        """The same samples as :meth:`test_dataloader`."""
        return self._evaluation(self._test_shards(), "prediction", type_chances())

    def _test_shards(self) -> str | list[str]:
        """Shards to test on; tells where those of validation take their place."""
        if self.test_shards:
            return self.test_shards
        logger.warning("there are no test_shards, so that the validation data take their place: %s", self.val_shards)
        return self.val_shards

    def calibration_dataloader(self) -> TripletLoader:
        """One pass over the training samples as validation would see them: in order, without augmentation."""
        return self._evaluation(self.train_shards, "calibration", self.order.chances)

    def state_dict(self) -> dict[str, Any]:
        """Position in the training data, and what it depends on; without a training run nothing."""
        if self.trainer is None or self.trainer.state.fn != "fit":
            return {}
        return self._position.to_dict(self.trainer, self._plan())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state until it is known whether training resumes from it."""
        self._position.load(state_dict)

    def _resume(self, fit_loop: Progress) -> None:
        assert self.trainer is not None
        self._position.resume(fit_loop, self.trainer, self._plan())

    def _next_batch(self) -> tuple[int, int]:
        return (0, 0) if self.trainer is None else self._position.next_batch(self.trainer)

    def _plan(self) -> TrainingPlan:
        """How this run goes through its training data."""
        accumulate = 1 if self.trainer is None else self.trainer.accumulate_grad_batches
        catalogue, world_size = self._catalogue(self.train_shards, "training"), self._process().world_size
        return TrainingPlan(catalogue, self.order, self.batch_size, world_size, accumulate)

    def _check_ranks(self, catalogue: Catalogue) -> None:
        """Check that all processes see the same shards.

        Raises:
            ValueError: If this one sees others than the first one.
        """
        if self.trainer is None:
            return
        if self.trainer.strategy.broadcast(catalogue.fingerprint) != catalogue.fingerprint:
            raise ValueError(
                f"process {self.trainer.global_rank} sees other training shards than process 0; check them"
            )

    def _evaluation(
        self,
        shards: str | list[str],
        name: str,
        chances: dict[str, float],
        kind: Callable[..., TripletDataset] = TripletDataset,
    ) -> TripletLoader:
        catalogue, process = self._catalogue(shards, name), self._process()
        order = evaluation_order(catalogue, self.order.seed, chances)
        sample_errors = SampleErrorCounter(self.num_workers, self.strict)
        transform = replace(self.transform(augment=False), whole=self.whole_photographs and name == "test")
        data = kind(catalogue, order, transform, sample_errors, self.cache, self.order.seed)
        batches = -(-len(data) // (self.val_batch_size * process.world_size))
        return TripletLoader(name, lambda epoch: data, self.val_batch_size, process, batches)

    def _catalogue(self, shards: str | list[str], name: str) -> Catalogue:
        """List the samples of shards, and report once what is wrong with those that were walked."""
        specification = repr(shards)
        if specification not in self._catalogues:
            sample_errors = SampleErrorCounter(strict=self.strict)
            found = resolve_shards(shards)
            catalogue = open_catalogue(found, sample_errors.record, self.cache.timeout, self.cache.retries)
            report = sample_errors.report()
            skipped = SampleErrorReport(len(catalogue), report.bad, report.first)
            if len(catalogue) == 0:
                raise ValueError(f"{name} data must have at least one sample, got none in {shards}: {skipped}")
            if skipped.bad:
                logger.warning("%s data: %s", name, skipped)
            self._catalogues[specification] = catalogue
        return self._catalogues[specification]

    def transform(self, augment: bool) -> TripletTransform:
        """What is made of a triplet in training (which may turn, flip and recolour) or in evaluation."""
        return TripletTransform(
            self.resolution,
            self.box_growth,
            self.crop_factor,
            flip=augment and self.horizontal_flip,
            recolour=self.recolour if augment else 0.0,
            input_mask=self.input_mask if augment or self.input_mask != "mixed" else "box",
            reference_rotation=self.reference_rotation,
            reference_scale=self.reference_scale,
            rotation=self.rotation if augment else 0.0,
            correspondence=self.correspondence,
            wide_view=self.wide_view,
            detail=self.detail,
            bare=self.bare if augment else float(self.bare > 0),
            photographic=self.photographic if augment else 0.0,
            photographic_changes=self.photographic_changes,
        )

    def _training_transform(self) -> TripletTransform | PrecomputedTransform:
        """Without a trainer nobody compares encoders, so that latents are not taken unless they are required."""
        without = self.trainer is None or any((self.pairs.share, self.bare, self.photographic))
        mode = "never" if self.precomputed == "auto" and without else self.precomputed
        return choose_transform(resolve_shards(self.train_shards), self.transform(augment=True), mode)

    def _process(self) -> Process:
        """This process, from the trainer or, without one, as webdataset finds it."""
        if self.trainer is not None:
            rank, world_size = self.trainer.global_rank, self.trainer.world_size
        else:
            rank, world_size, *_ = pytorch_worker_info()
        return Process(rank, world_size, self.num_workers, self.pin_memory)
