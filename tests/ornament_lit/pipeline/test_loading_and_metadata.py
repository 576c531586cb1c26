"""What a user names becomes a pipeline, and what it generates says how."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ornament_lit.module import TryOnModule
from ornament_lit.pipeline.from_checkpoint import pipeline_of
from ornament_lit.pipeline.loading import load_pipeline
from ornament_lit.pipeline.metadata import METADATA, WornOrnament, image_metadata
from ornament_lit.utils.versions import VERSION

RING = WornOrnament("ring.png", (1.0, 2.0, 30.0, 40.0, -15.0), "ring")


def told(metadata: dict[str, str]) -> dict[str, object]:
    """The JSON of metadata."""
    assert metadata["Software"] == f"ornament_lit {VERSION}"
    return dict(json.loads(metadata[METADATA]))


def test_where_nothing_is_named_the_weights_that_ship_are_taken() -> None:
    shipped, named = load_pipeline(device="cpu"), load_pipeline(pipeline="bundled:small", device="cpu")
    assert shipped.settings.source == named.settings.source != {} and shipped.device.type == "cpu"


def test_weights_have_the_type_that_is_asked_for(build_module: Callable[..., TryOnModule], tmp_path: Path) -> None:
    pipeline_of(build_module(), resolution=32).save_pretrained(tmp_path / "tiny")
    assert load_pipeline(pipeline=str(tmp_path / "tiny"), device="cpu", dtype="bfloat16").dtype is torch.bfloat16


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_absent_is_told() -> None:
    with pytest.raises(ValueError, match=r"^--device=cuda needs a CUDA device, and there is none; leave it out$"):
        load_pipeline(device="cuda")


def test_metadata_say_what_was_asked_for_or_the_pipelines_own(build_module: Callable[..., TryOnModule]) -> None:
    pipeline = pipeline_of(build_module(), resolution=32, source={"checkpoint": "tiny.ckpt"})
    own = told(image_metadata(pipeline, [RING], seed=7))
    assert own == {
        "model": {"checkpoint": "tiny.ckpt"},
        "seed": 7,
        "steps": pipeline.settings.num_inference_steps,
        "guidance": pipeline.settings.guidance_scale,
        "scheduler": "DDPMScheduler",
        "resolution": 32,
        "region": "mask",
        "preview": False,
        "detail": False,
        "erase": True,
        "dtype": "float32",
        "ornaments": [{"file": "ring.png", "box": [1.0, 2.0, 30.0, 40.0, -15.0], "type": "ring", "mask": None}],
    }
    asked = told(image_metadata(pipeline, [RING, RING], 1, steps=3, guidance=2.0, region="box"))
    assert (asked["steps"], asked["guidance"], asked["region"], len(asked["ornaments"])) == (3, 2.0, "box", 2)  # type: ignore[arg-type]


def test_metadata_know_the_warp_and_what_the_model_was_shown() -> None:
    shipped = load_pipeline(device="cpu")
    assert told(image_metadata(shipped, [RING], 0))["detail"] and not told(image_metadata(shipped, [RING], 0))["erase"]
    assert not told(image_metadata(shipped, [RING], 0, detail=False))["detail"]
    assert told(image_metadata(shipped, [RING], 0, erase=True))["erase"]
    assert told(image_metadata(shipped, [RING], 0, dtype="bfloat16"))["dtype"] == "bfloat16", "as it was asked for"
