"""PerSampleMetric: the metrics that give each sample a value."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from ornament_lit.metrics.base import DrawnBatch, TryOnMetric
from ornament_lit.metrics.measured import SampleScores


class Scores(NamedTuple):
    """Values of a batch.

    Attributes:
        drawn: (B,) by column; not a number where nothing can be measured on a sample.
        truth: The same with the ground truth in place of the drawing, for the columns where that says something.
    """

    drawn: Mapping[str, Tensor]
    truth: Mapping[str, Tensor] = {}


class PerSampleMetric(TryOnMetric):
    """Give each sample a value in one column or more.

    To add one: subclass, set ``higher_is_better`` (of all its columns), implement ``measure``.
    """

    @abstractmethod
    def measure(self, batch: DrawnBatch) -> Scores:
        """Measure a batch; a function of its argument alone.

        Args:
            batch: Checked, of float32, pictures in [-1, 1].
        """

    def add(self, batch: DrawnBatch) -> None:
        """Measure a batch and keep its values."""
        drawn, truth = (_by_sample(columns, len(batch["key"])) for columns in self.measure(batch))
        self.append_records(zip(batch["key"], batch["category"], drawn, truth, strict=True))

    def compute(self) -> SampleScores:
        """Hand over the values of all samples of all ranks, each key once; to be called on each rank."""
        records = self.read_records().first
        keys, categories, drawn, truth = ([record[entry] for record in records] for entry in range(4))
        return SampleScores(keys, categories, _by_column(drawn), _by_column(truth), self.higher_is_better)


def _by_sample(columns: Mapping[str, Tensor], size: int) -> list[dict[str, float]]:
    values = {name: column.tolist() for name, column in columns.items()}
    return [{name: column[row] for name, column in values.items()} for row in range(size)]


def _by_column(samples: list[dict[str, Any]]) -> dict[str, list[float]]:
    return {name: [sample[name] for sample in samples] for name in (samples[0] if samples else ())}
