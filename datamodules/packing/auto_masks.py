"""Masks by Segment Anything (transformers' ``SamModel``), for rows that have none.

They become files in ``auto_masks/`` beside the shards: look at them, mend what is wrong, and pack again. A file that is
there is never made anew.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import SamModel, SamProcessor

from datamodules.packing.checks import MAX_AREA, area_share
from datamodules.packing.crops import crop_around
from datamodules.packing.images import read_photograph
from datamodules.packing.rows import Row
from datamodules.packing.rules import Problem, RowError
from ornament_lit.imaging.geometry import AnyBox, Box, box_corners, clip_bounding_box, fill_polygon, oriented
from ornament_lit.imaging.writing import encode_png
from ornament_lit.utils.files import write_file

FOLDER = "auto_masks"
NEEDED = {  # what to bring, and the names under which it may lie there
    "config.json": ("config.json",),
    "preprocessor_config.json": ("preprocessor_config.json", "processor_config.json"),
    "model.safetensors": ("model.safetensors", "model.safetensors.index.json"),
}
WAY_OUT = (
    f"bring {', '.join(NEEDED)} of a SAM (such as https://huggingface.co/facebook/sam-vit-base) into a folder and "
    "give --auto-mask FOLDER"
)
INSET = 0.02
CONTEXT = 2.5


class MaskMaker:
    """Makes masks for boxes.

    Args:
        path: A folder with a SAM in the format of transformers, or the id of a hub repository
            (``facebook/sam-vit-base``).
        device: Where to compute; None for a GPU where there is one.

    Raises:
        FileNotFoundError: If the weights are neither there nor can be loaded.
    """

    def __init__(self, path: str, device: str | None = None) -> None:
        """Load processor and model."""
        folder = Path(path).expanduser()
        absent = [name for name, names in NEEDED.items() if not any((folder / other).is_file() for other in names)]
        local = folder.exists() or path.startswith((".", "/", "~")) or path.count("/") != 1
        if local and absent:
            raise FileNotFoundError(
                f"{folder} must hold a SAM of transformers, it lacks {', '.join(absent)}; {WAY_OUT}"
            )
        source = str(folder) if local else path
        try:
            self._processor: Any = SamProcessor.from_pretrained(source)
            model: Any = SamModel.from_pretrained(source, use_safetensors=True)
        except OSError as error:
            raise FileNotFoundError(f"no SAM could be loaded from {path!r} ({error}); {WAY_OUT}") from error
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._model: Any = model.float().to(self._device).eval()

    def segment(self, image: Image.Image, box: Box) -> Image.Image:
        """Segment what a box holds.

        Args:
            image: The image, ``RGB``.
            box: Where to look, in its pixels; nothing outside of it becomes part of the mask.

        Returns:
            The mask, ``L``: of the model's candidates that do not fill the box, the one that it rates highest.
        """
        inputs = self._processor(image, input_boxes=[[list(box)]], return_tensors="pt")
        sizes = inputs["original_sizes"], inputs["reshaped_input_sizes"]
        with torch.inference_mode():
            outputs = self._model(**inputs.to(self._device), multimask_output=True)
        masks = self._processor.post_process_masks(outputs.pred_masks.cpu(), *sizes)[0][0].numpy()
        scores = outputs.iou_scores[0, 0].tolist()
        candidates = [_keep_inside(mask, box) for mask in masks]
        ranked = sorted(range(len(scores)), key=lambda index: -scores[index])
        usable = [index for index in ranked if not _fills(candidates[index], box)]
        return candidates[(usable or ranked)[0]]


def add_masks(rows: Iterable[Row], maker: MaskMaker, folder: Path) -> Iterator[Row | Problem]:
    """Make the masks that rows lack, and keep them as PNG.

    Args:
        rows: Rows with or without masks.
        maker: The model.
        folder: Where the masks go.

    Yields:
        For each row, the row with its masks, or what is wrong with it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        try:
            yield _add_masks(row, maker, folder)
        except RowError as error:
            yield Problem(row.number, row.key, error.file, error.rule, error.value)


def _add_masks(row: Row, maker: MaskMaker, folder: Path) -> Row:
    if row.ornament_mask is None:
        path = folder / f"{row.key}.ornament_mask.png"
        if not path.exists():
            image, opacity = read_photograph(row.ornament)
            _save(opacity or maker.segment(image, _whole(image)), path)
        row = replace(row, ornament_mask=path)
    if row.wearing_mask is None:
        path = folder / f"{row.key}.wearing_mask.png"
        if not path.exists():
            _save(_worn_mask(row, maker), path)
        row = replace(row, wearing_mask=path)
    return row


def _whole(image: Image.Image) -> Box:
    width, height = image.size
    return INSET * width, INSET * height, (1 - INSET) * width, (1 - INSET) * height


def _worn_mask(row: Row, maker: MaskMaker) -> Image.Image:
    """Segment the surroundings of the box only: the model scales what it sees to about a thousand pixels."""
    if row.box is None:
        raise RowError("no_box", "wearing_mask is to be made")
    image, _ = read_photograph(row.person)
    try:
        box = clip_bounding_box(row.box, *image.size)
    except ValueError as error:
        raise RowError("box_outside", str(error)) from error
    crop = crop_around(box, CONTEXT, image.size, max(image.size))
    x0, y0, x1, y1 = box
    inside = x0 - crop.left, y0 - crop.top, x1 - crop.left, y1 - crop.top
    mask = Image.new("L", image.size)
    found = maker.segment(image.crop(crop[:4]), inside)
    mask.paste(_keep_in_oriented(found, row.box, crop[:2]), crop[:2])
    return mask


def _keep_in_oriented(mask: Image.Image, box: AnyBox, start: tuple[int, int]) -> Image.Image:
    """What of a mask lies in an oriented box; all of it for a box without an angle.

    Args:
        mask: The mask of a crop.
        box: The box in pixels of the photograph.
        start: First column and row of the crop in it.
    """
    if oriented(box) is None:
        return mask
    inside = fill_polygon(box_corners(box) - start, mask.height, mask.width)
    return Image.fromarray(np.where(inside, np.asarray(mask), np.uint8(0)))


def _keep_inside(mask: "np.ndarray[Any, np.dtype[np.bool_]]", box: Box) -> Image.Image:
    x0, y0, x1, y1 = (round(edge) for edge in box)
    kept = np.zeros(mask.shape, np.uint8)
    kept[y0:y1, x0:x1] = 255 * mask[y0:y1, x0:x1]
    return Image.fromarray(kept)


def _fills(mask: Image.Image, box: Box) -> bool:
    """Whether a mask is nearly all of its box, as a background is, and an ornament is not."""
    x0, y0, x1, y1 = box
    return area_share(mask.crop((round(x0), round(y0), round(x1), round(y1)))) > MAX_AREA


def _save(mask: Image.Image, path: Path) -> None:
    write_file(path, encode_png(mask))
