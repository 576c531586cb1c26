"""DistributionMetric: the metrics that compare the features of all generated images with those of the ground truth."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from ornament_lit.metrics.base import GeneratedBatch, Records, TryOnMetric
from ornament_lit.metrics.bootstrap import Floats
from ornament_lit.metrics.encoders.base import FeatureEncoder
from ornament_lit.metrics.encoders.inception import InceptionEncoder
from ornament_lit.metrics.measured import FeatureSets
from ornament_lit.metrics.regions import Region, person_views


class DistributionMetric(TryOnMetric):
    """Keep the features of generated images and ground truth, and tell how far apart they are as distributions.

    To add one: subclass, implement ``distance``.

    Args:
        encoder: Makes the features; None for Inception's with weights from torch's cache or the network.
        name: Name of the column.
        region: Part of generated image and ground truth that is measured.
    """

    higher_is_better = False

    generated: list[Tensor]
    ground_truth: list[Tensor]

    def __init__(self, encoder: FeatureEncoder | None, name: str, region: Region) -> None:
        super().__init__()
        self.encoder = InceptionEncoder() if encoder is None else encoder
        self.name = name
        self.region: Region = region
        self.add_list("generated", torch.float32)
        self.add_list("ground_truth", torch.float32)

    @staticmethod
    @abstractmethod
    def distance(generated: Floats, ground_truth: Floats) -> float:
        """Tell how far apart two sets of features are.

        Args:
            generated: (n, D), n at least 2.
            ground_truth: (n, D).
        """

    def setup(self) -> None:
        """Load the encoder."""
        self.encoder.setup()

    def add(self, batch: GeneratedBatch) -> None:
        """Keep the features of a batch."""
        generated, ground_truth = (self.encoder(view) for view in person_views(batch, self.region))
        self.append_records(zip(batch["key"], batch["category"], strict=True))
        self.generated.append(generated.flatten())
        self.ground_truth.append(ground_truth.flatten())

    def compute(self) -> FeatureSets:
        """Hand over the features of all samples of all ranks, each key once; to be called on each rank."""
        records = self.read_records()
        generated, ground_truth = (self._rows(name, records) for name in ("generated", "ground_truth"))
        keys, categories = ([record[entry] for record in records.first] for entry in range(2))
        return FeatureSets(keys, categories, self.name, generated, ground_truth, self.distance)

    def protocol(self) -> dict[str, Any]:
        """Encoder, its hash, and the region."""
        return super().protocol() | {"region": self.region, "encoder": self.encoder.protocol()}

    def _rows(self, name: str, records: Records) -> Floats:
        """Features of the samples, (n, D), each key once."""
        features = self.joined(name).cpu().view(records.total, -1) if records.total else torch.empty(0, 0)
        rows: Floats = features[records.numbers].numpy()
        return rows
