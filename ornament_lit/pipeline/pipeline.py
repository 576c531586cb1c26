"""OrnamentTryOnPipeline: from images to images, in the manner of diffusers.

    pipeline = OrnamentTryOnPipeline.from_pretrained("exported")
    output = pipeline("necklace.png", "person.jpg", box=(180, 320, 420, 520), seed=0)
    output.images[0].save("worn.png")

Shape legend: B batch, r resolution of a crop in pixels, T mask iterations.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args

import torch
from diffusers import SchedulerMixin, UNet2DConditionModel
from diffusers.utils.logging import tqdm
from torch import Tensor, nn

from ornament_lit.batch import TryOnBatch
from ornament_lit.diffusion.sampler import Sampler, SamplerOutput
from ornament_lit.imaging.compositing import PasteBack
from ornament_lit.imaging.crops import ImageLike, crop_ornament, crop_person
from ornament_lit.imaging.geometry import AnyBox
from ornament_lit.models.attention_layers import keep_processors
from ornament_lit.models.conditioning import Conditioning, predicted_masks
from ornament_lit.models.try_on import TryOnModel
from ornament_lit.models.warps.base import split_rows
from ornament_lit.pipeline.attention_maps import measure_attention
from ornament_lit.pipeline.inputs import align, choose_seeds, make_batch, repeat
from ornament_lit.pipeline.outputs import OutputType, TryOnOutput, convert
from ornament_lit.pipeline.paste_back import Detail, paste_generated
from ornament_lit.pipeline.serialization import Settings, load_folder, save_folder
from ornament_lit.utils.bundled import weights_path
from ornament_lit.utils.categories import CATEGORIES, Category
from ornament_lit.utils.choices import check_choice

Region = Literal["mask", "box"]
CallbackTensor = Literal["latents"]
StepEndCallback = Callable[["OrnamentTryOnPipeline", int, Tensor, dict[str, Any]], dict[str, Any] | None]
"""Called after each step with the pipeline, the step, the timestep and ``{"latents": ...}``; may return such."""


class OrnamentTryOnPipeline:
    """Generate persons wearing ornaments.

    Build it by :meth:`from_pretrained`, from a folder that ``python -m ornament_lit export`` has written, or from the
    networks of a module, ``module.model``. Its interface is that of the pipelines of diffusers;
    tests/ornament_lit/pipeline/test_habits.py lists what of it there is, and why the rest is not. It is no subclass:
    their loading imports whatever module a folder names, and wants parts that load alone, whereas reference net and
    mask head are built to fit the UNet.

    Args:
        model: The trained networks; the denoiser's UNet is ``pipeline.unet``.
        scheduler: The scheduler to sample with; may be replaced by another one of diffusers, as in
            ``pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)``.
        settings: What the networks were trained with.

    Attributes:
        paste_back: How generated images go back into photographs; may be replaced.
    """

    _callback_tensor_inputs: ClassVar = list(get_args(CallbackTensor))

    def __init__(self, model: TryOnModel, scheduler: SchedulerMixin, settings: Settings) -> None:
        self.model = model.eval()
        self.scheduler = scheduler
        self.settings = settings
        self.paste_back = PasteBack()
        self._progress_bar: dict[str, Any] = {}
        self._offload_to: torch.device | None = None
        self._interrupt = False
        self._num_timesteps = 0
        model.autoencoder.check_resolution(settings.resolution)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        torch_dtype: torch.dtype | None = None,
        *,
        dtype: torch.dtype | None = None,
        variant: str | None = None,
    ) -> Self:
        """Load a pipeline from its folder. Nothing is unpickled, and only known packages are imported.

        Args:
            folder: What :meth:`save_pretrained` or ``python -m ornament_lit export`` wrote, or ``bundled:small`` for
                the weights that ship with the package.
            torch_dtype: The older name of ``dtype``.
            dtype: Type of the weights and of the computation; None for float32.
            variant: What :meth:`save_pretrained` was told.

        Raises:
            FileNotFoundError: If there is no such folder or a file of it is absent.
            ValueError: If it is no pipeline of this package, or its parts cannot be built here.
        """
        if dtype is not None and torch_dtype not in (None, dtype):
            raise ValueError(f"dtype={dtype} and torch_dtype={torch_dtype} name the same thing; leave one out")
        return cls(**load_folder(weights_path(folder), variant)).to(dtype or torch_dtype or torch.float32)

    def save_pretrained(
        self, folder: str | Path, half: bool = False, *, variant: str | None = None, safe_serialization: bool = True
    ) -> None:
        """Write the pipeline to a folder, as safetensors and JSON; the folder appears complete or not at all.

        ``unet``, ``scheduler`` and, where there are any, ``vae`` and ``image_encoder`` are in the stock formats of
        diffusers and transformers; ``try_on.safetensors`` holds the rest, and ``model_index.json`` says how it is
        built.

        Args:
            folder: A folder that does not exist yet, or one with a pipeline, which is replaced.
            half: Write the weights as float16, in half the space; they are read as float32.
            variant: A word in the names of all files with weights, such as ``fp16``; only who names it finds them.
            safe_serialization: Nothing but True; False would pickle.

        Raises:
            ValueError: If a part cannot be written down, or pickles are asked for.
            FileExistsError: If the folder holds something else.
        """
        if not safe_serialization:
            raise ValueError("weights are written as safetensors, got safe_serialization=False (pickles); leave it out")
        save_folder(Path(folder), self.model, self.scheduler, self.settings, half, variant)

    @property
    def components(self) -> dict[str, Any]:
        """Networks, scheduler and settings by name; ``OrnamentTryOnPipeline(**pipeline.components)`` shares them."""
        return {"model": self.model, "scheduler": self.scheduler, "settings": self.settings}

    @property
    def interrupt(self) -> bool:
        """Whether sampling stops before its next step; a callback may set ``pipeline._interrupt = True``."""
        return self._interrupt

    @property
    def num_timesteps(self) -> int:
        """Timesteps of the running call, or of the last one."""
        return self._num_timesteps

    @property
    def unet(self) -> nn.Module:
        """The denoiser's UNet."""
        unet: nn.Module = self.model.denoiser.unet
        return unet

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._offload_to or self._weight().device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self._weight().dtype

    def to(self, *args: Any, **kwargs: Any) -> Self:  # noqa: ANN401
        """Move the weights to a device or type, as :meth:`torch.nn.Module.to`."""
        self.model.to(*args, **kwargs)
        return self

    def enable_model_cpu_offload(self, device: torch.device | str = "cuda") -> None:
        """Keep the parts on the CPU, and bring those that are needed to a device: encoders, networks, decoder.

        Args:
            device: The device.
        """
        self.to("cpu")
        self._offload_to = torch.device(device)

    def set_progress_bar_config(self, **options: Any) -> None:  # noqa: ANN401
        """Set options of tqdm, such as ``disable=True``."""
        self._progress_bar = options

    @torch.no_grad()
    def __call__(
        self,
        ornament_image: ImageLike | Sequence[ImageLike],
        person_image: ImageLike | Sequence[ImageLike],
        box: AnyBox | Sequence[AnyBox],
        ornament_mask: ImageLike | Sequence[ImageLike | None] | None = None,
        *,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        num_images_per_prompt: int = 1,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        seed: int | Sequence[int] | None = None,
        latents: Tensor | None = None,
        region: Region = "mask",
        output_type: OutputType = "pil",
        return_dict: bool = True,
        return_attention: bool = False,
        callback_on_step_end: StepEndCallback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[CallbackTensor] = get_args(CallbackTensor),
        preview: bool = False,
        detail: bool | None = None,
        erase: bool = False,
        category: str | Sequence[str] | None = None,
    ) -> TryOnOutput:
        """Put ornaments on persons.

        Images are images of Pillow, paths, arrays (H, W, bands) or tensors (bands, H, W), of uint8 or of floats in
        [0, 1]. A list of them is a batch, and so are four dimensions; a single one serves for all of a batch. What is
        generated of a person does not depend on the rest of the batch.

        Args:
            ornament_image: The ornaments; transparency counts as white.
            person_image: The persons, of any size.
            box: Where the ornament is to be worn, (x0, y0, x1, y1) in pixels of the upright photograph: larger than
                the ornament by as much on each side as boxes in training were, a tenth to a quarter of its size. A
                fifth number tells the pose: the degrees by which that rectangle is turned about its centre, clockwise
                as a viewer sees it. The model then gets both, the turned rectangle and the upright box around it. What
                is in them is masked out before the networks see the person, unless they were trained to see it
                (``settings.bare``): by the denoiser the rectangle, by a warp the upright box.
            ornament_mask: White where the ornament is. Where there is none: the opacity of an image with
                transparency, else what differs from the colours at its border, else all of it.
            num_inference_steps: Denoising steps; None for those of the training's sampler.
            guidance_scale: 1 for none; None for that of the training's sampler.
            num_images_per_prompt: How many images are generated of each person, one after the other.
            generator: Its next number is the seed (one generator for all, or one for each generated image).
            seed: Seeds, one for each generated image. A single one serves for all persons; further generated images of
                a person take the numbers that follow it. None, without a generator, takes them from torch's global one,
                so that ``torch.manual_seed`` fixes what is generated.
            latents: The noise to begin with, standard normal, (B, c, h, w) for B generated images; None to draw it.
            region: Where the generated image is pasted: in the predicted ``mask`` (the ornament alone), or in the whole
                ``box`` (with the skin that was generated around it); of a turned box, it is the upright one around it.
            output_type: ``pil``, in the mode of the photograph; ``np``, (H, W, 3) in [0, 1]; ``pt``, (3, H, W) in
                [0, 1]; ``latent``, the latents.
            return_dict: False for a tuple of what the output has, the images first.
            return_attention: Measure where the network looked at the ornament (one more pass of the denoiser).
            callback_on_step_end: Called after each step.
            callback_on_step_end_tensor_inputs: What it is given; there are ``latents`` alone.
            preview: Stop after the warp, which takes one look and no denoising step.
            detail: Sample the ornament's image at the photograph's resolution, through the warp's field, and take
                light and shadow from the generated image; False pastes the generated image as it is. None for True
                where the model has a warp.
            erase: Mask the box out for any model, as for a person who wears something there already.
            category: Types of the ornaments, for a model with a prompt encoder.

        Returns:
            Images and what there is to look at.

        Raises:
            FileNotFoundError: If there is no file of that name.
            ValueError: If an image, a box, a number or a type cannot be used, the lists differ in length, or a type is
                needed and not given.
        """
        check_choice("region", region, Region)
        check_choice("output_type", output_type, OutputType)
        for name in callback_on_step_end_tensor_inputs:
            check_choice("callback_on_step_end_tensor_inputs", name, CallbackTensor)
        rows = align(ornament=ornament_image, mask=ornament_mask, person=person_image, box=box, category=category)
        categories = self._categories([row["category"] for row in rows])
        seeds = choose_seeds(len(rows), seed, generator, num_images_per_prompt)
        self._check_warp(preview, detail)
        sampler = self._sampler(num_inference_steps, guidance_scale, 0.0 if preview else self.settings.strength)
        size = self.settings.resolution
        ornaments = [crop_ornament(row["ornament"], row["mask"], size) for row in rows]
        persons = [crop_person(row["person"], row["box"], size, self.settings.crop_factor) for row in rows]
        ornaments, persons = repeat(ornaments, num_images_per_prompt), repeat(persons, num_images_per_prompt)
        extras = (self.settings.wide_view, self.settings.detail, self.settings.bare and not erase)
        types = repeat(categories, num_images_per_prompt) if categories else None
        batch = make_batch(ornaments, persons, seeds, self.device, self.dtype, *extras, types)
        model = self.model
        with self._at_work(model.autoencoder, model.image_encoder, model.prompt_encoder, model.warp):
            conditioning = model.encode(batch)
        with self._at_work(model.denoiser, model.reference_net, model.mask_head):
            generated = self._generate(sampler, conditioning, batch, latents, callback_on_step_end)
            look = partial(measure_attention, model, self.scheduler, conditioning, generated)
            attention = look(batch["sample_seed"], batch["box_mask"]) if return_attention else None
        with self._at_work(model.autoencoder):
            decoded = model.decode(generated.latents).float().cpu()
        refined = [predicted_masks(conditioning, each, like=batch["box_mask"]).cpu() for each in generated.refinements]
        masks = list(refined[-1][-1]) if len(refined[-1]) else [None] * len(persons)
        warps = None if conditioning.warp is None else split_rows(conditioning.warp)
        details: list[Detail | None] = [None] * len(persons)
        if warps is not None and detail is not False:
            details = [Detail(*pair) for pair in zip(warps, ornaments, strict=True)]
        pasted = [
            paste_generated(self.paste_back, *entries, whole_box=region == "box")
            for entries in zip(decoded, persons, masks, details, strict=True)
        ]
        if output_type == "latent":
            images: Any = generated.latents
        else:
            images = [convert(composite.image, output_type) for composite in pasted]
        output = TryOnOutput(
            images=images,
            masks=[composite.mask for composite in pasted],
            generated=(decoded + 1) / 2,
            refined_masks=refined,
            attention=None if attention is None else attention.cpu(),
            crops=[person.crop for person in persons],
            seeds=seeds,
            warps=warps,
        )
        return output if return_dict else output.to_tuple()

    def _categories(self, given: Sequence[str | None]) -> list[str]:
        """The types that a prompt encoder is told; none where there is no prompt."""
        for name in given:
            if name is not None:
                check_choice("category", name, Category)
        if not self.model.prompt_encoder.num_tokens:
            return []
        if None in given:
            raise ValueError(
                f"this model is told the type of the ornament; give category (--type), one of {', '.join(CATEGORIES)}"
            )
        return [str(name) for name in given]

    def _check_warp(self, preview: bool, detail: bool | None) -> None:
        if not self.model.warp.num_predictions and (preview or detail):
            name = "preview" if preview else "detail"
            raise ValueError(f"{name} needs a model with a warp, and this one has none; leave it out")

    def _sampler(self, steps: int | None, scale: float | None, strength: float) -> Sampler:
        """The sampler of one call."""
        number = self.settings.num_inference_steps if steps is None else steps
        guidance = self.settings.guidance_scale if scale is None else scale
        if guidance not in (0.0, 1.0) and not self.settings.condition_dropout:
            warnings.warn(
                f"guidance_scale={guidance} needs a model that was trained with condition_dropout, got one without; "
                "take 1",
                stacklevel=4,
            )
        return Sampler(number, guidance, refresh=self.settings.refresh, strength=strength)

    def _generate(
        self,
        sampler: Sampler,
        conditioning: Conditioning,
        batch: TryOnBatch,
        latents: Tensor | None,
        callback: StepEndCallback | None,
    ) -> SamplerOutput:
        for part in (self.model.denoiser, self.model.reference_net):
            if isinstance(getattr(part, "unet", None), UNet2DConditionModel):
                keep_processors(part.unet, getattr(part, "decoupled", None))
        self._interrupt = False
        self._num_timesteps = len(sampler.timesteps(self.scheduler, self.device)[1])
        with tqdm(total=self._num_timesteps, **self._progress_bar) as bar:

            def on_step(step: int, timestep: Tensor, latents: Tensor) -> Tensor | None:
                bar.update()
                changed = None if callback is None else callback(self, step, timestep, {"latents": latents})
                return (changed or {}).get("latents")

            return sampler(
                self.model,
                self.scheduler,
                conditioning,
                batch["sample_seed"],
                self.settings.steps_taken,
                on_step=on_step,
                latents=latents,
                interrupted=lambda: self._interrupt,
            )

    @contextmanager
    def _at_work(self, *parts: nn.Module) -> Iterator[None]:
        """Have parts on the device while they are needed, where the rest stays on the CPU."""
        if self._offload_to is None:
            yield
            return
        try:
            for part in parts:
                part.to(self._offload_to)
            yield
        finally:
            for part in parts:
                part.to("cpu")

    def _weight(self) -> Tensor:
        return next(self.model.parameters())
