"""EvaluationReport: generate the test data, measure the generated images, and write a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import STEP_OUTPUT

from callbacks.generation import generated_batch
from callbacks.prediction_writer import safe_name
from callbacks.run_folder import run_folder
from callbacks.sample_strips import draw_strips, draw_unpicked, read_strip, strips_of, write_strip
from ornament_lit.batch import TryOnBatch
from ornament_lit.imaging.writing import encode_png
from ornament_lit.metrics import (
    PSNR,
    SSIM,
    BoundaryF,
    ColourError,
    ComponentCountError,
    FeatureRetrieval,
    PixelRetrieval,
    TryOnMetric,
    WearingMaskIoU,
    WrongReferenceGap,
)
from ornament_lit.metrics.bootstrap import Resampling
from ornament_lit.metrics.measured import Measured, SampleScores
from ornament_lit.reports import Report, write_report
from ornament_lit.reports.protocol import (
    PACKAGES,
    checkpoint_protocol,
    data_protocol,
    model_protocol,
    sampling_protocol,
)
from ornament_lit.utils.files import check_folder, write_file
from ornament_lit.utils.versions import versions

if TYPE_CHECKING:
    from ornament_lit.module import TryOnModule


class EvaluationReport(Callback):
    """Generate every sample of the test data, measure the images, and write ``report.md``, ``.json`` and ``.tex``.

    Each generated image is rounded to 8 bits and compared with the ground truth by the metrics, overall and for each
    type, with intervals. ``samples/KEY.png`` shows each sample, ``samples.png`` the best, median and worst ones. Where
    a metric asks for it (:class:`WrongReferenceGap`), each person is generated a second time, with the ornament of
    another sample of its type and the same noise; metrics of retrieval ask for several such generated images.

    Args:
        metrics: What is measured; null for what needs no download: IoU and boundary F of the masks, SSIM, PSNR, colour
            error, component-count error, the wrong-reference gap, and, if ``retrieval_references`` says so, retrieval
            by pixels and by features (this one only with the extra ``retrieval``). An empty list for no generated
            images and no report.
        folder: Where the files go; null for ``test`` in the run's folder.
        rank_by: Figure by which ``samples.png`` ranks the samples; the first one that there is, if it is not measured.
        shown: How many samples ``samples.png`` shows of the best, of the median and of the worst.
        unpicked: How many samples of each type ``unpicked.png`` shows: the first ones, whatever they are like. 0 for
            no such image.
        resamples: Resamples for the intervals of means.
        halves: Random halves for the intervals of FID and KID; 0 for none.
        confidence: Share of the resamples within the intervals.
        retrieval_references: With how many other ornaments each person is generated for metrics of retrieval, such as 7
            for one of 8; the data must bring as many (``--data.other_ornaments``). 0 for no retrieval.
        skip_absent: Leave out metrics that lack weights, and say so in the report, instead of ending the test.

    Raises:
        ValueError: If ``shown`` is less than 1 or ``retrieval_references`` less than 0, or during the test, if a
            metric cannot measure the data.
        OSError: When the test starts, if the folder cannot be written.
        FileNotFoundError: When the test starts, if a metric lacks weights; it says which file to bring where.
    """

    def __init__(
        self,
        metrics: list[TryOnMetric] | None = None,
        folder: Path | None = None,
        rank_by: str = "psnr_worn",
        shown: int = 4,
        unpicked: int = 8,
        resamples: int = 2000,
        halves: int = 0,
        confidence: float = 0.95,
        retrieval_references: int = 0,
        skip_absent: bool = False,
    ) -> None:
        """Check the numbers."""
        counts = (("shown", shown, 1), ("unpicked", unpicked, 0), ("retrieval_references", retrieval_references, 0))
        for name, number, least in counts:
            if number < least:
                raise ValueError(f"{name} must be at least {least}, got {number}")
        self.metrics = metrics
        self.folder = folder
        self.rank_by = rank_by
        self.shown = shown
        self.unpicked = unpicked
        self.resampling = Resampling(resamples, halves, confidence)
        self.retrieval_references = retrieval_references
        self.skip_absent = skip_absent
        self._metrics: Sequence[TryOnMetric] = ()
        self._left_out: dict[str, str] = {}
        self._folder = Path()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Load what the metrics need, before anything is generated."""
        module = cast("TryOnModule", pl_module)
        metrics = self.metrics
        if metrics is None:
            metrics = default_metrics(float(module.mask_threshold), self.retrieval_references > 0)
        self._folder = self.folder or run_folder(trainer) / "test"
        check_folder(self._folder)
        for metric in metrics:
            metric.reset()
            metric.to(pl_module.device)
        self._metrics, self._left_out = self._set_up(metrics)
        if self._wrong_references() == 0 and any(metric.needs_wrong_references for metric in self._metrics):
            raise ValueError(
                "metrics of retrieval compare images with several references, and retrieval_references is 0; set "
                "--report.retrieval_references=7 --data.other_ornaments=7, or leave the metrics out"
            )

    def _set_up(self, metrics: Sequence[TryOnMetric]) -> tuple[list[TryOnMetric], dict[str, str]]:
        """Load what metrics need; which can measure, and what to do about those that are left out."""
        ready: list[TryOnMetric] = []
        left_out: dict[str, str] = {}
        for metric in metrics:
            try:
                metric.setup()
            except FileNotFoundError as error:
                if not self.skip_absent and self.metrics is not None:
                    raise
                left_out[_name(metric)] = str(error)
                rank_zero_warn(f"the report leaves {_name(metric)} out: {error}")
            else:
                ready.append(metric)
        return ready, left_out

    def _wrong_references(self) -> int:
        """With how many other ornaments the metrics need each person generated."""
        if any(metric.needs_wrong_references for metric in self._metrics):
            return self.retrieval_references
        return int(any(metric.needs_wrong_reference for metric in self._metrics))

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: TryOnBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Generate a batch and measure it."""
        if not self._metrics:
            return
        module = cast("TryOnModule", pl_module)
        with trainer.precision_plugin.test_step_context():
            generated = generated_batch(module, batch, self._wrong_references())
        for metric in self._metrics:
            metric.update(generated)
        for key, strip in zip(batch["key"], strips_of(batch, generated), strict=True):
            write_strip(self._strip(key), strip)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put together what all processes measured, and write the report."""
        if not self._metrics:
            return
        measured = [metric.compute() for metric in self._metrics]
        figures = {name: one.interval(name, one.rows()).value for one in measured for name in one.columns}
        pl_module.log_dict({f"test/{name}": value for name, value in figures.items()})
        trainer.strategy.barrier("samples are generated")
        if trainer.is_global_zero:
            self._write(trainer, cast("TryOnModule", pl_module), measured)

    def _write(self, trainer: Trainer, module: "TryOnModule", measured: list[Measured]) -> None:
        data = getattr(trainer, "datamodule", None)
        several = any(metric.needs_wrong_references for metric in self._metrics)
        references = {"retrieval_references": self.retrieval_references} if several else {}
        protocol = {
            "checkpoint": getattr(module, "weights_from", None) or checkpoint_protocol(trainer.ckpt_path),
            "model": model_protocol(module),
            "data": {"n": len(measured[0].keys), **data_protocol(data)},
            "sampling": sampling_protocol(module) | references,
            "metrics": {_title(one): metric.protocol() for one, metric in zip(measured, self._metrics, strict=True)},
            "versions": versions(PACKAGES),
        }
        if self._left_out:
            protocol["left out"] = self._left_out
        column, ranked = ranking(measured, self.rank_by, self.shown)
        rows = [(place, f"{value:.4g}", read_strip(self._strip(key))) for place, key, value in ranked]
        write_file(self._folder / "samples.png", encode_png(draw_strips(rows)))
        images = {"samples.png": f"Best, median and worst samples by {column}"}
        first = first_of_each(measured[0], self.unpicked)
        if first:
            strips = [(category, read_strip(self._strip(key))) for category, key in first]
            write_file(self._folder / "unpicked.png", encode_png(draw_unpicked(strips)))
            images["unpicked.png"] = "The first samples of each type, whatever they are like"
        write_report(self._folder, Report(protocol, measured, self.resampling), images)
        print(f"report: {self._folder / 'report.md'}")

    def _strip(self, key: str) -> Path:
        return self._folder / "samples" / f"{safe_name(key)}.png"


def default_metrics(threshold: float, retrieval: bool = False) -> list[TryOnMetric]:
    """The metrics that need no download.

    Args:
        threshold: Probability above which a pixel of a predicted mask counts.
        retrieval: Add those of retrieval; the one by features needs an extra.
    """
    gap = WrongReferenceGap([SSIM(), PSNR(), ColourError()])
    found = [WearingMaskIoU(threshold), BoundaryF(threshold), SSIM(), PSNR(), ColourError(), ComponentCountError(), gap]
    return [*found, *((FeatureRetrieval(), PixelRetrieval(), PixelRetrieval(normalised=True)) if retrieval else ())]


def first_of_each(measured: Measured, count: int) -> list[tuple[str, str]]:
    """Type and key of the first ``count`` samples of each type, type by type."""
    categories = dict.fromkeys(measured.categories)
    rows = [row for category in categories for row in measured.rows(category)[:count]]
    return [(measured.categories[row], measured.keys[row]) for row in rows]


def ranking(measured: Sequence[Measured], column: str, shown: int) -> tuple[str, list[tuple[str, str, float]]]:
    """Choose the samples to show.

    Args:
        measured: What the metrics measured.
        column: The figure to rank by; if no metric gives it to samples, the first that one gives.
        shown: How many of the best, of the median and of the worst.

    Returns:
        The figure, and for each sample ``best``, ``median`` or ``worst``, its key and its value; each sample once.
        Without such a figure the first samples, with no value.
    """
    found = [(name, one) for one in measured if isinstance(one, SampleScores) for name in one.columns]
    scores = {name: one for name, one in found if any(value == value for value in one.values[name].tolist())}
    if not scores:
        return "nothing", [("sample", key, float("nan")) for key in measured[0].keys[: 3 * shown]]
    column = column if column in scores else next(iter(scores))
    one = scores[column]
    known = [(value, key) for value, key in zip(one.values[column].tolist(), one.keys, strict=True) if value == value]
    known.sort(reverse=one.higher_is_better)
    last = max(shown, len(known) - shown)
    rest = known[shown:last]
    middle = max(0, (len(rest) - shown) // 2)
    places = {"best": known[:shown], "median": rest[middle : middle + shown], "worst": known[last:]}
    return column, [(place, key, value) for place, found in places.items() for value, key in found]


def _name(metric: TryOnMetric) -> str:
    """A name for what is told of a metric: its class, and the name of its column where it has one."""
    name = getattr(metric, "name", "")
    return f"{type(metric).__name__} ({name})" if isinstance(name, str) and name else type(metric).__name__


def _title(measured: Measured) -> str:
    return ", ".join(measured.columns)
