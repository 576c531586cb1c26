"""The page: what is on it, and what happens when something is chosen, drawn or pressed."""

import base64
import html
import traceback
from collections.abc import Callable
from typing import Any, get_args

import gradio as gr
from fastapi import FastAPI

from ornament_lit.demo.components import BoxPicker, ImageFile
from ornament_lit.demo.examples import EXAMPLES, Example, examples
from ornament_lit.demo.generating import Generator, NamedFile, Order, Stopped, Worn, check_ornament, check_person
from ornament_lit.demo.jobs import Jobs
from ornament_lit.imaging.foreground import on_white
from ornament_lit.imaging.geometry import read_box
from ornament_lit.imaging.reading import as_rgb, open_photograph
from ornament_lit.imaging.writing import encode_jpeg
from ornament_lit.utils.categories import CATEGORIES, Category
from ornament_lit.utils.versions import VERSION

LARGEST_UPLOAD = "64mb"
LARGEST_SEED = 2**53 - 1
"""What a browser counts to without loss."""
MOST_STEPS = 200
MOST_WAITING = 8
PANELS = 3
THUMBNAIL = 176
FORGET_EVERY, FORGET_AFTER = 600, 86400
"""Seconds after which uploads are looked through, and deleted."""
QUIET = {"api_visibility": "private", "show_progress": "hidden"}
CSS = """
footer { display: none !important; }
#head p { margin: .2rem 0; }
#shelf img { width: 88px; height: 88px; object-fit: cover; border-radius: 6px; display: inline-block; margin: 2px; }
.info-text { color: var(--body-text-color) !important; }
"""
THEME = gr.themes.Default(
    primary_hue=gr.themes.colors.amber, font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
).set(
    button_primary_background_fill="#7a3e00",
    button_primary_background_fill_hover="#5e3000",
    button_primary_background_fill_dark="#f2b24c",
    button_primary_background_fill_hover_dark="#ffc870",
    button_primary_text_color="#ffffff",
    button_primary_text_color_dark="#1c1200",
)
NO_ORNAMENT = "Choose an image of the ornament first."
NO_PERSON = "Choose a photograph of the person first."
NO_BOX = "Drag a box where the ornament is to be worn first."
FAULT = "A fault of the program, not of your photographs. The terminal where the page was started tells more."

BoxedPhotograph = tuple[NamedFile, list[float] | None]
"""A photograph and the box on it."""


class Page:
    """The page of a model.

    Args:
        generator: What generates.

    Attributes:
        jobs: What is running.
        blocks: The page, for Gradio.
    """

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.jobs = Jobs()
        self.blocks = self._build()

    def mounted(self, application: FastAPI) -> FastAPI:
        """Put the page into an application, and let Gradio refuse paths of files that nobody has uploaded.

        It does so once it has launched, which a page of another application never does.
        """
        self.blocks.has_launched = True
        mounted: FastAPI = gr.mount_gradio_app(
            application,
            self.blocks.queue(max_size=MOST_WAITING),
            path="",
            show_error=False,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            max_file_size=LARGEST_UPLOAD,
            allowed_paths=[str(EXAMPLES)],
            app_kwargs={"openapi_url": None},
            theme=THEME,
            css=CSS,
        )
        return mounted

    def _build(self) -> gr.Blocks:
        options = {"title": "ornament_lit", "delete_cache": (FORGET_EVERY, FORGET_AFTER)}
        with gr.Blocks(analytics_enabled=False, **options) as blocks:
            gr.Markdown(f"# Try an ornament on\n{about(self.generator)}", elem_id="head")
            with gr.Row():
                with gr.Column(min_width=280):
                    ornament, settings = self._ornament_column()
                with gr.Column(min_width=280):
                    person = BoxPicker(elem_id="person", label="2  Person", show_label=True, container=True)
                    with gr.Row():
                        go = gr.Button("Try it on", variant="primary", elem_id="go", min_width=120)
                        halt = gr.Button("Stop", elem_id="stop", min_width=80, interactive=False)
                with gr.Column(min_width=280):
                    result, download, note = self._result_column()
            shelf = self._shelf()
            with gr.Accordion("How it came about", open=True, elem_id="inside"), gr.Row():
                shown = [gr.Image(visible=False, **_panel(f"panel-{number}")) for number in range(PANELS)]
            given, made = [ornament, person, *settings], [result, download, note, *shown]
            self._on_choosing(given, made, shelf)
            self._on_pressing(go, halt, given, made)
            blocks.unload(self._leave)
        return blocks

    def _ornament_column(self) -> tuple[ImageFile, list[Any]]:
        ornament = ImageFile(
            label="1  Ornament",
            sources=["upload", "clipboard"],
            type="filepath",
            height=300,
            elem_id="ornament",
            buttons=[],
            placeholder="Drop the ornament's image here, paste it, or press to choose a file\n\n"
            "best cut out, as a PNG with transparency",
        )
        told = self.generator.pipeline.model.prompt_encoder.num_tokens
        kind = gr.Radio(
            list(CATEGORIES),
            value=CATEGORIES[0],
            label="Type",
            info="told to the model" if told else "noted in the image's file; the model is not told",
            elem_id="kind",
        )
        with gr.Accordion("Seed and more", open=False, elem_id="more"):
            number = self.generator.pipeline.settings.num_inference_steps
            most, shown = max(MOST_STEPS, number), self.generator.has_steps
            steps = gr.Slider(1, most, number, step=1, label="Steps", elem_id="steps", visible=shown)
            same = "the same seed gives the same image"
            limits = {"precision": 0, "minimum": 0, "maximum": LARGEST_SEED}
            seed = gr.Number(0, label="Seed", info=same, elem_id="seed", **limits)
            region = gr.Radio(
                [("the ornament alone (predicted mask)", "mask"), ("the whole box", "box")],
                value="mask",
                label="Paste",
                elem_id="region",
            )
            worn = "They wear something there already"
            erase = gr.Checkbox(False, label=worn, info="hides the box from the model", elem_id="erase")
        return ornament, [kind, steps, seed, region, erase]

    def _result_column(self) -> tuple[gr.Image, gr.DownloadButton, gr.Markdown]:
        options = {"interactive": False, "buttons": ["fullscreen"], "format": "png", "height": 430}
        result = gr.Image(label="3  Worn", elem_id="result", alt_text="the person with the ornament", **options)
        download = gr.DownloadButton("Download PNG", interactive=False, elem_id="download")
        return result, download, gr.Markdown(elem_id="note")

    def _shelf(self) -> gr.Dataset:
        self._examples = examples()
        return gr.Dataset(
            components=[gr.HTML(render=False)],
            samples=[[_card(example)] for example in self._examples],
            type="index",
            layout="gallery",
            label="Examples to begin with (rendered, not photographed)",
            elem_id="shelf",
        )

    def _on_choosing(self, given: list[Any], made: list[Any], shelf: gr.Dataset) -> None:
        """Check what is uploaded, take away what belongs to something else, and preview."""
        ornament, person, kind, *_, erase = given
        ornament.upload(_checked(check_ornament), ornament, ornament, **QUIET)
        person.upload(self._check_person, person, person, **QUIET)
        events = (ornament.upload, ornament.clear, person.upload, person.clear, shelf.click)
        gr.on(events, self._cleared, None, made, queue=False, **QUIET)
        taken = shelf.click(self._example, shelf, [ornament, person, kind], **QUIET)
        if self.generator.has_warp:
            preview = {"inputs": given, "outputs": person, "trigger_mode": "always_last", **QUIET}
            gr.on(
                (person.input, ornament.change, erase.input, kind.input),
                self._preview,
                concurrency_limit=1,
                concurrency_id="preview",
                **preview,
            )
            taken.then(self._preview, concurrency_limit=1, concurrency_id="preview", **preview)

    def _on_pressing(self, go: gr.Button, halt: gr.Button, given: list[Any], made: list[Any]) -> None:
        result, _, note, *_ = made
        go.click(lambda: gr.update(interactive=True), None, halt, queue=False, **QUIET)
        job = go.click(
            self._run,
            given,
            made,
            concurrency_limit=1,
            concurrency_id="generate",
            show_progress_on=result,
            scroll_to_output=True,
            trigger_mode="once",
            api_visibility="private",
        )
        job.then(lambda: gr.update(interactive=False), None, halt, queue=False, **QUIET)
        halt.click(self._stop, None, [halt, note], cancels=[job], queue=False, **QUIET)

    def _check_person(self, chosen: BoxedPhotograph | None) -> Any:  # noqa: ANN401
        return gr.skip() if chosen is None else _checked(check_person)(chosen[0])

    def _cleared(self) -> list[Any]:
        nothing = [None, gr.update(value=None, interactive=False), ""]
        return nothing + [gr.update(value=None, visible=False)] * PANELS

    def _example(self, index: int) -> tuple[NamedFile, BoxedPhotograph, str]:
        example = self._examples[index]
        return example.ornament, (example.person, list(example.box)), example.category

    def _preview(self, *given: Any) -> Any:  # noqa: ANN401
        ornament, person, *_ = given
        if ornament is None or person is None or not person[1]:
            return gr.update(preview=None)
        try:
            preview = self.generator.preview(order_of(given))
        except ValueError:
            return gr.update(preview=None)
        source = f"data:image/jpeg;base64,{base64.b64encode(preview.jpeg).decode()}"
        return gr.update(
            preview={"src": source, "place": preview.place, "path": person[0].path, "box": _plain(person[1])}
        )

    def _run(
        self,
        ornament: NamedFile | None,
        person: BoxedPhotograph | None,
        kind: str,
        steps: float,
        seed: float | None,
        region: str,
        erase: bool,
        request: gr.Request,
        progress: Any = gr.Progress(),  # noqa: ANN401, B008
    ) -> Any:  # noqa: ANN401
        given = (ornament, person, kind, steps, seed, region, erase)
        nothing = (gr.skip(),) * (3 + PANELS)
        missing = what_is_missing(given)
        if missing:
            gr.Warning(missing)
            return nothing
        session = str(request.session_hash)
        try:
            with self.jobs.running(session) as stop:

                def on_step(step: int, total: int) -> None:
                    self.jobs.check(stop)
                    progress((step, total) if total else 0, desc="sampling" if step else "reading", unit="steps")

                worn = self.generator.generate(order_of(given), on_step, session)
        except Stopped:
            return nothing
        except (ValueError, OSError) as error:
            gr.Warning(html.escape(str(error)), duration=None)
            return nothing
        except Exception:
            traceback.print_exc()
            raise gr.Error(FAULT, duration=None, print_exception=False) from None
        for warning in worn.warnings:
            gr.Warning(html.escape(warning))
        return self._shown(worn, int(seed or 0))

    def _shown(self, worn: Worn, seed: int) -> list[Any]:
        width, height = worn.size
        note = f"{width} x {height} pixels, seed {seed}"
        panels = [
            gr.update(value=panel.image, label=panel.title, alt_text=panel.title, visible=True)
            for panel in worn.panels[:PANELS]
        ]
        panels += [gr.update(value=None, visible=False)] * (PANELS - len(panels))
        return [str(worn.path), gr.update(value=str(worn.path), interactive=True), note, *panels]

    def _stop(self, request: gr.Request) -> Any:  # noqa: ANN401
        self.jobs.stop(str(request.session_hash))
        return gr.update(interactive=False), "Stopped; nothing was changed."

    def _leave(self, request: gr.Request) -> None:
        self.jobs.stop(str(request.session_hash))
        self.generator.forget(str(request.session_hash))


def about(generator: Generator) -> str:
    """What a person should know of the model, in Markdown."""
    side = generator.pipeline.settings.resolution
    if not generator.has_steps:
        kind = (
            "This model lays the ornament's own photograph over the person, bent to fit and lit. It takes the size "
            "from your box, and gets bracelets wrong more often than the rest."
        )
    elif side < 256:
        kind = (
            f"This model generates {side} x {side} pixels around the box: **a small model to try things with; expect "
            "good masks and blurred ornaments.**"
        )
    else:
        kind = f"This model generates {side} x {side} pixels around the box."
    return (
        "Choose the ornament and the person, drag a box where it is worn (turn it where the finger or arm is not "
        f"upright), press *Try it on*. {kind} Photographs stay on this computer. ornament_lit {VERSION}"
    )


def what_is_missing(given: tuple[Any, ...]) -> str | None:
    """What must be chosen before anything can be generated; None where all is there."""
    ornament, person, *_ = given
    if ornament is None:
        return NO_ORNAMENT
    if person is None:
        return NO_PERSON
    return None if person[1] else NO_BOX


def order_of(given: tuple[Any, ...]) -> Order:
    """What the page has sent, as an order.

    Raises:
        ValueError: If the box is none, or a number or a word is not among those on the page.
    """
    ornament, (person, box), kind, steps, seed, region, erase = given
    if kind not in get_args(Category):
        raise ValueError(f"the type must be one of {', '.join(CATEGORIES)}, got {kind!r}")
    if seed is None or not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"the seed must be from 0 to {LARGEST_SEED}, got {seed}")
    return Order(ornament, person, read_box(box), kind, int(steps), int(seed), region, bool(erase))


def _checked(check: Callable[[NamedFile], None]) -> Callable[[NamedFile | None], Any]:
    """A check that tells what is wrong and takes the file away again."""

    def checked(file: NamedFile | None) -> Any:  # noqa: ANN401
        if file is None:
            return gr.skip()
        try:
            check(file)
        except ValueError as error:
            gr.Warning(html.escape(str(error)), duration=None)
            return None
        return gr.skip()

    return checked


def _panel(name: str) -> dict[str, Any]:
    return {"interactive": False, "elem_id": name, "height": 260, "min_width": 160, "buttons": ["fullscreen"]}


def _card(example: Example) -> str:
    """Ornament and person side by side, as HTML that needs no file."""
    images = [as_rgb(on_white(open_photograph(file.path).pixels)) for file in (example.ornament, example.person)]
    encoded = [base64.b64encode(encode_jpeg(image.resize((THUMBNAIL, THUMBNAIL)), 85)).decode() for image in images]
    shown = "".join(f'<img alt="" src="data:image/jpeg;base64,{each}">' for each in encoded)
    return f"<div>{shown}<br>{example.category}</div>"


def _plain(box: list[float]) -> list[float]:
    """Numbers as the page writes them, so that it knows its box again."""
    return [int(number) if number == int(number) else number for number in box]
