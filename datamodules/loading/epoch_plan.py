"""TrainingPlan: which samples an epoch of training has, in which order, and how many make a step."""

from dataclasses import dataclass
from typing import Any

from datamodules.loading.order import Order, OrderOptions, epoch_samples, training_order
from datamodules.shards.sample_index import Catalogue

SHARDS = "the training shards"


@dataclass(frozen=True)
class TrainingPlan:
    """The order of the training samples, in whole steps.

    Attributes:
        catalogue: Which samples there are.
        options: What their order depends on besides.
        batch_size: Samples in a batch of one process.
        world_size: Number of processes.
        accumulate: Batches of one process to a step.
    """

    catalogue: Catalogue
    options: OrderOptions
    batch_size: int
    world_size: int = 1
    accumulate: int = 1

    @property
    def global_batch(self) -> int:
        """Samples to a step."""
        return self.batch_size * self.world_size * self.accumulate

    @property
    def asked_samples(self) -> int:
        """Samples of an epoch before it is rounded down to whole steps."""
        return epoch_samples(self.catalogue, self.options)

    @property
    def batches(self) -> int:
        """Batches of one process in an epoch.

        Raises:
            ValueError: If the samples of an epoch do not make one step.
        """
        steps = self.asked_samples // self.global_batch
        if steps == 0:
            raise ValueError(
                f"training data must give one step of {self.global_batch} samples at least ({self.world_size} "
                f"processes of batch_size {self.batch_size}, and accumulate_grad_batches={self.accumulate}), got "
                f"{self.asked_samples}; lower batch_size, or raise samples_per_epoch to go through the shards again"
            )
        return steps * self.accumulate

    @property
    def samples(self) -> int:
        """Samples of an epoch, in whole steps."""
        return self.batches * self.batch_size * self.world_size

    def order(self, epoch: int) -> Order:
        """Order of an epoch, in whole steps."""
        order = training_order(self.catalogue, epoch, self.options)
        return Order(order.samples[: self.samples], order.passes[: self.samples])

    def to_dict(self) -> dict[str, Any]:
        """All that the steps of an epoch depend on, by names that a user knows, as plain values."""
        return {
            "the global batch (processes x data.batch_size x trainer.accumulate_grad_batches)": self.global_batch,
            SHARDS: self.catalogue.fingerprint,
            "data.seed": self.options.seed,
            "data.type_weights": self.options.chances,
            "data.samples_per_epoch": self.options.samples_per_epoch,
            "data.shuffle_block_size": self.options.shuffle_block_size,
        }
