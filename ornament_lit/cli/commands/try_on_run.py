"""What ``try-on`` does: load, generate, write."""

import errno
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ornament_lit.cli.commands.try_on_options import TryOnOptions, WornOptions
from ornament_lit.cli.commands.try_on_requests import Request, read_list, request_of
from ornament_lit.diffusion.sampler import check_steps
from ornament_lit.imaging.crops import crop_ornament
from ornament_lit.imaging.geometry import check_box
from ornament_lit.imaging.reading import MIN_SIDE, open_photograph
from ornament_lit.imaging.writing import check_output, save_image
from ornament_lit.pipeline import OrnamentTryOnPipeline
from ornament_lit.pipeline.loading import load_pipeline
from ornament_lit.pipeline.metadata import WornOrnament, image_metadata
from ornament_lit.pipeline.outputs import TryOnOutput
from ornament_lit.utils.files import check_folder


class Images(NamedTuple):
    """The images of a request, opened and found usable.

    Attributes:
        person: The photograph.
        ornaments: Of each ornament, its image and its mask, if there is one.
    """

    person: Image.Image
    ornaments: list[tuple[Image.Image, Image.Image | None]]


def run(options: TryOnOptions, worn: list[WornOptions]) -> None:
    """Generate what the options ask for.

    Args:
        options: Checked options.
        worn: The ornaments.

    Raises:
        ValueError: If something cannot be used; nothing is written then.
        FileNotFoundError: If a file is absent; nothing is written then.
        SystemExit: With 1, if some images of a list could not be generated.
    """
    with plain_warnings():
        if options.batch is None:
            request = request_of(options, worn)
            images = open_images(request)
            draw(load(options), request, images, options)
            print(request.output)
        else:
            folder = Path(options.output or "")
            check_folder(folder)
            run_list(options, read_list(options.batch, folder, options.seed))


def run_list(options: TryOnOptions, requests: list[Request]) -> None:
    """Generate a list; what cannot be generated is told, and the rest goes on.

    Raises:
        SystemExit: With 1, if some could not be generated.
        OSError: If the disk is full.
    """
    pipeline = load(options)
    failed = 0
    for number, request in enumerate(requests, start=1):
        pipeline.set_progress_bar_config(disable=None, desc=f"{number}/{len(requests)} {request.output.name}")
        try:
            request.output.parent.mkdir(parents=True, exist_ok=True)
            draw(pipeline, request, open_images(request), options)
        except (ValueError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            failed += 1
            print(f"{request.name}: {error}", file=sys.stderr)
    print(f"{len(requests) - failed} of {len(requests)} images: {options.output}")
    if failed:
        raise SystemExit(1)


def load(options: TryOnOptions) -> OrnamentTryOnPipeline:
    """Load the pipeline that options name.

    Raises:
        ValueError: If it cannot be loaded, or not take so many steps.
        FileNotFoundError: If it is not there.
    """
    source = (options.checkpoint, options.pipeline, options.raw, options.resolution)
    pipeline = load_pipeline(*source, options.device, options.dtype)
    if options.steps is not None:
        check_steps(options.steps, pipeline.scheduler)
    pipeline.set_progress_bar_config(disable=None, desc="sampling")
    return pipeline


def open_images(request: Request) -> Images:
    """Open the images of a request, and check its boxes, masks and output, before a model is loaded.

    Raises:
        ValueError: If one cannot be used.
        FileNotFoundError: If one is absent.
    """
    person = open_photograph(request.person).pixels
    check_output(request.output, person.mode)
    ornaments = [
        (open_photograph(worn.ornament).pixels, open_photograph(worn.mask).pixels if worn.mask else None)
        for worn in request.worn
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the pipeline checks again
        for worn, (ornament, mask) in zip(request.worn, ornaments, strict=True):
            check_box(worn.box, *person.size)
            crop_ornament(ornament, mask, MIN_SIDE)
    return Images(person, ornaments)


def draw(pipeline: OrnamentTryOnPipeline, request: Request, images: Images, options: TryOnOptions) -> None:
    """Put the ornaments on the person, one after another, and write the image and, if wanted, its masks.

    Args:
        pipeline: The pipeline.
        request: What to generate.
        images: Its images.
        options: Steps, guidance, region, masks and so on.
    """
    image, outputs = images.person, []
    for (ornament, mask), worn in zip(images.ornaments, request.worn, strict=True):
        output = pipeline(
            ornament,
            image,
            worn.box,
            mask,
            num_inference_steps=options.steps,
            guidance_scale=options.guidance,
            seed=request.seed,
            region=options.region,
            preview=options.preview,
            detail=options.detail,
            erase=options.erase,
            category=worn.kind,
        )
        outputs.append(output)
        image = output.images[0]
    told = [
        WornOrnament(worn.ornament.name, worn.box, worn.kind, worn.mask.name if worn.mask else None)
        for worn in request.worn
    ]
    metadata = image_metadata(
        pipeline,
        told,
        request.seed,
        steps=options.steps,
        guidance=options.guidance,
        region=options.region,
        preview=options.preview,
        detail=options.detail,
        erase=options.erase,
        dtype=options.dtype,
    )
    if options.save_masks:
        for name, mask_image in masks_of(outputs):
            save_image(mask_image, request.output.with_name(f"{request.output.stem}.{name}.png"), metadata)
    save_image(image, request.output, metadata)


def masks_of(outputs: list[TryOnOutput]) -> Iterator[tuple[str, Image.Image]]:
    """Masks of the ornaments and their names: what was changed, and the prediction of each iteration."""
    for number, output in enumerate(outputs, start=1):
        of_which = f"{number}." if len(outputs) > 1 else ""
        yield f"{of_which}changed", output.masks[0]
        for iteration, mask in enumerate(output.refined_masks[-1], start=1):
            yield f"{of_which}mask-{iteration}", output.over_photograph(mask[0])


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Tell each warning in one line, without the place in the code."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        print(f"warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
