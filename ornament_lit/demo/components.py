"""Components of the page: a photograph with a box on it, and an image as the very file that was chosen."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr
import gradio.component_meta
from gradio.data_classes import FileData, GradioModel, ImageData
from gradio.utils import get_upload_folder

from ornament_lit.demo.generating import NamedFile

gradio.component_meta.create_or_modify_pyi = lambda *_: None  # it would write a stub beside this file for each class

HERE = files("ornament_lit") / "demo"


class BoxOnImage(GradioModel):
    """What goes between the page and the server.

    Attributes:
        image: The photograph.
        box: In pixels of the upright photograph: four numbers, or five with the angle.
    """

    image: FileData | None = None
    box: list[float] | None = None


class BoxPicker(gr.HTML):
    """A photograph and a box that is drawn on it by mouse, touch or keys, and can be turned.

    Its value in Python is None or a pair: a :class:`ornament_lit.demo.generating.NamedFile`, and the box or None. The
    option ``preview`` is laid over the photograph as long as its box is the one that is drawn.

    Args:
        value: What it begins with.
        options: Those of ``gr.HTML``.
    """

    data_model = BoxOnImage

    def __init__(self, value: Any = None, **options: Any) -> None:  # noqa: ANN401
        html, css, js = ((HERE / f"box_picker.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
        options = {"preview": None, **options}
        super().__init__(value, html_template=html, css_template=css, js_on_load=js, **options)

    def preprocess(self, payload: BoxOnImage | None) -> tuple[NamedFile, list[float] | None] | None:
        """From what the page sends to what Python gets."""
        if payload is None or payload.image is None:
            return None
        return _uploaded(payload.image), payload.box

    def postprocess(self, value: tuple[NamedFile, list[float] | None] | None) -> BoxOnImage:
        """From what Python returns to what the page gets."""
        if value is None:
            return BoxOnImage()
        (path, name), box = value
        return BoxOnImage(image=FileData(path=path, orig_name=name), box=box)

    def api_info(self) -> dict[str, Any]:
        """Its schema."""
        return dict(BoxOnImage.model_json_schema())

    def example_payload(self) -> None:
        """None."""

    def example_value(self) -> None:
        """None."""


class ImageFile(gr.Image):
    """An image whose value in Python is the chosen file, a :class:`ornament_lit.demo.generating.NamedFile`.

    Nothing opens or encodes it before our own rules do.
    """

    def get_block_name(self) -> str:
        """Name of the component in the browser."""
        return "image"

    def preprocess(self, payload: ImageData | None) -> NamedFile | None:
        """From what the page sends to what Python gets."""
        return None if payload is None else _uploaded(payload)

    def postprocess(self, value: NamedFile | None) -> ImageData | None:
        """From what Python returns to what the page gets."""
        return None if value is None else ImageData(path=value.path, orig_name=value.name)


def _uploaded(data: FileData | ImageData) -> NamedFile:
    """The file that was uploaded.

    Raises:
        gr.Error: If it was not: an address, pixels without a file, or another file of this machine.
    """
    path = Path(data.path or "")
    if not path.resolve().is_relative_to(Path(get_upload_folder()).resolve()):
        raise gr.Error("Choose a file.", print_exception=False)
    return NamedFile(str(path), data.orig_name or path.name)
