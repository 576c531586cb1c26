"""What users of diffusers' pipelines are used to: what its common pipeline tests ask for, as far as it applies here.

What of their list does not apply, and why:

- Prompts, their encoding and negative ones; IP adapters; FreeU: images of ornaments are the condition, and the
  reference attention has their place.
- `num_images_per_prompt`, by its usual name, counts the drawings of a person.
- Arrays and tensors of a batch come as a list, not stacked: photographs have sizes of their own.
- `safe_serialization=False`: nothing here is pickled; it is refused.
- A type for each part, layerwise casting, `device_map`, group and sequential offload: the parts compute together, in
  one type; `enable_model_cpu_offload` brings them to the device one after the other.
- Attention slicing and xformers: fused attention needs no more memory than they; they change nothing, with a warning.
- A guidance that a callback changes during a drawing: it is the sampler's, which one call uses from beginning to end.
- Optional parts that are None: an absent part is an object, such as `NoImageEncoder`.
- Latents in the place of images: a window of a photograph is what is encoded, and who pastes needs the photograph.
- float16 on a CPU; half precision is tested with bfloat16.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers.schedulers import KarrasDiffusionSchedulers
from PIL import Image
from torch import Tensor

from ornament_lit.imaging.reading import image_of_pixels
from ornament_lit.losses import DiffusionLoss
from ornament_lit.models.autoencoders import KLAutoencoder
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import CLIPImageEncoder
from ornament_lit.pipeline import OrnamentTryOnPipeline
from ornament_lit.pipeline.from_checkpoint import pipeline_of
from ornament_lit.pipeline.serialization import INDEX, WEIGHTS

BOX = (20, 30, 50, 70)
Draw = Callable[..., Any]


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture
def pipeline(build_module: Callable[..., Any]) -> OrnamentTryOnPipeline:
    built = pipeline_of(build_module(diffusion_loss=DiffusionLoss(condition_dropout=0.1)), resolution=32)
    built.set_progress_bar_config(disable=True)
    return built


@pytest.fixture
def draw(pipeline: OrnamentTryOnPipeline) -> Draw:
    ornament = Image.new("RGB", (48, 48), "white")
    ornament.paste((20, 40, 200), (16, 12, 32, 36))

    def call(pipe: OrnamentTryOnPipeline = pipeline, **options: Any) -> Any:
        inputs = {"ornament_image": ornament, "person_image": noise(80, 90), "box": BOX, "region": "box"}
        return pipe(**(inputs | {"num_inference_steps": 2, "generator": seeded(0)} | options))

    return call


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def same(one: Any, other: Any) -> bool:
    return bool(torch.equal(one.generated, other.generated))


def test_the_usual_arguments_are_there_and_optional() -> None:
    parameters = inspect.signature(OrnamentTryOnPipeline.__call__).parameters
    usual = {"num_inference_steps", "num_images_per_prompt", "generator", "latents", "output_type", "return_dict"}
    usual |= {"guidance_scale", "callback_on_step_end", "callback_on_step_end_tensor_inputs"}
    assert all(parameters[name].default is not inspect.Parameter.empty for name in usual)


def test_an_output_can_be_subscripted_and_be_a_tuple(draw: Draw) -> None:
    output, parts = draw(), draw(return_dict=False)
    assert output[0] is output["images"] is output.images and len(output[0]) == 1
    assert isinstance(parts, tuple) and parts[0][0].tobytes() == output.images[0].tobytes()
    assert len(output.to_tuple()) == len(parts) == 6, "attention was not asked for"


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("rows", [1, 2])
def test_images_per_prompt(draw: Draw, rows: int, times: int) -> None:
    output = draw(box=[BOX] * rows, num_images_per_prompt=times, output_type="np")
    assert len(output.images) == len(output.masks) == len(output.crops) == len(output.generated) == rows * times
    assert len(set(output.seeds)) == rows * times
    seeds = draw(box=[BOX] * rows, num_images_per_prompt=times, generator=None, seed=7).seeds
    assert seeds == [7, 8, 9][:times] * rows


def test_further_drawings_are_those_of_their_seeds(draw: Draw) -> None:
    other = (5, 5, 40, 40)
    output = draw(box=[BOX, other], num_images_per_prompt=2, generator=None, seed=7)
    alone = draw(box=other, generator=None, seed=8)
    assert torch.allclose(output.generated[3:], alone.generated, atol=1e-5)
    with pytest.raises(ValueError, match=r"one seed, or one each \(4\)"):
        draw(box=[BOX, other], num_images_per_prompt=2, generator=None, seed=[1, 2])
    with pytest.raises(ValueError, match="num_images_per_prompt must be at least 1"):
        draw(num_images_per_prompt=0)


def test_latents_take_the_place_of_the_noise(draw: Draw, pipeline: OrnamentTryOnPipeline) -> None:
    pipeline.scheduler = diffusers.DDIMScheduler.from_config(pipeline.scheduler.config)
    first = draw()
    latents = torch.randn(1, 48, 8, 8, generator=seeded(first.seeds[0]))
    given = draw(latents=latents, generator=seeded(5))
    assert given.seeds != first.seeds and same(given, draw(latents=latents, generator=seeded(6)))
    assert same(given, first) and not same(draw(generator=seeded(5)), first)
    with pytest.raises(ValueError, match=r"latents must be noise of the shape \(1, 48, 8, 8\), got \(1, 4, 8, 8\)"):
        draw(latents=torch.zeros(1, 4, 8, 8))


def test_latents_can_be_the_output(draw: Draw, pipeline: OrnamentTryOnPipeline) -> None:
    output = draw(output_type="latent")
    assert output[0].shape == (1, 48, 8, 8)
    assert torch.equal((pipeline.model.autoencoder.decode(output[0]).clamp(-1, 1) + 1) / 2, draw().generated)


PIXELS: dict[str, Callable[[Image.Image], Any]] = {
    "array of bytes": np.asarray,
    "array of floats": lambda image: np.asarray(image, np.float32) / 255,
    "doubles": lambda image: np.asarray(image) / 255,
    "batch of arrays": lambda image: np.asarray(image)[None],
    "tensor of bytes": lambda image: torch.from_numpy(np.array(image)).movedim(-1, 0),
    "tensor of floats": lambda image: torch.from_numpy(np.array(image)).movedim(-1, 0) / 255,
    "batch of tensors": lambda image: torch.from_numpy(np.array(image)).movedim(-1, 0)[None] / 255,
    "list of tensors": lambda image: [torch.from_numpy(np.array(image)).movedim(-1, 0) / 255],
}


@pytest.mark.parametrize("kind", PIXELS)
def test_pixels_draw_what_pictures_draw(draw: Draw, kind: str) -> None:
    person, ornament = noise(80, 90), noise(48, 48)
    mask = Image.new("L", (48, 48))
    mask.paste(255, (10, 10, 30, 40))
    expected = draw(person_image=person, ornament_image=ornament, ornament_mask=mask)
    convert = PIXELS[kind]
    grey = convert(mask.convert("RGB"))
    given = draw(person_image=convert(person), ornament_image=convert(ornament), ornament_mask=grey, box=np.array(BOX))
    assert same(given, expected) and given.images[0].tobytes() == expected.images[0].tobytes()


@pytest.mark.parametrize(
    ("pixels", "mode"),
    [
        (np.zeros((20, 30), bool), "L"),
        (np.zeros((20, 30, 1)), "L"),
        (torch.zeros(1, 20, 30), "L"),
        (torch.zeros(20, 30, dtype=torch.bfloat16), "L"),
        (np.zeros((20, 30, 2), np.uint8), "LA"),
        (torch.zeros(4, 20, 30), "RGBA"),
    ],
)
def test_pixels_have_one_to_four_bands(pixels: np.ndarray | Tensor, mode: str) -> None:
    image = image_of_pixels(pixels)
    assert (image.mode, image.size) == (mode, (30, 20))


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((20, 20, 3), 1.5),
        np.full((20, 20, 3), -0.5),
        np.full((20, 20, 3), np.nan),
        np.zeros((20, 20, 3), np.int64),
        np.zeros((20, 20, 5), np.uint8),
        np.zeros((0, 20, 3)),
        np.zeros(20),
        torch.zeros(20, 20, 3),
        torch.zeros(3, 20, 20, dtype=torch.complex64),
    ],
)
def test_pixels_that_cannot_be_used_are_said(draw: Draw, pixels: np.ndarray | Tensor) -> None:
    with pytest.raises(ValueError, match=r"the person's image must be an array .* or of floats in \[0, 1\], got"):
        draw(person_image=pixels)


def test_torchs_own_seed_fixes_a_drawing_and_is_not_set_anew(draw: Draw) -> None:
    torch.manual_seed(3)
    first = draw(generator=None)
    following = torch.rand(3)
    torch.manual_seed(3)
    assert same(draw(generator=None), first)
    assert torch.equal(torch.rand(3), following)
    assert not same(draw(generator=None), first)
    assert torch.initial_seed() == 3


def test_a_batch_of_generators_draws_what_each_would(draw: Draw) -> None:
    batch = draw(box=[BOX] * 3, generator=[seeded(number) for number in range(3)])
    assert torch.allclose(batch.generated[:1], draw(generator=seeded(0)).generated, atol=1e-5)
    assert torch.allclose(batch.generated[2:], draw(generator=seeded(2)).generated, atol=1e-5)


def test_a_callback_may_interrupt_and_knows_the_number_of_steps(draw: Draw) -> None:
    seen: list[int] = []

    def stop(pipe: OrnamentTryOnPipeline, step: int, timestep: Tensor, values: dict[str, Any]) -> dict[str, Any]:
        assert set(values) == set(pipe._callback_tensor_inputs) and pipe.num_timesteps == 5 and not pipe.interrupt
        seen.append(step)
        pipe._interrupt = step == 2
        return values

    output = draw(num_inference_steps=5, callback_on_step_end=stop, callback_on_step_end_tensor_inputs=["latents"])
    assert seen == [0, 1, 2] and output.generated.isfinite().all()
    assert not same(output, draw(num_inference_steps=5)), "the next call is not interrupted"
    with pytest.raises(ValueError, match="callback_on_step_end_tensor_inputs must be one of latents, got 'prompts'"):
        draw(callback_on_step_end_tensor_inputs=["prompts"])


def test_a_callback_may_change_what_is_drawn_at_the_last_step(draw: Draw) -> None:
    def clear(pipe: OrnamentTryOnPipeline, step: int, timestep: Tensor, values: dict[str, Any]) -> dict[str, Any]:
        return {"latents": values["latents"] * (step < pipe.num_timesteps - 1)}

    assert not draw(callback_on_step_end=clear, output_type="latent")[0].any()


def test_components_build_the_pipeline_again(draw: Draw, pipeline: OrnamentTryOnPipeline) -> None:
    again = OrnamentTryOnPipeline(**pipeline.components)
    again.set_progress_bar_config(disable=True)
    assert set(again.components) == set(pipeline.components) and again.unet is pipeline.unet
    assert same(draw(again), draw())


@pytest.mark.parametrize("slice_size", [1, 2, "auto", None])
def test_the_ornament_is_still_looked_at_after_slicing(
    draw: Draw, pipeline: OrnamentTryOnPipeline, slice_size: Any
) -> None:
    expected = draw()
    pipeline.unet.set_attention_slice(slice_size)
    pipeline.model.reference_net.unet.set_attention_slice(slice_size)
    with pytest.warns(UserWarning, match="processors that do not look at the ornament"):
        sliced = draw()
    assert same(sliced, expected)


SCHEDULERS = [
    entry.name for entry in KarrasDiffusionSchedulers if entry.name != "DPMSolverSDEScheduler"
]  # needs torchsde


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
@pytest.mark.parametrize("name", SCHEDULERS)
def test_any_scheduler_can_be_put_in(draw: Draw, build_module: Callable[..., Any], name: str) -> None:
    training = diffusers.DDPMScheduler(prediction_type="epsilon", clip_sample=False)  # which all of them know
    pipeline = pipeline_of(build_module(noise_scheduler=training), resolution=32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = getattr(diffusers, name).from_config(pipeline.scheduler.config)
    assert draw(pipeline, num_inference_steps=5).generated.isfinite().all()


def test_guidance_changes_the_drawing_and_not_its_size(draw: Draw) -> None:
    plain, guided = draw(guidance_scale=1.0), draw(guidance_scale=7.5)
    assert plain.generated.shape == guided.generated.shape and not same(plain, guided)


def test_types_have_two_names_and_weights_none_but_safetensors(
    draw: Draw, pipeline: OrnamentTryOnPipeline, tmp_path: Path
) -> None:
    pipeline.save_pretrained(tmp_path / "p", safe_serialization=True)
    for options in ({"dtype": torch.bfloat16}, {"torch_dtype": torch.bfloat16}):
        loaded = OrnamentTryOnPipeline.from_pretrained(tmp_path / "p", **options)
        assert loaded.dtype == torch.bfloat16
        assert all(weight.dtype == torch.bfloat16 for weight in loaded.unet.parameters())
    assert OrnamentTryOnPipeline.from_pretrained(tmp_path / "p").dtype == torch.float32
    with pytest.raises(ValueError, match="name the same thing; leave one out"):
        OrnamentTryOnPipeline.from_pretrained(tmp_path / "p", torch.float16, dtype=torch.bfloat16)
    with pytest.raises(ValueError, match="safe_serialization=False"):
        pipeline.save_pretrained(tmp_path / "q", safe_serialization=False)
    assert not (tmp_path / "q").exists()


def test_variants(
    vae_folder: Path, clip_folder: Path, build_unet: Any, build_module: Any, draw: Draw, tmp_path: Path
) -> None:
    torch.manual_seed(2)
    encoder = CLIPImageEncoder(str(clip_folder), token_dim=24)
    parts = {"autoencoder": KLAutoencoder(str(vae_folder)), "image_encoder": encoder}
    pipeline = pipeline_of(build_module(**parts, denoiser=Denoiser(build_unet(4))), resolution=32)
    pipeline.set_progress_bar_config(disable=True)
    folder = tmp_path / "p"
    pipeline.save_pretrained(folder, variant="fp16", half=True)
    weights = sorted(path.name for path in folder.rglob("*.safetensors"))
    assert len(weights) == 4 and all(".fp16." in name for name in weights)
    loaded = OrnamentTryOnPipeline.from_pretrained(folder, variant="fp16")
    loaded.set_progress_bar_config(disable=True)
    assert torch.allclose(draw(loaded).generated, draw(pipeline).generated, atol=0.05)
    with pytest.raises(FileNotFoundError, match=f"lacks {WEIGHTS}; export it again"):
        OrnamentTryOnPipeline.from_pretrained(folder)
    with pytest.raises(FileNotFoundError, match=r"lacks try_on\.fp8\.safetensors; leave the variant out"):
        OrnamentTryOnPipeline.from_pretrained(folder, variant="fp8")
    with pytest.raises(ValueError, match="a variant must be a word"):
        pipeline.save_pretrained(tmp_path / "q", variant="../x")
    assert (folder / INDEX).is_file() and not (tmp_path / "q").exists()
