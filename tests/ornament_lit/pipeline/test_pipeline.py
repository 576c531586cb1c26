"""The pipeline: from images to images, and through its folder without a change."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionModel

from ornament_lit.diffusion.refresh_policies import RefreshEverySteps
from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.losses import DiffusionLoss
from ornament_lit.losses.attention import ZeroAttentionLoss
from ornament_lit.models.autoencoders import KLAutoencoder
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import CLIPImageEncoder
from ornament_lit.models.mask_heads import BoxMaskHead, PoseAwareMaskHead
from ornament_lit.models.no_denoiser import NoDenoiser
from ornament_lit.models.reference_matching import NoReferenceMatching, PositionalMatching
from ornament_lit.models.reference_nets import NoReferenceNet, UNetReferenceNet
from ornament_lit.models.warps import NoWarp, PoseAwareWarp
from ornament_lit.module import TryOnModule
from ornament_lit.pipeline import OrnamentTryOnPipeline
from ornament_lit.pipeline.from_checkpoint import pipeline_of
from ornament_lit.pipeline.outputs import TryOnOutput
from ornament_lit.pipeline.serialization import INDEX, WEIGHTS, Settings

BuildModule = Callable[..., TryOnModule]
BOX = (20, 30, 50, 70)


@pytest.fixture
def ornament() -> Image.Image:
    """A blue square on white."""
    picture = Image.new("RGB", (48, 48), "white")
    picture.paste((20, 40, 200), (16, 12, 32, 36))
    return picture


@pytest.fixture
def person() -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (90, 80, 3), dtype=np.uint8))


@pytest.fixture
def draw(ornament: Image.Image, person: Image.Image) -> Callable[..., TryOnOutput]:
    def call(pipeline: OrnamentTryOnPipeline, **options: Any) -> TryOnOutput:
        pipeline.set_progress_bar_config(disable=True)
        arguments = {"ornament_image": ornament, "person_image": person, "box": BOX, "seed": 3, "region": "box"}
        return pipeline(**(arguments | {"num_inference_steps": 2} | options))

    return call


@pytest.fixture
def build_pipeline(build_module: BuildModule) -> Callable[..., OrnamentTryOnPipeline]:
    def build(**parts: Any) -> OrnamentTryOnPipeline:
        return pipeline_of(build_module(**parts), resolution=32)

    return build


@pytest.fixture
def pretrained(vae_folder: Path, clip_folder: Path, build_unet: Callable[..., UNet2DConditionModel]) -> dict[str, Any]:
    """A VAE and a CLIP model, as Stable Diffusion has them."""
    torch.manual_seed(2)
    encoder = CLIPImageEncoder(str(clip_folder), token_dim=24)
    return {
        "autoencoder": KLAutoencoder(str(vae_folder)),
        "image_encoder": encoder,
        "denoiser": Denoiser(build_unet(4)),
    }


VARIANTS: dict[str, Callable[[], dict[str, Any]]] = {
    "quickstart": lambda: {},
    "rows, no refinement": lambda: {"reference_net": UNetReferenceNet("rows"), "mask_head": BoxMaskHead()},
    "no reference": lambda: {"reference_net": NoReferenceNet(), "mask_head": BoxMaskHead()},
    "reference run again": lambda: {"mask_head": PoseAwareMaskHead(2, 0, kernel_size=3, rerun_reference=True)},
    "refreshed, another scheduler": lambda: {
        "sampler": Sampler(4, 1.0, DDIMScheduler, {"rescale_betas_zero_snr": True}, RefreshEverySteps(2))
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_round_trip_gives_the_same_pixels(
    variant: str, build_pipeline: Callable[..., Any], draw: Callable[..., TryOnOutput], tmp_path: Path
) -> None:
    check_round_trip(build_pipeline(**VARIANTS[variant]()), draw, tmp_path / "exported")


def test_round_trip_with_pretrained_models(
    pretrained: dict[str, Any], build_pipeline: Callable[..., Any], draw: Callable[..., TryOnOutput], tmp_path: Path
) -> None:
    folder = tmp_path / "exported"
    check_round_trip(build_pipeline(**pretrained), draw, folder)
    assert isinstance(AutoencoderKL.from_pretrained(folder, subfolder="vae"), AutoencoderKL)
    assert isinstance(CLIPVisionModel.from_pretrained(folder / "image_encoder"), CLIPVisionModel)
    assert not [key for key in load_file(folder / WEIGHTS) if ".vae." in key or ".clip." in key]
    moved = folder.rename(tmp_path / "moved")
    assert "exported" not in (moved / INDEX).read_text()
    OrnamentTryOnPipeline.from_pretrained(moved)


def test_round_trip_of_a_denoiser_with_all_its_options(
    build_pipeline: Callable[..., Any],
    build_unet: Callable[..., UNet2DConditionModel],
    draw: Callable[..., TryOnOutput],
    tmp_path: Path,
) -> None:
    matching = PositionalMatching(3, qk_norm=0.2)
    denoiser = Denoiser(build_unet(), reference_matching=matching, known_pixels=True, input_skip=True)
    for part in (denoiser.reference_matching, denoiser.skip):
        for parameter in part.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    loss = DiffusionLoss(condition_dropout=0.1)
    pipeline = build_pipeline(denoiser=denoiser, neutral_background=True, diffusion_loss=loss)
    assert pipeline.model.neutral_background
    check_round_trip(pipeline, draw, tmp_path / "exported")
    again = OrnamentTryOnPipeline.from_pretrained(tmp_path / "exported")
    assert again.model.neutral_background and again.model.denoiser.reference_matching.qk_norm == 0.2
    assert {key for key in load_file(tmp_path / "exported" / WEIGHTS) if key.startswith("denoiser.skip")} == {
        "denoiser.skip.weight",
        "denoiser.skip.time_weight",
    }
    assert torch.equal(draw(again, guidance_scale=2.0).generated, draw(pipeline, guidance_scale=2.0).generated)


def test_a_folder_of_an_older_release_has_neither_matching_nor_skip(folder: Path) -> None:
    def make_older(index: dict[str, Any]) -> None:
        index["denoiser"] = {"direct_masking": False}
        index.pop("neutral_background")

    edit(folder, make_older)
    pipeline = OrnamentTryOnPipeline.from_pretrained(folder)
    assert isinstance(pipeline.model.denoiser.reference_matching, NoReferenceMatching)
    assert not pipeline.model.denoiser.known_pixels and not pipeline.model.neutral_background


def check_round_trip(pipeline: OrnamentTryOnPipeline, draw: Callable[..., TryOnOutput], folder: Path) -> None:
    before = draw(pipeline)
    pipeline.save_pretrained(folder)
    torch.manual_seed(99)
    again = OrnamentTryOnPipeline.from_pretrained(folder)
    after = draw(again)
    assert torch.equal(after.generated, before.generated)
    assert all(torch.equal(*pair) for pair in zip(after.refined_masks, before.refined_masks, strict=True))
    assert after.images[0].tobytes() == before.images[0].tobytes()
    assert type(again.settings.refresh) is type(pipeline.settings.refresh)
    assert draw(again, num_inference_steps=None).generated.isfinite().all()
    suffixes = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".safetensors"}


def test_the_folded_unet_is_saved_with_stock_layers(build_pipeline: Callable[..., Any], tmp_path: Path) -> None:
    pipeline = build_pipeline()
    block = pipeline.unet.down_blocks[0].attentions[0].transformer_blocks[0]
    torch.nn.init.normal_(block.attn2.bias)
    pipeline.save_pretrained(tmp_path / "exported")
    stock, report = UNet2DConditionModel.from_pretrained(tmp_path / "exported/unet", output_loading_info=True)
    assert not any(report.values())
    latents, timestep = torch.rand(1, 97, 8, 8), torch.tensor(7)
    expected = pipeline.unet(latents, timestep, encoder_hidden_states=None).sample
    assert torch.allclose(stock(latents, timestep, torch.zeros(1, 1, 24)).sample, expected, atol=1e-6)


def test_pixels_outside_the_mask_stay(build_pipeline: Callable[..., Any], draw: Any, person: Image.Image) -> None:
    output = draw(build_pipeline())
    changed = np.asarray(output.images[0]) != np.asarray(person)
    outside = np.asarray(output.masks[0]) == 0
    assert not changed[outside].any()
    assert changed[~outside].any()
    assert outside[: BOX[1]].all() and outside[:, BOX[2] :].all()


def test_a_drawing_does_not_depend_on_its_batch(build_pipeline: Callable[..., Any], draw: Any) -> None:
    pipeline = build_pipeline()
    batch = draw(pipeline, box=[BOX, (5, 5, 40, 40)], seed=[3, 4])
    assert torch.allclose(batch.generated[:1], draw(pipeline).generated, atol=1e-5)
    assert torch.allclose(batch.generated[1:], draw(pipeline, box=(5, 5, 40, 40), seed=4).generated, atol=1e-5)


def test_the_network_does_not_see_what_the_box_hides(
    build_pipeline: Callable[..., Any], draw: Any, person: Image.Image
) -> None:
    pipeline, other = build_pipeline(), person.copy()
    other.paste((0, 0, 0), BOX)
    inner = (slice(None), slice(None), slice(8, 24), slice(8, 24))
    one, two = (draw(pipeline, person_image=picture).generated[inner] for picture in (person, other))
    assert torch.allclose(one, two, atol=0.05), "only resampling at the border of the box may differ"


def test_same_generator_same_pixels_and_seeds_are_told(build_pipeline: Callable[..., Any], draw: Any) -> None:
    pipeline = build_pipeline()
    first, second = (
        draw(pipeline, seed=None, generator=torch.Generator().manual_seed(5), box=[BOX, BOX]) for _ in range(2)
    )
    assert torch.equal(first.generated, second.generated)
    assert first.seeds == second.seeds and first.seeds[0] != first.seeds[1]
    assert draw(pipeline, seed=None).seeds != draw(pipeline, seed=None).seeds


def test_output_types(build_pipeline: Callable[..., Any], draw: Any) -> None:
    pipeline = build_pipeline()
    picture, array, tensor = (draw(pipeline, output_type=name).images[0] for name in ("pil", "np", "pt"))
    assert picture.size == (80, 90)
    assert array.shape == (90, 80, 3) and array.max() <= 1
    assert np.array_equal(tensor.permute(1, 2, 0).numpy(), array)
    assert np.array_equal((array * 255).round().astype(np.uint8), np.asarray(picture))


def test_callback_sees_every_step_and_may_change_the_latents(build_pipeline: Callable[..., Any], draw: Any) -> None:
    pipeline, seen = build_pipeline(), []

    def blank(pipe: OrnamentTryOnPipeline, step: int, timestep: torch.Tensor, values: dict[str, Any]) -> dict[str, Any]:
        seen.append((pipe is pipeline, step, int(timestep)))
        return {"latents": torch.zeros_like(values["latents"])}

    output = draw(pipeline, callback_on_step_end=blank)
    assert seen == [(True, 0, 500), (True, 1, 0)]
    assert torch.equal(output.generated, torch.full_like(output.generated, 0.5))


def test_attention_lies_over_the_photograph(build_pipeline: Callable[..., Any], draw: Any) -> None:
    output = draw(build_pipeline(), return_attention=True)
    assert output.attention.shape == (1, 1, 32, 32)
    assert 0 < output.attention.min() and output.attention.max() < 1
    over = output.over_photograph(output.attention[0])
    left, top, size = output.crops[0]
    assert over.size == (80, 90)
    assert over.crop((left, top, left + size, top + size)).getextrema()[0] > 0
    assert over.getpixel((left - 1, top)) == 0
    assert (
        draw(build_pipeline(reference_net=NoReferenceNet(), mask_head=BoxMaskHead()), return_attention=True).attention
        is None
    )


def test_masks_of_every_refresh_are_returned(build_pipeline: Callable[..., Any], draw: Any) -> None:
    sampler = Sampler(5, refresh=RefreshEverySteps(2))
    output = draw(build_pipeline(sampler=sampler), num_inference_steps=5)
    assert [tuple(masks.shape) for masks in output.refined_masks] == [(2, 1, 1, 32, 32)] * 3


def test_an_empty_mask_falls_back_to_the_box(build_pipeline: Callable[..., Any], draw: Any) -> None:
    pipeline = build_pipeline()
    with pytest.warns(UserWarning, match="the predicted mask is empty: the whole box is pasted"):
        output = draw(pipeline, region="mask")  # untrained: every probability is about the prior
    assert output.images[0].tobytes() == draw(pipeline).images[0].tobytes()


def test_guidance_without_dropout_is_warned_of(build_pipeline: Callable[..., Any], draw: Any) -> None:
    with pytest.warns(UserWarning, match="guidance_scale=2.0 needs a model that was trained with condition_dropout"):
        draw(build_pipeline(), guidance_scale=2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(build_pipeline(diffusion_loss=DiffusionLoss(condition_dropout=0.1)), guidance_scale=2.0)


def test_offloading_brings_the_parts_to_the_device_and_back(
    build_pipeline: Callable[..., Any], draw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = build_pipeline()
    expected, moves = draw(pipeline).generated, []
    pipeline.enable_model_cpu_offload("cpu")
    for name in ("autoencoder", "denoiser", "mask_head"):
        part = getattr(pipeline.model, name)
        monkeypatch.setattr(part, "to", lambda device, name=name: moves.append((name, str(device))), raising=False)
    assert torch.equal(draw(pipeline).generated, expected)
    assert [name for name, _ in moves] == ["autoencoder"] * 2 + ["denoiser", "mask_head"] * 2 + ["autoencoder"] * 2


def test_half_precision_is_close(build_pipeline: Callable[..., Any], draw: Any, tmp_path: Path) -> None:
    pipeline = build_pipeline()
    pipeline.save_pretrained(tmp_path / "exported")
    half = OrnamentTryOnPipeline.from_pretrained(tmp_path / "exported", torch_dtype=torch.bfloat16)
    assert half.dtype == torch.bfloat16
    assert torch.allclose(draw(half).generated, draw(pipeline).generated, atol=0.1)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"box": (50, 30, 20, 70)}, "x0 < x1 and y0 < y1"),
    ({"box": (200, 200, 220, 240)}, "inside the image of 80x90"),
    ({"box": (1, 2, 3)}, "a box must be four numbers"),
    ({"box": (*BOX, 30, 1)}, "a box must be four numbers"),
    ({"box": (*BOX, float("nan"))}, "the angle of a box must be a finite number"),
    ({"box": [BOX, BOX], "seed": [1]}, "one seed, or one each"),
    ({"seed": -1}, "from 0"),
    ({"generator": torch.Generator()}, "cannot both be given"),
    ({"person_image": ["a", "b"], "box": [BOX] * 3}, "lists must have one length"),
    ({"person_image": "nowhere.png"}, "must be a file"),
    ({"ornament_mask": Image.new("L", (48, 48))}, "must have a pixel above 127"),
    ({"ornament_mask": Image.new("L", (20, 20), 255)}, "must have the size of its image"),
    ({"output_type": "jpeg"}, "output_type must be one of pil, np, pt"),
    ({"region": "all"}, "region must be one of mask, box"),
    ({"num_inference_steps": 0}, "at least 1"),
]


def test_what_cannot_be_used_is_said(build_pipeline: Callable[..., Any], draw: Any) -> None:
    pipeline = build_pipeline()
    for options, message in WRONG:
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            draw(pipeline, **options)


def test_the_resolution_must_fit_the_autoencoder(build_module: BuildModule) -> None:
    with pytest.raises(ValueError, match="resolution must be a multiple of 4"):
        pipeline_of(build_module(), resolution=30)
    with pytest.raises(ValueError, match="give --resolution"):
        pipeline_of(build_module())


@pytest.fixture
def folder(build_pipeline: Callable[..., Any], tmp_path: Path) -> Path:
    build_pipeline().save_pretrained(tmp_path / "exported")
    return tmp_path / "exported"


def test_a_pipeline_is_replaced_and_anything_else_is_not(
    folder: Path, build_pipeline: Callable[..., Any], tmp_path: Path
) -> None:
    build_pipeline(mask_head=BoxMaskHead()).save_pretrained(folder)
    assert isinstance(OrnamentTryOnPipeline.from_pretrained(folder).model.mask_head, BoxMaskHead)
    assert [path.name for path in tmp_path.iterdir()] == ["exported"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match="holds something else"):
        build_pipeline().save_pretrained(other)
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]


def test_a_part_that_cannot_be_written_down_leaves_nothing(build_pipeline: Callable[..., Any], tmp_path: Path) -> None:
    class Forgetful(BoxMaskHead):
        def __init__(self, size: int = 3) -> None:
            super().__init__()

    with pytest.raises(ValueError, match="must keep the argument 'size'"):
        build_pipeline(mask_head=Forgetful()).save_pretrained(tmp_path / "exported")
    assert not list(tmp_path.iterdir())


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    index = json.loads((folder / INDEX).read_text())
    change(index)
    (folder / INDEX).write_text(json.dumps(index))


def test_a_folder_of_a_stranger_imports_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_trap.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    edit(folder, lambda index: index["parts"]["mask_head"].update(class_path="a_trap.Head"))
    with pytest.raises(
        ValueError, match=r"(?s)cannot be built here.*a_trap.*may not be imported.*ORNAMENT_LIT_PLUGINS"
    ):
        OrnamentTryOnPipeline.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: index.update(_class_name="StableDiffusionPipeline"), "got StableDiffusionPipeline"),
        (lambda index: index["parts"].pop("mask_head"), "describes no mask_head"),
        (lambda index: index["parts"]["mask_head"].update(class_path="torch.nn.Linear"), "cannot be built here"),
        (lambda index: index["parts"]["mask_head"]["init_args"].update(upscale=4), "does not fit"),
    ],
)
def test_a_damaged_index_is_said(folder: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    edit(folder, change)
    with pytest.raises(ValueError, match=message):
        OrnamentTryOnPipeline.from_pretrained(folder)


def test_damaged_files_are_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no pipeline at"):
        OrnamentTryOnPipeline.from_pretrained(tmp_path / "nowhere")
    weights = load_file(folder / WEIGHTS)
    save_file(dict(list(weights.items())[1:]), folder / WEIGHTS)
    with pytest.raises(ValueError, match="does not fit"):
        OrnamentTryOnPipeline.from_pretrained(folder)
    (folder / WEIGHTS).write_bytes(b"\x80\x04pickled")
    with pytest.raises(ValueError, match="is damaged"):
        OrnamentTryOnPipeline.from_pretrained(folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(FileNotFoundError, match="lacks try_on"):
        OrnamentTryOnPipeline.from_pretrained(folder)


@pytest.fixture
def warping(build_module: BuildModule, build_warp: Callable[..., PoseAwareWarp]) -> Callable[..., Any]:
    """A pipeline with a warp, as it was trained with a wider view and detail; without a denoiser if it is said so."""

    def build(
        denoiser: Denoiser | None = None, strength: float = 1.0, bare: float = 0.0, **options: Any
    ) -> OrnamentTryOnPipeline:
        alone = {"reference_net": NoReferenceNet(), "mask_head": BoxMaskHead(), "attention_loss": ZeroAttentionLoss()}
        parts: dict[str, Any] = {} if denoiser is None else {"denoiser": denoiser}
        if isinstance(denoiser, NoDenoiser):
            parts |= alone
            strength = 0.0
        module = build_module(**parts, warp=build_warp(**options), sampler=Sampler(4, strength=strength))
        module.crop_settings = {"resolution": 32, "crop_factor": 1.25, "wide_view": 1.8, "detail": 2, "bare": bare}
        return pipeline_of(module)

    return build


@pytest.mark.parametrize("kind", ["NoDenoiser", "warp_condition", "warm start"])
def test_round_trip_with_a_warp(
    kind: str, warping: Callable[..., Any], build_unet: Any, draw: Callable[..., TryOnOutput], tmp_path: Path
) -> None:
    denoisers = {"NoDenoiser": NoDenoiser, "warp_condition": lambda: Denoiser(build_unet(), warp_condition=True)}
    pipeline = warping(denoisers.get(kind, lambda: None)(), strength=0.5 if kind == "warm start" else 1.0, turns=2)
    if kind == "warp_condition":
        torch.nn.init.normal_(pipeline.unet.conv_in.weight, std=0.05)
    folder = tmp_path / "exported"
    check_round_trip(pipeline, draw, folder)
    again = OrnamentTryOnPipeline.from_pretrained(folder)
    assert (again.settings.wide_view, again.settings.detail) == (1.8, 2)
    assert again.settings.strength == pipeline.settings.strength
    assert type(again.model.denoiser) is type(pipeline.model.denoiser) and again.model.warp.turns == 2
    assert (folder / "unet").exists() == (kind != "NoDenoiser")
    assert again.model.denoiser.warp_condition == (kind == "warp_condition")


def test_a_folder_whose_parts_have_other_names_is_refused_in_one_line(folder: Path) -> None:
    edit(folder, lambda index: index.pop("_format"))
    with pytest.raises(ValueError, match=r"has format 1, .*reads format 2: export it again") as raised:
        OrnamentTryOnPipeline.from_pretrained(folder)
    assert "\n" not in str(raised.value)


def test_a_folder_of_an_older_release_still_loads(folder: Path, draw: Any) -> None:
    expected = draw(OrnamentTryOnPipeline.from_pretrained(folder))

    def age(index: dict[str, Any]) -> None:
        del index["parts"]["warp"], index["denoiser"]["warp_condition"]
        for name in ("wide_view", "detail", "strength"):
            del index["settings"][name]

    edit(folder, age)
    old = OrnamentTryOnPipeline.from_pretrained(folder)
    assert isinstance(old.model.warp, NoWarp) and not old.model.denoiser.warp_condition
    assert (old.settings.wide_view, old.settings.detail, old.settings.strength) == (None, 1, 1.0)
    assert draw(old).images[0].tobytes() == expected.images[0].tobytes()


def test_a_preview_takes_no_step_and_draws_the_composite(warping: Callable[..., Any], draw: Any) -> None:
    pipeline, steps = warping(), []
    pipeline.model.denoiser.forward = pipeline.model.denoiser.guided = None  # type: ignore[method-assign]
    output = draw(pipeline, preview=True, callback_on_step_end=lambda *seen: steps.append(seen))
    assert steps == [] and output.generated.isfinite().all()
    alone = draw(warping(NoDenoiser()))
    torch.testing.assert_close(output.generated, alone.generated)
    assert output.images[0].tobytes() == alone.images[0].tobytes()
    assert [tuple(masks.shape) for masks in alone.refined_masks] == [(1, 1, 1, 32, 32)]


def test_the_box_is_seen_by_a_model_that_was_shown_it_unless_it_is_erased(
    warping: Callable[..., Any], draw: Any, person: Image.Image, tmp_path: Path
) -> None:
    grey = person.copy()
    grey.paste((10, 200, 30), (28, 38, 42, 62))
    blind, seeing = warping(), warping(bare=0.5)
    seeing.save_pretrained(tmp_path / "seeing")
    assert OrnamentTryOnPipeline.from_pretrained(tmp_path / "seeing").settings.bare and not blind.settings.bare

    def generated(pipeline: OrnamentTryOnPipeline, image: Image.Image, **options: Any) -> torch.Tensor:
        return draw(pipeline, person_image=image, preview=True, **options).generated

    assert torch.equal(generated(blind, person), generated(blind, grey))
    assert not torch.equal(generated(seeing, person), generated(seeing, grey))
    assert torch.equal(generated(seeing, person, erase=True), generated(blind, person))


def test_detail_samples_the_ornament_again_and_is_the_default(warping: Callable[..., Any], draw: Any) -> None:
    pipeline = warping()
    default, detailed, pasted = (draw(pipeline, region="mask", detail=detail) for detail in (None, True, False))
    assert default.images[0].tobytes() == detailed.images[0].tobytes() != pasted.images[0].tobytes()
    assert torch.equal(default.generated, pasted.generated)


@pytest.mark.parametrize("region", ["mask", "box"])
def test_outside_of_the_changed_part_the_photograph_stays(
    warping: Callable[..., Any], draw: Any, person: Image.Image, region: str
) -> None:
    output = draw(warping(NoDenoiser()), region=region)
    changed = (np.asarray(output.images[0]) != np.asarray(person)).any(-1)
    outside = np.asarray(output.masks[0]) == 0
    assert changed.any() and not changed[outside].any()
    assert outside[: BOX[1]].all() and outside[:, BOX[2] :].all()


@pytest.mark.parametrize("name", ["preview", "detail"])
def test_without_a_warp_there_is_neither_preview_nor_detail(
    build_pipeline: Callable[..., Any], draw: Any, name: str
) -> None:
    with pytest.raises(ValueError, match=f"{name} needs a model with a warp"):
        draw(build_pipeline(), **{name: True})


def test_a_drawing_with_a_warp_does_not_depend_on_its_batch(warping: Callable[..., Any], draw: Any) -> None:
    pipeline = warping(NoDenoiser())
    batch = draw(pipeline, box=[BOX, (5, 5, 40, 40)])
    for row, box in enumerate([BOX, (5, 5, 40, 40)]):
        assert torch.allclose(batch.generated[row : row + 1], draw(pipeline, box=box).generated, atol=1e-4)


def test_attention_can_be_measured_beside_a_warp(warping: Callable[..., Any], build_unet: Any, draw: Any) -> None:
    looking = warping(Denoiser(build_unet(), warp_condition=True))
    assert draw(looking, return_attention=True).attention.shape == (1, 1, 32, 32)
    assert draw(warping(NoDenoiser()), return_attention=True).attention is None


@pytest.mark.parametrize("kind", ["NoDenoiser", "warp_condition"])
def test_half_precision_with_a_warp_is_close(
    kind: str, warping: Callable[..., Any], build_unet: Any, draw: Any, tmp_path: Path
) -> None:
    pipeline = warping(
        NoDenoiser() if kind == "NoDenoiser" else Denoiser(build_unet(), warp_condition=True), noise=0.02
    )
    pipeline.save_pretrained(tmp_path / "exported")
    half = OrnamentTryOnPipeline.from_pretrained(tmp_path / "exported", torch_dtype=torch.bfloat16)
    one, other = draw(half), draw(pipeline)
    assert (one.generated - other.generated).abs().mean() < 0.02
    assert np.abs(np.asarray(one.images[0], float) - np.asarray(other.images[0], float)).mean() < 3


def test_offloading_brings_the_warp_to_the_device(
    warping: Callable[..., Any], draw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = warping(NoDenoiser())
    expected, moves = draw(pipeline).generated, []
    pipeline.enable_model_cpu_offload("cpu")
    monkeypatch.setattr(pipeline.model.warp, "to", lambda device: moves.append(str(device)), raising=False)
    assert torch.equal(draw(pipeline).generated, expected) and moves == ["cpu", "cpu"]


def test_a_warp_that_needs_a_wider_view_says_so(warping: Callable[..., Any], draw: Any) -> None:
    module_like = warping(NoDenoiser())
    module_like.settings = Settings(32, strength=0.0)
    with pytest.raises(ValueError, match=r"set data.wide_view"):
        draw(module_like)


def test_a_turned_box_is_told_to_the_model(build_pipeline: Callable[..., Any], draw: Any) -> None:
    pipeline, batches = build_pipeline(), []

    def spy(batch: Any) -> Any:
        batches.append(batch)
        return encode(batch)

    encode, pipeline.model.encode = pipeline.model.encode, spy
    turned = draw(pipeline, box=(15, 35, 55, 65, 90))  # BOX, turned by a right angle
    upright = draw(pipeline)
    assert "input_mask" not in batches[1] and torch.equal(batches[0]["input_mask"], batches[1]["box_mask"])
    assert torch.equal(turned.generated, upright.generated) and turned.crops == upright.crops
    assert turned.images[0].tobytes() == upright.images[0].tobytes()
    draw(pipeline, box=[BOX, (20, 40, 50, 60, 45)], seed=3)
    first, second = batches[2]["input_mask"], batches[2]["box_mask"]
    assert torch.equal(first[0], second[0]), "a row without an angle has its box"
    assert 0 < first[1].sum() < second[1].sum()
