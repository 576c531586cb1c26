"""WrongReferenceGap: how much worse generated images become when the reference is another ornament."""

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor

from ornament_lit.metrics.base import GeneratedBatch, GeneratedImage, check_generated
from ornament_lit.metrics.per_sample import PerSampleMetric, Scores


class WrongReferenceGap(PerSampleMetric):
    """Value lost, sample by sample, when the same person is generated with another ornament as reference.

    Both generated images are measured against the same ground truth and the right ornament. A column ``NAME_gap`` for
    each column of the given metrics is positive where the right reference helps, whether larger or smaller values are
    better; 0 means that the reference is ignored.

    Args:
        metrics: What is measured on both generated images. They are used for nothing else: list them again beside this
            one for their own columns.

    Raises:
        ValueError: If there is no metric, or one keeps no value of each sample.
    """

    higher_is_better = True
    needs_wrong_reference = True

    def __init__(self, metrics: Sequence[PerSampleMetric]) -> None:
        super().__init__()
        others = [type(metric).__name__ for metric in metrics if not isinstance(metric, PerSampleMetric)]
        if others or not metrics:
            found = ", ".join(others) or "none"
            raise ValueError(f"the gap needs metrics that give each sample a value (such as SSIM), got {found}")
        self.metrics = tuple(metrics)

    def setup(self) -> None:
        """Set up the metrics."""
        for metric in self.metrics:
            metric.setup()

    def measure(self, batch: GeneratedBatch) -> Scores:
        """Measure both generated images and take the difference."""
        if "wrong_reference" not in batch:
            raise ValueError(
                "the gap needs an image of another ornament, and the batch has no wrong_reference; make the batch "
                "a second time with the ornaments in another order"
            )
        given = {name: value for name, value in batch.items() if name not in GeneratedImage.__annotations__}
        wrong = cast(GeneratedBatch, given | dict(batch["wrong_reference"]))
        check_generated(wrong)
        gaps: dict[str, Tensor] = {}
        for metric in self.metrics:
            values, others = metric.measure(batch).generated, metric.measure(wrong).generated
            sign = 1 if metric.higher_is_better else -1
            gaps |= {f"{name}_gap": sign * (values[name] - others[name]) for name in values}
        return Scores(gaps)

    def protocol(self) -> dict[str, Any]:
        """Protocols of the metrics."""
        return super().protocol() | {"metrics": [metric.protocol() for metric in self.metrics]}
