"""What the page does with a pipeline: check what was chosen, preview, generate, and make the images to look at."""

import shutil
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from ornament_lit.diffusion.sampler import check_steps
from ornament_lit.imaging.crops import crop_ornament, tensor_to_image, tensor_to_mask
from ornament_lit.imaging.frames import pixel_grid
from ornament_lit.imaging.geometry import MID_GREY, AnyBox, crop_and_resize, read_box, visible_part
from ornament_lit.imaging.overlays import heat_over, point_colours
from ornament_lit.imaging.reading import MIN_SIDE, as_rgb, open_photograph
from ornament_lit.imaging.writing import encode_jpeg, save_image
from ornament_lit.pipeline.metadata import WornOrnament, image_metadata
from ornament_lit.pipeline.outputs import TryOnOutput
from ornament_lit.pipeline.pipeline import OrnamentTryOnPipeline, Region
from ornament_lit.utils.devices import DType

PREVIEW_SIDE = 1280
"""Longest side of the photograph that a preview is made on, in pixels."""
PANEL = 512
"""Side of the images that show how it came about, in pixels."""
LONGEST_NAME = 100
"""Bytes of an uploaded file's name that stand in the result's: file systems take 255 for both and ``-.png``."""

StepCallback = Callable[[int, int], None]
"""Called after each step with how many were taken and how many there are; may raise."""


class Stopped(Exception):
    """The person has pressed Stop, or is gone."""


class NamedFile(NamedTuple):
    """A file that was uploaded.

    Attributes:
        path: Where it lies.
        name: What the person calls it.
    """

    path: str
    name: str


@dataclass(frozen=True)
class Order:
    """What is to be generated.

    Attributes:
        ornament: Image of the ornament.
        person: Photograph of the person.
        box: Where it is worn, in pixels of the upright photograph.
        category: Type of the ornament.
        steps: Denoising steps; None for the pipeline's own.
        seed: Seed of the noise.
        region: Where the generated image is pasted.
        erase: Whether what is in the box is hidden from the model.
    """

    ornament: NamedFile
    person: NamedFile
    box: AnyBox
    category: str | None = None
    steps: int | None = None
    seed: int = 0
    region: Region = "mask"
    erase: bool = False


class Preview(NamedTuple):
    """The warp's answer at reduced size.

    Attributes:
        jpeg: The part of the photograph around the box.
        place: Where it belongs, (x0, y0, x1, y1) as shares of the photograph's width and height.
    """

    jpeg: bytes
    place: tuple[float, float, float, float]


class Panel(NamedTuple):
    """An image that shows how it came about.

    Attributes:
        title: What it shows.
        image: ``RGB``.
    """

    title: str
    image: Image.Image


class Worn(NamedTuple):
    """A result.

    Attributes:
        path: The PNG, of the photograph's size.
        size: Its width and height.
        panels: What was generated, the predicted mask, and where the model looked.
        warnings: What the person should know.
    """

    path: Path
    size: tuple[int, int]
    panels: list[Panel]
    warnings: list[str]


class Generator:
    """A pipeline that serves one person after another.

    Args:
        pipeline: The pipeline.
        folder: Where results are written.
        dtype: Type of the numbers, noted in the images' files.
    """

    def __init__(self, pipeline: OrnamentTryOnPipeline, folder: Path, dtype: DType = "float32") -> None:
        self.pipeline = pipeline
        self.dtype = dtype
        self.folder = folder
        self.has_warp = bool(pipeline.model.warp.num_predictions)
        self.has_steps = pipeline.settings.strength > 0
        self._one_at_a_time = threading.Lock()
        pipeline.set_progress_bar_config(disable=True)

    def preview(self, order: Order) -> Preview:
        """Lay the ornament on a reduced photograph by the warp alone.

        Raises:
            ValueError: If something cannot be used.
        """
        person, factor = _reduced(order.person)
        ornament, _ = _reduced(order.ornament)
        box = read_box([*(edge * factor for edge in order.box[:4]), *order.box[4:]])
        with self._one_at_a_time:
            output = self.pipeline(
                ornament, person, box, seed=order.seed, preview=True, erase=order.erase, category=order.category
            )
        width, height = person.size
        part = visible_part(output.crops[0], width, height)
        place = (part[0] / width, part[1] / height, part[2] / width, part[3] / height)
        return Preview(encode_jpeg(as_rgb(output.images[0].crop(part)), 92), place)

    def generate(self, order: Order, on_step: StepCallback, session: str) -> Worn:
        """Generate what is ordered.

        Args:
            order: What.
            on_step: Called after each step; what it raises ends the work.
            session: Whose it is; an earlier result of the same session is replaced.

        Raises:
            ValueError: If something cannot be used.
        """
        if order.steps is not None:
            check_steps(order.steps, self.pipeline.scheduler)

        def after_step(pipeline: OrnamentTryOnPipeline, step: int, *_: object) -> None:
            on_step(step + 1, pipeline.num_timesteps)

        with self._one_at_a_time, collected_warnings() as told:
            on_step(0, 0)
            ornament, person = _opened(order.ornament), _opened(order.person)
            output = self.pipeline(
                ornament,
                person,
                order.box,
                num_inference_steps=order.steps,
                seed=order.seed,
                region=order.region,
                erase=order.erase,
                category=order.category,
                return_attention=True,
                callback_on_step_end=after_step,
            )
        path = self._write(output.images[0], order, session)
        return Worn(path, person.size, panels_of(output, _reduced(order.ornament)[0], person), told)

    def forget(self, session: str) -> None:
        """Delete a session's result."""
        shutil.rmtree(self._folder_of(session), ignore_errors=True)

    def _folder_of(self, session: str) -> Path:
        """Where a session's result lies. Whoever asks says what the session is called, so that may be no path."""
        return self.folder / sha256(session.encode()).hexdigest()

    def _write(self, image: Image.Image, order: Order, session: str) -> Path:
        self.forget(session)
        folder = self._folder_of(session)
        folder.mkdir(parents=True)
        path = folder / f"{_stem(order.person)}-{_stem(order.ornament)}.png"
        worn = WornOrnament(order.ornament.name, order.box, order.category)
        told = image_metadata(
            self.pipeline,
            [worn],
            order.seed,
            steps=order.steps,
            region=order.region,
            erase=order.erase,
            dtype=self.dtype,
        )
        save_image(image, path, told)
        return path


def check_ornament(file: NamedFile) -> None:
    """Check an image of an ornament.

    Raises:
        ValueError: If it cannot be used.
    """
    crop_ornament(_opened(file), None, MIN_SIDE)


def check_person(file: NamedFile) -> None:
    """Check a photograph of a person.

    Raises:
        ValueError: If it cannot be used.
    """
    _reduced(file)


def panels_of(output: TryOnOutput, ornament: Image.Image, person: Image.Image) -> list[Panel]:
    """Images that show how a result came about.

    Args:
        output: Of one person, with the attention.
        ornament: The ornament's image; a reduced one does.
        person: The photograph.
    """
    window = crop_and_resize(as_rgb(person), output.crops[0], PANEL, MID_GREY)
    panels = [Panel("What was generated", _enlarged(tensor_to_image(output.generated[0] * 2 - 1)))]
    mask = output.warps[0].coverage[0] if output.warps else None
    if mask is None and len(output.refined_masks[-1]):
        mask = output.refined_masks[-1][-1, 0]
    if mask is not None:
        panels.append(Panel("Predicted mask", heat_over(window, _enlarged(tensor_to_mask(mask)))))
    if output.attention is not None:
        mass = output.attention[0] / output.attention[0].max().clamp(min=1e-6)
        panels.append(Panel("Where it looked at the ornament", heat_over(window, _enlarged(tensor_to_mask(mass)))))
    if output.warps:
        seen = crop_ornament(ornament, None, PANEL)
        pair = Image.new("RGB", (2 * PANEL, PANEL))
        pair.paste(point_colours(tensor_to_image(seen.image), pixel_grid((PANEL, PANEL), seen.mask), seen.mask), (0, 0))
        pair.paste(point_colours(window, output.warps[0].uv[0], output.warps[0].coverage[0]), (PANEL, 0))
        panels.append(Panel("Where it looked: the same colour is the same point", pair))
    return panels


_listening = threading.local()


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Collect what this thread warns the user of, where :func:`warnings_by_thread` is in force."""
    told: list[str] = []
    _listening.told = told
    try:
        yield told
    finally:
        del _listening.told


@contextmanager
def warnings_by_thread() -> Iterator[None]:
    """Hand warnings of ours to the thread that collects them; nobody sees those of others."""

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:  # noqa: ANN401
        told = getattr(_listening, "told", None)
        if told is not None and issubclass(category, UserWarning) and str(message) not in told:
            told.append(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield


def _opened(file: NamedFile) -> Image.Image:
    """An uploaded file as a photograph.

    Raises:
        ValueError: If it cannot be used, or is no longer there.
    """
    try:
        return open_photograph(file.path, file.name).pixels
    except FileNotFoundError as error:
        raise ValueError(f"{file.name} is no longer here; choose it again") from error


def _stem(file: NamedFile) -> str:
    return Path(file.name).stem.encode()[:LONGEST_NAME].decode(errors="ignore")


def _reduced(file: NamedFile) -> tuple[Image.Image, float]:
    """A photograph of at most :data:`PREVIEW_SIDE` pixels a side, and how much smaller it is."""
    path = Path(file.path)
    return _reduced_once(file, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=16)
def _reduced_once(file: NamedFile, modified: int) -> tuple[Image.Image, float]:
    pixels = _opened(file)
    longest = max(pixels.size)
    pixels = as_rgb(pixels) if pixels.mode == "I;16" else pixels
    pixels.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    return pixels, max(pixels.size) / longest


def _enlarged(image: Image.Image) -> Image.Image:
    return image.resize((PANEL, PANEL), Image.Resampling.BICUBIC)
