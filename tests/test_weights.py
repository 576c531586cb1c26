"""The weights that ship, on test triplets of designs that they were not trained on."""

from pathlib import Path

import pytest
import torch

from datamodules import OrnamentDataModule
from ornament_lit.batch import TryOnBatch, with_other_ornament
from ornament_lit.losses.warp import masked_error
from ornament_lit.metrics.mask_iou import iou
from ornament_lit.models.warps.base import WarpOutput, warp_inputs
from ornament_lit.pipeline import OrnamentTryOnPipeline

SMALL = Path(__file__).parent.parent / "weights/small"


@pytest.fixture(scope="module")
def pipeline() -> OrnamentTryOnPipeline:
    return OrnamentTryOnPipeline.from_pretrained(SMALL)


@pytest.fixture(scope="module")
def batch(pipeline: OrnamentTryOnPipeline) -> TryOnBatch:
    settings = pipeline.settings
    data = OrnamentDataModule(
        test_shards="bundled:rendered_128/test-*.tar",
        resolution=settings.resolution,
        crop_factor=settings.crop_factor,
        wide_view=settings.wide_view,
        detail=settings.detail,
        batch_size=32,
    )
    data.setup("test")
    return next(iter(data.test_dataloader()))


@torch.no_grad()
def said(pipeline: OrnamentTryOnPipeline, batch: TryOnBatch) -> WarpOutput:
    return pipeline.warp(warp_inputs(batch))


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in SMALL.rglob("*")) < 16 * 2**20


def test_they_find_the_ornament_in_a_coarse_box(pipeline: OrnamentTryOnPipeline, batch: TryOnBatch) -> None:
    truth = batch["wearing_mask"] > 0.5
    found = iou((said(pipeline, batch).coverage > pipeline.settings.mask_threshold)[None], truth)
    assert found.mean() > 1.6 * iou((batch["box_mask"] > 0.5)[None], truth).mean()


def test_they_draw_the_ornament_that_they_are_given(pipeline: OrnamentTryOnPipeline, batch: TryOnBatch) -> None:
    right, wrong = (
        masked_error(said(pipeline, one).composite, batch["person_image"], batch["wearing_mask"])
        for one in (batch, with_other_ornament(batch))
    )
    assert (right < wrong).float().mean() > 0.65
