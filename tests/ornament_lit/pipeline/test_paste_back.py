"""One way from a drawing to its photograph: for the pipeline, and for the reports' region ``full``."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from callbacks.generation import generated_batch
from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.imaging.compositing import Composite, PasteBack
from ornament_lit.imaging.crops import PersonCrop, crop_ornament, crop_person
from ornament_lit.losses.attention import ZeroAttentionLoss
from ornament_lit.models.mask_heads import BoxMaskHead
from ornament_lit.models.no_denoiser import NoDenoiser
from ornament_lit.models.reference_nets import NoReferenceNet
from ornament_lit.models.warps import Warp
from ornament_lit.models.warps.base import split_rows, warp_inputs
from ornament_lit.module import TryOnModule
from ornament_lit.pipeline.from_checkpoint import pipeline_of
from ornament_lit.pipeline.inputs import make_batch
from ornament_lit.pipeline.paste_back import Detail, paste_generated

BOX = (20, 30, 50, 70)
SIZE = 32


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture
def ornament() -> Image.Image:
    """Its window has 64 pixels a side: those of a detail of 2 at 32 pixels."""
    picture = Image.new("RGB", (100, 100), "white")
    picture.paste(noise(53, 40), (20, 30))
    return picture


@pytest.fixture
def person() -> PersonCrop:
    return crop_person(noise(80, 90), BOX, SIZE, 1.25)


def masking(build_module: Callable[..., TryOnModule]) -> TryOnModule:
    """A mask head that says different things of different pixels."""
    module = build_module(sampler=Sampler(2))
    torch.nn.init.normal_(module.model.mask_head.mlp[-1].weight, std=3)
    return module


KINDS = ["mask", "box", "warp"]


@pytest.fixture(params=KINDS)
def module(request: pytest.FixtureRequest, build_module: Any, build_warp: Any) -> TryOnModule:
    bare = {"reference_net": NoReferenceNet(), "mask_head": BoxMaskHead(), "attention_loss": ZeroAttentionLoss()}
    if request.param == "mask":
        module = masking(build_module)
    elif request.param == "box":
        module = build_module(**bare, sampler=Sampler(2))
    else:
        module = build_module(**bare, denoiser=NoDenoiser(), warp=build_warp(), sampler=Sampler(strength=0.0))
        module.crop_settings = {"wide_view": 1.8, "detail": 2}
    module.crop_settings |= {"resolution": SIZE, "crop_factor": 1.25}
    return module.eval()


def test_reports_measure_what_the_pipeline_pastes(module: TryOnModule, ornament: Image.Image) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline = pipeline_of(module)
        pipeline.set_progress_bar_config(disable=True)
        photograph = noise(80, 90)
        expected = pipeline(ornament, photograph, BOX, seed=3)
        worn = crop_person(photograph, BOX, SIZE, 1.25)
        extras = (pipeline.settings.wide_view, pipeline.settings.detail)
        batch = make_batch(
            [crop_ornament(ornament, None, SIZE)], [worn], [3], torch.device("cpu"), torch.float32, *extras
        )
        batch["photograph"] = [torch.from_numpy(np.asarray(photograph).copy()).permute(2, 0, 1)]
        batch["crop"], batch["box"] = torch.tensor([worn.crop]), torch.tensor([worn.box])
        drawn = generated_batch(module, batch)
    (pasted,) = drawn["generated_photograph"]
    pixels = pasted.add(1).mul(127.5).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(pixels, np.asarray(expected.images[0]))
    assert (pixels != np.asarray(photograph)).any()


def paste(person: PersonCrop, mask: torch.Tensor | None = None, **options: Any) -> Composite:
    return paste_generated(PasteBack(), torch.ones(3, SIZE, SIZE), person, mask, **options)


def mask_of(person: PersonCrop, *, inside: bool, level: float) -> torch.Tensor:
    """``level`` on a spot in the box, or on all that is outside of it."""
    spot = torch.zeros_like(person.box_mask)
    spot[:, 12:16, 14:18] = 1
    return level * (spot if inside else 1 - person.box_mask)


@pytest.mark.parametrize(("inside", "level"), [(False, 1.0), (True, 0.09), (True, float("nan"))])
def test_a_mask_without_ornament_in_the_box_is_told_and_stands_for_the_box(
    person: PersonCrop, inside: bool, level: float
) -> None:
    with pytest.warns(UserWarning, match="the predicted mask is empty: the whole box is pasted"):
        pasted = paste(person, mask_of(person, inside=inside, level=level))
    assert pasted.image.tobytes() == paste(person).image.tobytes() != person.photograph.tobytes()


def test_a_mask_with_ornament_in_the_box_is_pasted(person: PersonCrop, recwarn: pytest.WarningsRecorder) -> None:
    pasted = paste(person, mask_of(person, inside=True, level=0.11))
    share = np.asarray(pasted.mask)
    assert not recwarn and 0 < (share > 0).sum() < (np.asarray(paste(person).mask) > 0).sum()
    whole = paste(person, mask_of(person, inside=False, level=1.0), whole_box=True)
    assert not recwarn and whole.mask.tobytes() == paste(person).mask.tobytes()


@pytest.mark.parametrize("box", [(20, 30, 21.2, 80), (20.5, 30.5, 22, 32)])
def test_a_mask_is_found_in_a_box_that_is_thinner_than_its_pixels(box: Any, recwarn: pytest.WarningsRecorder) -> None:
    paste(crop_person(noise(80, 90), box, SIZE, 1.25), torch.ones(1, SIZE, SIZE))
    assert not recwarn


def test_a_photograph_that_stays_as_it_is_is_told_of(
    ornament: Image.Image, person: PersonCrop, build_warp: Callable[..., Warp]
) -> None:
    worn = crop_ornament(ornament, None, SIZE)
    batch = make_batch([worn], [person], [0], torch.device("cpu"), torch.float32, 1.8, 2)
    said = build_warp().eval()(warp_inputs(batch))
    nowhere = Detail(split_rows(replace(said, uv=said.uv + 5))[0], worn)
    with (
        torch.no_grad(),
        pytest.warns(UserWarning, match="nothing of the generated image lies in the box: the photograph"),
    ):
        pasted = paste(person, detail=nowhere)
    assert pasted.image.tobytes() == person.photograph.tobytes()
    thin = crop_person(noise(80, 90), (20.5, 30.5, 21.5, 31.5), SIZE, 1.25)
    with pytest.warns(UserWarning, match="nothing of the generated image lies in the box"):
        assert paste(thin).image.tobytes() == thin.photograph.tobytes()
