"""ResidentDataModule: training data that fit into the memory of the device."""

from dataclasses import dataclass
from typing import Any

import torch

from datamodules.loading.dataset import TripletDataset
from datamodules.loading.loader import TripletLoader
from datamodules.ornament import OrnamentDataModule
from datamodules.resident.rendering import Renderer
from datamodules.resident.store import Found, make_store
from datamodules.resident.views import View, collate_views, view_of
from datamodules.samples.decoding import decode, describe
from datamodules.samples.photographs import TONES
from datamodules.samples.seeding import sample_seed
from datamodules.samples.transforms import TripletTransform
from datamodules.shards.sample_index import Catalogue
from datamodules.storage.sample_errors import SampleError, SampleErrorCounter


@dataclass(frozen=True)
class ViewDataset(TripletDataset):
    """The views of one epoch by their position in its order; sample errors and substitutes are those of the base.

    Attributes:
        found: The triplet in each row of the catalogue, or why it cannot be used.
    """

    found: tuple[Found, ...] = ()

    def load(self, row: int, occurrence: int = 0) -> View:  # type: ignore[override]
        """How the sample in a row of the catalogue is shown.

        Raises:
            SampleError: If it cannot be used.
        """
        found = self.found[row]
        if isinstance(found, SampleError):
            raise found
        assert isinstance(self.transform, TripletTransform)
        return view_of(self.transform, found, row, sample_seed(self.seed, self.epoch, found.key, occurrence))


class ResidentDataModule(OrnamentDataModule):
    """Train on triplets that stay in the memory of the device, where a loader would be too slow for a GPU.

    Before training each triplet is decoded once. Then worker processes say in numbers how a batch shows its triplets,
    and the device crops, turns, mirrors and recolours them all at once. Samples are those of `OrnamentDataModule`
    with the same options up to resampling, in the same order, with the same seeds; a run resumes as exactly.
    A triplet of 128 pixels takes 0.4 MB on the device, with its correspondence. Validation and tests decode as ever.
    """

    def train_dataloader(self) -> TripletLoader:
        """Shuffled, augmented batches of equal size on the device; raises as the base does.

        Raises:
            ValueError: If images have several sizes, or latents or other photographic changes than of tones are asked
                for.
        """
        if self.precomputed == "require":
            raise ValueError("ResidentDataModule trains on images, got precomputed=require; take OrnamentDataModule")
        others = [change for change in self.photographic_changes if change not in TONES]
        if self.photographic and others:
            raise ValueError(
                f"the photographic_changes of ResidentDataModule can be {', '.join(TONES)}, got {', '.join(others)}; "
                "leave them out, or take OrnamentDataModule"
            )
        plan, transform = self._plan(), self.transform(augment=True)
        self._check_ranks(plan.catalogue)
        sample_errors = SampleErrorCounter(self.num_workers, self.strict)
        found = read_all(plan.catalogue, self, transform)
        wanted = transform.correspondence, transform.bare > 0
        renderer = Renderer(make_store(found, *wanted, self._device()), transform)

        def epoch_data(epoch: int) -> ViewDataset:
            parts = (plan.catalogue, plan.order(epoch), transform, sample_errors, self.cache, self.order.seed, epoch)
            return ViewDataset(*parts, substitute=True, found=found)

        parts = ("training", epoch_data, self.batch_size, self._process(), plan.batches, self._next_batch)
        return TripletLoader(*parts, collate=collate_views, finish=renderer)

    @property
    def encoders(self) -> dict[str, str]:
        """None: images are encoded."""
        return {}

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:  # noqa: ANN401
        """Leave training batches as they are: on the device, but for the seeds, which the CPU reads."""
        if isinstance(batch, dict) and batch["person_image"].device == device:
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def _device(self) -> torch.device:
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device


def read_all(catalogue: Catalogue, data: OrnamentDataModule, transform: TripletTransform) -> tuple[Found, ...]:
    """Decode the triplets of all rows of a catalogue.

    Args:
        catalogue: The samples.
        data: Opens shards.
        transform: Says which entries are wanted.
    """

    def read(row: int) -> Found:
        try:
            raw = data.cache.read(catalogue.place(row), transform.wants)
            return decode(raw, describe(raw))
        except SampleError as error:
            return error

    return tuple(read(row) for row in range(len(catalogue)))
