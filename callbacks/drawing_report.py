"""DrawingReport: draw the test data, measure the drawings, and write a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from callbacks.prediction_writer import safe_name
from callbacks.run_folder import run_folder
from callbacks.sample_strips import draw_strips, read_strip, strips_of, write_strip
from ornament_lit.batch import TryOnBatch, with_other_ornament
from ornament_lit.compositing import PasteBack
from ornament_lit.files import write_file
from ornament_lit.geometry import Crop
from ornament_lit.metrics import (
    PSNR,
    SSIM,
    BoundaryF,
    ColourError,
    ComponentCountError,
    DrawnBatch,
    TryOnMetric,
    WearingMaskIoU,
    WrongReferenceGap,
)
from ornament_lit.metrics.base import Drawing
from ornament_lit.metrics.bootstrap import Resampling
from ornament_lit.metrics.measured import Measured, SampleScores
from ornament_lit.pictures import encode_png
from ornament_lit.reports import Report, write_report
from ornament_lit.reports.protocol import checkpoint_protocol, data_protocol, drawing_protocol, versions
from ornament_lit.windows import tensor_to_image

if TYPE_CHECKING:
    from ornament_lit.module import TryOnModule


class DrawingReport(Callback):
    """Draw every sample of the test data, measure the drawings, and write ``report.md``, ``.json`` and ``.tex``.

    Each drawing is rounded to 8 bits and compared with the truth by the metrics, overall and for each type, with
    intervals. ``samples/KEY.png`` shows each sample, ``samples.png`` the best, median and worst ones. Where a metric
    asks for it (:class:`WrongReferenceGap`), each person is drawn a second time, with the ornament of another sample
    of its type and the same noise.

    Args:
        metrics: What is measured; null for what needs no pretrained weights: IoU and boundary F of the masks, SSIM,
            PSNR, colour error, component-count error, and the wrong-reference gap. An empty list for no drawings and
            no report.
        folder: Where the files go; null for ``test`` in the run's folder.
        rank_by: Figure by which ``samples.png`` ranks the samples; the first one that there is, if it is not measured.
        shown: How many samples ``samples.png`` shows of the best, of the median and of the worst.
        resamples: Resamples for the intervals of means.
        halves: Random halves for the intervals of FID and KID; 0 for none.
        confidence: Share of the resamples within the intervals.

    Raises:
        ValueError: If ``shown`` is less than 1, or during the test, if a metric cannot measure the data.
        FileNotFoundError: When the test starts, if a metric lacks weights; it says which file to bring where.
    """

    def __init__(
        self,
        metrics: list[TryOnMetric] | None = None,
        folder: Path | None = None,
        rank_by: str = "psnr_worn",
        shown: int = 4,
        resamples: int = 2000,
        halves: int = 0,
        confidence: float = 0.95,
    ) -> None:
        """Check the numbers."""
        if shown < 1:
            raise ValueError(f"shown must be at least 1, got {shown}")
        self.metrics = metrics
        self.folder = folder
        self.rank_by = rank_by
        self.shown = shown
        self.resampling = Resampling(resamples, halves, confidence)
        self._metrics: Sequence[TryOnMetric] = ()
        self._folder = Path()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Load what the metrics need, before anything is drawn."""
        module = cast("TryOnModule", pl_module)
        self._metrics = default_metrics(float(module.mask_threshold)) if self.metrics is None else self.metrics
        self._folder = self.folder or run_folder(trainer) / "test"
        for metric in self._metrics:
            metric.reset()
            metric.to(pl_module.device)
            metric.setup()

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: TryOnBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw a batch and measure it."""
        if not self._metrics:
            return
        module = cast("TryOnModule", pl_module)
        with trainer.precision_plugin.test_step_context():
            drawn = drawn_batch(module, batch, any(metric.needs_wrong_reference for metric in self._metrics))
        for metric in self._metrics:
            metric.update(drawn)
        for key, strip in zip(batch["key"], strips_of(batch, drawn), strict=True):
            write_strip(self._strip(key), strip)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put together what all processes measured, and write the report."""
        if not self._metrics:
            return
        measured = [metric.compute() for metric in self._metrics]
        figures = {name: one.interval(name, one.rows()).value for one in measured for name in one.columns}
        pl_module.log_dict({f"test/{name}": value for name, value in figures.items()})
        trainer.strategy.barrier("samples are drawn")
        if trainer.is_global_zero:
            self._write(trainer, cast("TryOnModule", pl_module), measured)

    def _write(self, trainer: Trainer, module: "TryOnModule", measured: list[Measured]) -> None:
        data = getattr(trainer, "datamodule", None)
        protocol = {
            "checkpoint": checkpoint_protocol(trainer.ckpt_path),
            "data": {"n": len(measured[0].keys), **data_protocol(data)},
            "drawing": drawing_protocol(module),
            "metrics": {_title(one): metric.protocol() for one, metric in zip(measured, self._metrics, strict=True)},
            "versions": versions(),
        }
        column, ranked = ranking(measured, self.rank_by, self.shown)
        rows = [(place, f"{value:.4g}", read_strip(self._strip(key))) for place, key, value in ranked]
        write_file(self._folder / "samples.png", encode_png(draw_strips(rows)))
        title = f"Best, median and worst samples by {column}"
        write_report(self._folder, Report(protocol, measured, self.resampling), {"samples.png": title})
        print(f"report: {self._folder / 'report.md'}")

    def _strip(self, key: str) -> Path:
        return self._folder / "samples" / f"{safe_name(key)}.png"


def default_metrics(threshold: float) -> list[TryOnMetric]:
    """The metrics that need no pretrained weights.

    Args:
        threshold: Probability above which a pixel of a predicted mask counts.
    """
    gap = WrongReferenceGap([SSIM(), PSNR(), ColourError()])
    return [WearingMaskIoU(threshold), BoundaryF(threshold), SSIM(), PSNR(), ColourError(), ComponentCountError(), gap]


def drawn_batch(module: "TryOnModule", batch: TryOnBatch, wrong_reference: bool) -> DrawnBatch:
    """Draw a batch, and put beside the drawings what metrics compare them with.

    Args:
        module: Draws.
        batch: Of the test data.
        wrong_reference: Draw a second time with the ornaments of other samples.

    Raises:
        ValueError: If a wrong reference is wanted and the batch has no other ornaments.
    """
    drawn = cast(DrawnBatch, {**batch, **_drawing(module, batch)})
    if wrong_reference:
        drawn["wrong_reference"] = _drawing(module, with_other_ornament(batch))
    if "photograph" in batch:
        drawn["person_photograph"] = [_as_picture(photograph) for photograph in batch["photograph"]]
    return drawn


def _drawing(module: "TryOnModule", batch: TryOnBatch) -> Drawing:
    """Drawings of a batch rounded to 8 bits, and pasted back where there are whole photographs."""
    prediction = module.draw(batch)
    image = prediction["image"].float().add(1).mul(127.5).round().div(127.5).sub(1)
    drawing = Drawing(drawn_image=image, mask_predictions=prediction["mask_predictions"])
    if "photograph" in batch:
        masks = prediction["mask"] if len(prediction["mask_predictions"]) else [None] * len(image)
        pasted = zip(batch["photograph"], image, batch["window"].tolist(), batch["box"].tolist(), masks, strict=True)
        drawing["drawn_photograph"] = [_paste(*entries) for entries in pasted]
    return drawing


def _paste(photograph: Tensor, image: Tensor, window: list[int], box: list[float], mask: Tensor | None) -> Tensor:
    whole = tensor_to_image(_as_picture(photograph))
    x0, y0, x1, y1 = box
    composite = PasteBack()(whole, tensor_to_image(image), Crop(*window), (x0, y0, x1, y1), mask)
    pixels = torch.frombuffer(bytearray(composite.picture.tobytes()), dtype=torch.uint8)
    return _as_picture(pixels.view(*photograph.shape[1:], 3).permute(2, 0, 1)).to(image.device)


def _as_picture(pixels: Tensor) -> Tensor:
    """A picture of uint8 in [-1, 1]."""
    return pixels.float() / 127.5 - 1


def ranking(measured: Sequence[Measured], column: str, shown: int) -> tuple[str, list[tuple[str, str, float]]]:
    """Choose the samples to show.

    Args:
        measured: What the metrics measured.
        column: The figure to rank by; if no metric gives it to each sample, the first that one gives.
        shown: How many of the best, of the median and of the worst.

    Returns:
        The figure, and for each sample ``best``, ``median`` or ``worst``, its key and its value; each sample once.
        Without such a figure the first samples, with no value.
    """
    scores = {name: one for one in measured if isinstance(one, SampleScores) for name in one.columns}
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


def _title(measured: Measured) -> str:
    return ", ".join(measured.columns)
