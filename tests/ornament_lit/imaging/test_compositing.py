import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ornament_lit.imaging.compositing import Composite, PasteBack, box_depth, recolour
from ornament_lit.imaging.geometry import Box, Crop, clip_box, crop_and_resize, draw_box, square_crop
from ornament_lit.imaging.reading import MIN_SIDE, as_photograph, as_rgb
from ornament_lit.imaging.writing import save_image

MODES = ("L", "LA", "RGB", "RGBA", "I;16")
BANDS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def noise(mode: str, width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 65536, (height, width), np.uint16))
    return Image.frombytes(mode, (width, height), rng.bytes(width * height * BANDS[mode]))


def smooth(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 34 + y / 46 + phase) for phase in (0, 1, 2)]
    return Image.fromarray(np.rint(128 + 80 * np.stack(waves, -1)).astype(np.uint8))


def changed(before: Image.Image, after: Image.Image) -> np.ndarray:
    """(h, w): which pixels differ in any band or bit."""
    a, b = np.asarray(before), np.asarray(after)
    assert a.shape == b.shape and a.dtype == b.dtype and before.mode == after.mode
    return (a != b).reshape(*a.shape[:2], -1).any(-1)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Image.Image, Crop, Box]:
    """A photograph of any size, aspect and mode with a box inside or partly outside of it."""
    width, height = draw(st.integers(1, 200)), draw(st.integers(1, 200))
    x0, y0 = (draw(st.floats(-50, side - 1)) for side in (width, height))
    x1, y1 = (draw(st.floats(max(start, 0) + 0.5, side + 50)) for start, side in ((x0, width), (y0, height)))
    box = clip_box((x0, y0, x1, y1), width, height)
    photograph = noise(draw(st.sampled_from(MODES)), width, height, draw(st.integers(0, 9)))
    return photograph, square_crop(box, draw(st.sampled_from([1.0, 1.5, 2.0]))), box


SIDE = st.integers(MIN_SIDE, 200)
FILE_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


@given(st.sampled_from(FILE_MODES), SIDE, SIDE, st.integers(1, 8), st.data())
@settings(max_examples=40, deadline=None)
def test_from_file_to_file_only_the_feathered_mask_is_touched(
    mode: str, width: int, height: int, orientation: int, data: st.DataObject
) -> None:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[274] = orientation
    content = noise("RGB", width, height) if mode in ("1", "P") else noise(mode, width, height)
    content.convert(mode).save(buffer, "PNG", exif=exif)
    photograph = as_photograph(Image.open(buffer))
    size = photograph.pixels.size
    x0, y0 = (data.draw(st.integers(-20, side - 2)) for side in size)
    box = clip_box(
        (x0, y0, data.draw(st.integers(max(x0, 0) + 1, 220)), data.draw(st.integers(max(y0, 0) + 1, 220))), *size
    )
    picture, share = PasteBack()(photograph.pixels, noise("RGB", 32, 32, 1), square_crop(box), box)
    with tempfile.TemporaryDirectory() as folder:
        save_image(picture, Path(folder, "out.png"), {"seed": "1"})
        with Image.open(Path(folder, "out.png")) as file:
            stored = photograph.as_stored(file.copy())
    with Image.open(buffer) as file:
        touched = changed(file.convert(photograph.pixels.mode), stored)
    assert not (touched & (np.asarray(photograph.as_stored(share)) == 0)).any()


OPTIONS = st.builds(
    PasteBack,
    feather=st.sampled_from([0, 0.05, 0.5]),
    dilation=st.sampled_from([-0.1, 0, 0.05, 0.5]),
    threshold=st.sampled_from([0.1, 0.5, 1.0]),
    match_colours=st.booleans(),
)


def in_box(box: Box, size: tuple[int, int]) -> np.ndarray:
    x, y = np.arange(size[0]) + 0.5, np.arange(size[1])[:, None] + 0.5
    return (x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])


@given(scenes(), OPTIONS, st.integers(1, 64), st.none() | st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_outside_the_feathered_mask_every_pixel_is_that_of_the_photograph(
    scene: tuple[Image.Image, Crop, Box], paste: PasteBack, resolution: int, mask_side: int | None
) -> None:
    photograph, crop, box = scene
    generator = torch.Generator().manual_seed(resolution)
    mask = None if mask_side is None else torch.rand(1, mask_side, mask_side, generator=generator)
    original = photograph.copy()
    picture, share = paste(photograph, noise("RGB", resolution, resolution, 1), crop, box, mask)
    allowed = np.asarray(share) > 0
    assert share.mode == "L" and share.size == photograph.size
    assert not (changed(photograph, picture) & ~allowed).any()
    assert not (allowed & ~in_box(box, photograph.size)).any()
    assert not changed(photograph, original).any()
    if photograph.mode in ("LA", "RGBA"):
        assert picture.getchannel("A").tobytes() == photograph.getchannel("A").tobytes()


@given(scenes(), OPTIONS, st.booleans())
@settings(max_examples=60, deadline=None)
def test_its_own_crop_changes_nothing_where_nothing_is_resized(
    scene: tuple[Image.Image, Crop, Box], paste: PasteBack, masked: bool
) -> None:
    photograph, crop, box = scene
    own = crop_and_resize(as_rgb(photograph), crop, crop.size, fill=128)
    picture, share = paste(photograph, own, crop, box, torch.ones(1, 8, 8) if masked else None)
    assert not changed(photograph, picture).any()
    assert share.getextrema()[1] > 0 or min(box[2] - box[0], box[3] - box[1]) < 2 or paste.dilation < 0


@pytest.mark.parametrize("match", [True, False])
@pytest.mark.parametrize("box", [(60, 50, 120, 110), (0, 60, 60, 160), (0, 0, 200, 160)])
@pytest.mark.parametrize("scale", [0.5, 0.75, 2.0])
def test_its_own_resized_crop_changes_detail_only(scale: float, box: Box, match: bool) -> None:
    photograph, crop = smooth(200, 160), square_crop(box)
    own = crop_and_resize(photograph, crop, round(scale * crop.size), fill=128)
    picture = PasteBack(match_colours=match)(photograph, own, crop, box).image
    error = np.abs(np.asarray(picture).astype(int) - np.asarray(photograph))
    assert error[4:-4, 4:-4].max() <= 2 and error.max() <= 12


def paste_red(
    mode: str = "RGB",
    mask: torch.Tensor | None = None,
    box: Box = (30, 20, 70, 60),
    scale: float = 1.0,
    **options: float,
) -> Composite:
    photograph, crop = noise(mode, 100, 80), square_crop(box)
    red = Image.new("RGB", (round(scale * crop.size),) * 2, (255, 0, 0))
    return PasteBack(match_colours=False, **options)(photograph, red, crop, box, mask)


def test_the_box_is_drawn_in_full_behind_the_feather() -> None:
    picture, share = paste_red(feather=0.1)
    values = np.asarray(share) / 255
    depth = np.array([0, *np.arange(0.5, 4), 4, 4]) / 4
    expected = depth**2 * (3 - 2 * depth)
    assert values[40, 29:36] == pytest.approx(expected, abs=0.003)
    assert values[19:26, 50] == pytest.approx(expected, abs=0.003)
    assert values[40, 70:63:-1] == pytest.approx(expected, abs=0.003)
    assert (values[24:56, 34:66] == 1).all() and (np.asarray(picture)[24:56, 34:66] == (255, 0, 0)).all()


def test_without_feather_the_mask_is_the_box() -> None:
    share = np.asarray(paste_red(feather=0).mask)
    assert np.array_equal(share, 255 * in_box((30, 20, 70, 60), (100, 80)))


@pytest.mark.parametrize(("width", "height", "fading"), [(20, 20, 10), (40, 40, 20), (40, 12, 6), (12, 40, 6)])
def test_the_feather_depends_on_the_shorter_side_of_the_box(width: int, height: int, fading: int) -> None:
    share = np.asarray(paste_red(feather=0.25, box=(30, 10, 30 + width, 10 + height)).mask)
    for line in (share[10 + height // 2], share[:, 30 + width // 2]):
        assert int((line > 0).sum() - (line == 255).sum()) == fading


def test_sides_at_the_border_of_the_photograph_do_not_fade() -> None:
    share = np.asarray(paste_red(feather=0.2, box=(0, 40, 40, 80)).mask)
    assert share[79, 0] == share[60, 0] == share[79, 20] == 255
    assert 0 < share[79, 39] < 30 and 0 < share[40, 0] < 30


def disc(side: int, radius: float, centre: float) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
    return ((x - centre) ** 2 + (y - centre) ** 2 < radius**2).float()[None]


@pytest.mark.parametrize("scale", [1.0, 2.0, 0.75])
@pytest.mark.parametrize("side", [60, 240])
def test_a_predicted_mask_is_drawn_in_full_and_fades_around_itself(side: int, scale: float) -> None:
    mask = disc(side, side / 6, side / 2)
    share = np.asarray(paste_red(mask=mask, feather=0.1, dilation=0.1, threshold=0.5, scale=scale).mask)
    y, x = np.mgrid[:80, :100] + 0.5
    radius = np.hypot(x - 50, y - 40)
    assert (share[radius < 9.5] == 255).all() and (share[radius > 14.6] == 0).all()
    ramp = share[(radius > 11.5) & (radius < 12.5)]
    assert ramp.min() > 50 and ramp.max() < 205


def test_a_predicted_mask_never_leaves_the_box() -> None:
    share = np.asarray(paste_red(mask=torch.ones(1, 30, 30), feather=0.1, dilation=0.5).mask)
    assert np.array_equal(share, np.asarray(paste_red(feather=0.1).mask))


def test_shrinking_and_threshold() -> None:
    mask = 0.4 * disc(60, 20, 30) + 0.5 * disc(60, 10, 30)

    def area(**options: float) -> int:
        return int((np.asarray(paste_red(mask=mask, feather=0, **options).mask) == 255).sum())

    assert area(dilation=0, threshold=0.5) == disc(60, 10, 30).sum()
    assert area(dilation=-0.1, threshold=0.5) == pytest.approx(np.pi * 6**2, rel=0.2)
    assert area(dilation=0, threshold=0.3) == disc(60, 20, 30).sum()
    assert area(dilation=0, threshold=0.95) == 0


def test_a_chain_of_a_third_of_a_mask_pixel_is_drawn() -> None:
    mask = torch.zeros(1, 30, 30)
    mask[:, 14, 8:22] = 1 / 3
    share = np.asarray(paste_red(mask=mask).mask)
    assert (share[38:40, 38:62] == 255).all() and (share[:34] == 0).all() and (share[44:] == 0).all()


@pytest.mark.parametrize("width", [2, 3, 4])
@pytest.mark.parametrize("angle", [0, 20, 45, 90])
def test_a_chain_thinner_than_a_pixel_of_the_mask_is_pasted_as_a_whole(width: int, angle: float) -> None:
    """With the ground truth as the mask, at 64 pixels for a window of 512; at 0.45, an eighth of it was pasted."""
    side, box = 512, (51.0, 51.0, 461.0, 461.0)
    x, y = np.meshgrid(np.arange(side) + 0.5 - 253, np.arange(side) + 0.5 - 251)
    across = x * np.sin(np.radians(angle)) - y * np.cos(np.radians(angle))
    chain = (np.abs(across) < width / 2) & in_box((71, 71, 441, 441), (side, side))
    mask = torch.from_numpy(chain).float().view(1, 64, 8, 64, 8).mean((2, 4))
    photograph, drawing = Image.new("RGB", (side, side)), Image.new("RGB", (64, 64), (255, 0, 0))
    share = np.asarray(PasteBack()(photograph, drawing, Crop(0, 0, side), box, mask).mask)
    assert (share[chain] > 127).mean() > 0.99


@pytest.mark.parametrize("mask", [torch.zeros(1, 64, 64), torch.full((1, 64, 64), float("nan"))])
def test_a_mask_without_ornament_changes_nothing(mask: torch.Tensor) -> None:
    picture, share = paste_red(mask=mask, dilation=0.5)
    assert not changed(noise("RGB", 100, 80), picture).any() and share.getextrema() == (0, 0)


def test_the_mask_lies_where_the_window_is() -> None:
    box = (30.0, 20.0, 70.0, 60.0)
    inner = draw_box((40, 30, 50, 50), square_crop(box), 60)
    share = np.asarray(paste_red(mask=inner, feather=0, dilation=0).mask)
    assert np.array_equal(share, 255 * in_box((40, 30, 50, 50), (100, 80)))


@pytest.mark.parametrize(("mode", "value"), [("L", 76), ("LA", 76), ("RGB", (255, 0, 0)), ("RGBA", (255, 0, 0))])
def test_what_is_drawn_comes_in_the_mode_of_the_photograph(mode: str, value: int | tuple[int, ...]) -> None:
    picture = paste_red(mode).image
    colour = np.asarray(picture)[40, 50]
    assert picture.mode == mode
    assert np.array_equal(colour[:3] if mode.startswith("RGB") else np.ravel(colour)[0], value)


def test_16_bits_keep_the_rest_below_8_bits() -> None:
    before, after = np.asarray(noise("I;16", 100, 80)).astype(int), np.asarray(paste_red("I;16").image).astype(int)
    rest = before[40, 50] - 257 * ((before[40, 50] + 128) // 257)
    assert after[40, 50] == 76 * 257 + rest and abs(rest) <= 128


@pytest.mark.parametrize(("gain", "offset"), [(0.9, 12), (1.1, -20), (1.0, 9)])
@pytest.mark.parametrize("detail", [1, 8])
def test_a_shift_of_the_colours_is_removed(gain: float, offset: float, detail: int) -> None:
    seen = smooth(256, 200)
    lost = seen.resize((256 // detail, 200 // detail)).resize((256, 200))
    shifted = np.asarray(lost) * gain + offset + np.random.default_rng(0).normal(0, 4, (200, 256, 3))
    drawn = Image.fromarray(np.clip(np.rint(shifted), 0, 255).astype(np.uint8))
    ring = np.ones((200, 256), bool)
    ring[50:150, 60:200] = False
    drawn.paste((255, 0, 255), (60, 50, 200, 150))
    error = np.asarray(recolour(drawn, seen, ring, 1.25)).astype(float) - np.asarray(seen)
    assert np.abs(error[ring].mean(0)).max() < 0.5
    bright = np.asarray(seen)[..., 0] > 180
    assert abs(error[ring & bright, 0].mean()) < 2.5


def test_colours_are_measured_outside_of_the_box() -> None:
    photograph, box = smooth(100, 80), (30.0, 20.0, 70.0, 60.0)
    crop = square_crop(box)
    own = crop_and_resize(photograph, crop, crop.size, fill=128)
    shifted = Image.fromarray(np.asarray(own) + np.array([20, 10, 5], np.uint8))
    shifted.paste((0, 0, 0), (20, 20, 40, 40))
    picture = np.asarray(PasteBack()(photograph, shifted, crop, box).image).astype(int)
    error = np.abs(picture - np.asarray(photograph))
    error[30:50, 40:60] = 0
    assert error.max() <= 1


def test_a_ring_of_one_colour_gives_an_offset_and_no_gain() -> None:
    noisy = np.random.default_rng(0).normal(190, 5, (96, 96, 3))
    noisy[30:60, 30:60] = 40
    ring = np.ones((96, 96), bool)
    ring[24:66, 24:66] = False
    drawn = Image.fromarray(np.rint(noisy).astype(np.uint8))
    matched = recolour(drawn, Image.new("RGB", (96, 96), (200, 200, 200)), ring, 1.25)
    assert np.abs(np.asarray(matched)[40, 40].astype(int) - 50).max() <= 6
    assert abs(np.asarray(matched)[ring].mean() - 200) < 0.6


def test_the_gain_is_bounded() -> None:
    seen = smooth(128, 128)
    faint = Image.fromarray(np.rint(128 + (np.asarray(seen) - 128.0) / 4).astype(np.uint8))
    matched = recolour(faint, seen, np.ones((128, 128), bool), 1.25)
    spreads = [np.asarray(image)[..., 0].std() for image in (faint, matched)]
    assert spreads[1] == pytest.approx(1.25 * spreads[0], rel=0.02)


def test_nothing_is_matched_where_nothing_is_shared() -> None:
    drawn = noise("RGB", 40, 40)
    assert recolour(drawn, smooth(40, 40), np.zeros((40, 40), bool), 1.25) is drawn


def test_depth_in_a_box() -> None:
    depth = box_depth((2, 0, 6, 3), (1, 0, 8, 4), 10, 10)
    assert depth[0].tolist() == [-0.5, 0.5, 1.5, 1.5, 0.5, -0.5, -1.5]
    assert depth[:, 3].tolist() == [1.5, 1.5, 0.5, -0.5]


@pytest.mark.parametrize("options", [{"feather": -0.1}, {"dilation": 0.6}, {"threshold": 0}, {"max_gain": 0.9}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        PasteBack(**options)


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 9), (3, 8, 8), (1, 1, 8, 8)])
def test_a_mask_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"a mask must be \(1, s, s\)"):
        paste_red(mask=torch.ones(shape))
