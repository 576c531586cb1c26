"""The weights that ship, on test triplets of designs that they were not trained on."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

from callbacks import InitialWeights
from datamodules import OrnamentDataModule
from ornament_lit.batch import TryOnBatch, with_other_ornament
from ornament_lit.cli.trainer import build
from ornament_lit.losses.warp import masked_error
from ornament_lit.metrics.mask_iou import iou
from ornament_lit.models.warps.base import WarpOutput, warp_inputs
from ornament_lit.pipeline import OrnamentTryOnPipeline
from ornament_lit.utils.bundled import DEFAULT_WEIGHTS, weights_path

ROOT = Path(__file__).parent.parent
SMALL = weights_path(DEFAULT_WEIGHTS)


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
    return pipeline.model.warp(warp_inputs(batch))


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


def test_a_training_begins_from_them(pipeline: OrnamentTryOnPipeline) -> None:
    module = build(["--config", str(ROOT / "configs/small.yaml")]).model
    InitialWeights(SMALL).setup(Trainer(logger=False), module, "fit")
    loaded, shipped = module.model.warp.state_dict(), pipeline.model.warp.state_dict()
    assert loaded.keys() == shipped.keys() and all(torch.equal(loaded[key], shipped[key]) for key in shipped)
    assert module.mask_threshold.item() == pytest.approx(pipeline.settings.mask_threshold)


def test_a_folder_without_a_pipeline_is_refused(tmp_path: Path) -> None:
    module = build(["--config", str(ROOT / "configs/small.yaml")]).model
    with pytest.raises(FileNotFoundError, match=r"no pipeline at .*model_index.json does not exist"):
        InitialWeights(tmp_path).setup(Trainer(logger=False), module, "fit")
