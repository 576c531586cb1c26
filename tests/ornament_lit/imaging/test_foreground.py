"""Where an ornament is, when nobody says it."""

import warnings

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ornament_lit.imaging import foreground as ornament_masks
from ornament_lit.imaging.foreground import find_ornament, on_white

INNER = (20, 12, 40, 50)


def ornament_on(background: np.ndarray) -> Image.Image:
    picture = Image.fromarray(background.astype(np.uint8))
    ImageDraw.Draw(picture).rectangle((INNER[0], INNER[1], INNER[2] - 1, INNER[3] - 1), fill=(180, 30, 60))
    return picture


def expected(size: tuple[int, int] = (64, 64)) -> np.ndarray:
    mask = Image.new("L", size)
    mask.paste(255, INNER)
    return np.asarray(mask)


@pytest.mark.parametrize("background", ["white", "light from one side", "grain"])
def test_a_plain_background_is_found(background: str) -> None:
    colours = np.full((64, 64, 3), 240.0)
    if background == "light from one side":
        colours -= np.linspace(0, 120, 64)[None, :, None]
    if background == "grain":
        colours += np.random.default_rng(0).normal(0, 4, colours.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mask = find_ornament(ornament_on(colours.clip(0, 255)))
    assert np.array_equal(np.asarray(mask), expected())


def test_a_soft_shadow_is_background_and_a_hard_one_may_not_be() -> None:
    y, x = np.mgrid[:64, :64]
    away = np.hypot(x - 32, y - 46) / 12
    soft = np.full((64, 64, 3), (230.0, 210.0, 190.0)) * (1 - 0.4 * np.exp(-(away**2)))[..., None]
    found, near = np.asarray(find_ornament(ornament_on(soft))), np.zeros((64, 64), bool)
    near[INNER[1] - 3 : INNER[3] + 3, INNER[0] - 3 : INNER[2] + 3] = True
    assert (found[expected() > 0] == 255).all() and not found[~near].any()
    assert away[~near].min() < 0.7, "there is a shadow to be seen"
    hard = np.full((64, 64, 3), (230.0, 210.0, 190.0))
    hard[50:60, 20:40] *= 0.5
    found = np.asarray(find_ornament(ornament_on(hard)))
    assert found[50:60, 20:40].any() and np.array_equal(found[:50], expected()[:50])


def test_a_dark_ornament_with_edges_is_no_shadow() -> None:
    colours = np.full((64, 64, 3), 220.0)
    colours[20:44, 20:44] = 60.0
    colours[20:44:4, 20:44] = 140.0
    mask = np.asarray(find_ornament(Image.fromarray(colours.astype(np.uint8))))
    assert mask[20:44, 20:44].min() == 255 and mask.sum() == 255 * 24 * 24


def test_an_ornament_may_touch_the_border() -> None:
    picture = Image.new("RGB", (64, 64), "white")
    picture.paste((20, 20, 20), (0, 20, 64, 30))
    assert np.asarray(find_ornament(picture)).sum() == 255 * 64 * 10


def test_opacity_comes_first() -> None:
    picture = ornament_on(np.full((64, 64, 3), 90.0)).convert("RGBA")
    opacity = Image.new("L", picture.size)
    opacity.paste(200, (5, 5, 60, 60))
    picture.putalpha(opacity)
    assert find_ornament(picture).tobytes() == opacity.tobytes()
    picture.putalpha(255)
    assert np.array_equal(np.asarray(find_ornament(picture)), expected()), "an opaque image has no cut-out"


@pytest.mark.parametrize("content", ["busy", "nothing", "invisible"])
def test_the_whole_picture_where_nothing_can_be_said(content: str) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    picture = Image.fromarray(colours) if content == "busy" else Image.new("RGB", (64, 64), "white")
    if content == "invisible":
        picture.putalpha(0)
    with pytest.warns(UserWarning, match="the whole image counts as ornament"):
        assert find_ornament(picture).getextrema() == (255, 255)


def test_transparency_becomes_white() -> None:
    picture = Image.new("RGBA", (2, 1), (10, 20, 30, 0))
    picture.putpixel((1, 0), (10, 20, 30, 255))
    assert [on_white(picture).getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (10, 20, 30)]
    assert on_white(Image.new("LA", (1, 1), (0, 0))).getpixel((0, 0)) == (255, 255, 255)
    opaque = Image.new("RGB", (2, 2), "red")
    assert on_white(opaque) is opaque


def test_a_large_picture_is_looked_at_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its mask is that of the small image, enlarged."""
    large = ornament_on(np.full((64, 64, 3), 240.0)).resize((5120, 5120), Image.Resampling.NEAREST)
    seen: list[tuple[int, ...]] = []
    look = ornament_masks.differing_from_border
    monkeypatch.setattr(ornament_masks, "differing_from_border", lambda x: seen.append(x.shape) or look(x))
    mask = find_ornament(large)
    assert seen == [(1707, 1707, 3)] and mask.size == large.size
    assert np.abs(np.asarray(mask.reduce(80)).astype(int) - expected()).max() <= 8, "edges are soft, of a block"
