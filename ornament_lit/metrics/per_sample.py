"""PerSampleMetric: the metrics that give each sample a value."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from torch import Tensor

from ornament_lit.metrics.base import GeneratedBatch, TryOnMetric
from ornament_lit.metrics.measured import BOUNDS, BoundName, SampleScores


class Scores(NamedTuple):
    """Values of a batch.

    Attributes:
        generated: (B,) by column; not a number where nothing can be measured on a sample.
        ground_truth: The same with the ground truth in place of the generated image, for the columns where that says
            something.
    """

    generated: Mapping[str, Tensor]
    ground_truth: Mapping[str, Tensor] = {}


class PerSampleMetric(TryOnMetric):
    """Give each sample a value in one column or more.

    To add one: subclass, set ``higher_is_better`` (of all its columns), implement ``measure``. Where floor and ceiling
    of the batch say something about its figures, set ``has_bounds``; ``unbounded`` names columns to leave out.
    """

    has_bounds = False
    unbounded: tuple[str, ...] = ()

    @abstractmethod
    def measure(self, batch: GeneratedBatch) -> Scores:
        """Measure a batch; a function of its argument alone.

        Args:
            batch: Checked, of float32, images in [-1, 1].
        """

    def add(self, batch: GeneratedBatch) -> None:
        """Measure a batch and keep its values."""
        found = [*self.measure(batch), *(self._bound(batch, name) for name in BOUNDS)]
        generated, ground_truth, *bounds = (_by_sample(columns, len(batch["key"])) for columns in found)
        self.append_records(zip(batch["key"], batch["category"], generated, ground_truth, *bounds, strict=True))

    def compute(self) -> SampleScores:
        """Hand over the values of all samples of all ranks, each key once; to be called on each rank."""
        records = self.read_records().first
        keys, categories = ([record[entry] for record in records] for entry in range(2))
        generated, ground_truth, *found = (_by_column([record[2 + entry] for record in records]) for entry in range(4))
        bounds = dict(zip(BOUNDS, found, strict=True))
        return SampleScores(keys, categories, generated, ground_truth, self.higher_is_better, bounds)

    def _bound(self, batch: GeneratedBatch, name: BoundName) -> Mapping[str, Tensor]:
        """What is measured with the floor, or the ceiling, in place of the generated image."""
        if not self.has_bounds or name not in batch:
            return {}
        values = self.measure(cast(GeneratedBatch, {**batch, **batch[name]})).generated
        return {column: value for column, value in values.items() if column not in self.unbounded}


def _by_sample(columns: Mapping[str, Tensor], size: int) -> list[dict[str, float]]:
    values = {name: column.tolist() for name, column in columns.items()}
    return [{name: column[row] for name, column in values.items()} for row in range(size)]


def _by_column(samples: list[dict[str, Any]]) -> dict[str, list[float]]:
    return {name: [sample[name] for sample in samples] for name in (samples[0] if samples else ())}
