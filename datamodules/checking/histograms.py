"""Histograms as an image: quantities down, types across."""

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 240, 110
LEFT, HEADER, GAP, AXIS = 8, 44, 16, 34
COLOUR = (60, 110, 170)


def draw_histograms(quantities: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> Image.Image:
    """Draw the histograms of a set.

    Args:
        quantities: By name, ``edges`` and ``counts`` by type, as :func:`datamodules.checking.statistics.summarize`
            gives them.
        titles: Title by name; rows come in its order.

    Returns:
        The image, RGB. The bars of a panel are scaled to its highest one.
    """
    columns = list(quantities[next(iter(titles))]["counts"])
    size = LEFT + len(columns) * (WIDTH + GAP), len(titles) * (HEADER + HEIGHT + AXIS)
    image = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(12)
    for row, (name, title) in enumerate(titles.items()):
        top = row * (HEADER + HEIGHT + AXIS)
        draw.text((LEFT, top + HEADER // 4), title, "black", font, anchor="lm")
        for column, category in enumerate(columns):
            left = LEFT + column * (WIDTH + GAP)
            counts, edges = quantities[name]["counts"][category], quantities[name]["edges"]
            draw.text((left, top + 3 * HEADER // 4), f"{category}, {sum(counts)}", "dimgrey", font, anchor="lm")
            _draw_panel(draw, font, (left, top + HEADER), counts, edges)
    return image


def _draw_panel(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    corner: tuple[int, int],
    counts: Sequence[int],
    edges: Sequence[float],
) -> None:
    left, top = corner
    bottom = top + HEIGHT
    step = WIDTH / len(counts)
    for index, count in enumerate(counts):
        if count:
            height = max(1, round((HEIGHT - 12) * count / max(counts)))
            x0, x1 = round(left + index * step), round(left + (index + 1) * step) - 1
            draw.rectangle((x0, bottom - height, max(x0, x1 - 1), bottom), fill=COLOUR)
    draw.line((left, bottom, left + WIDTH, bottom), fill="black")
    for place, anchor in ((0, "lt"), (len(edges) // 2, "mt"), (len(edges) - 1, "rt")):
        draw.text((left + place * step, bottom + 4), f"{edges[place]:.3g}", "black", font, anchor=anchor)
    if any(counts):
        peak = counts.index(max(counts))
        draw.text((left + (peak + 0.5) * step, top + 2), str(max(counts)), "grey", font, anchor="mt")
