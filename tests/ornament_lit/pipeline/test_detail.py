"""Laying the ornament over the photograph in full detail, against images made by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ornament_lit.imaging.compositing import PasteBack
from ornament_lit.imaging.crops import OrnamentCrop, PersonCrop, crop_ornament, crop_person, tensor_to_image
from ornament_lit.imaging.frames import pixel_grid
from ornament_lit.models.warps.base import WarpOutput
from ornament_lit.models.warps.pose_aware import resize_smooth
from ornament_lit.pipeline import detail as pipeline_detail
from ornament_lit.pipeline.detail import enlargement, paste_detail, texture_size

RESOLUTION = 32
BOX = (40, 60, 168, 188)


@pytest.fixture
def ornament() -> OrnamentCrop:
    """A disc of fine stripes, 400 pixels wide."""
    x, y = pixel_grid((480, 480), torch.zeros(())).numpy()
    stripes = np.where(np.arange(480) // 8 % 2, 40, 220).astype(np.uint8)
    picture = np.stack([np.broadcast_to(stripes, (480, 480))] * 3, axis=-1)
    mask = ((x**2 + y**2 < 0.83**2) * 255).astype(np.uint8)
    return crop_ornament(Image.fromarray(picture), Image.fromarray(mask), RESOLUTION)


def person(mode: str = "RGB", box: tuple[int, int, int, int] = BOX, size: tuple[int, int] = (220, 240)) -> PersonCrop:
    rng = np.random.default_rng(0)
    if mode == "I;16":
        photograph = Image.fromarray(rng.integers(0, 65536, size[::-1], dtype=np.uint16))
    else:
        bands = len(Image.new(mode, (1, 1)).getbands())
        shape = (*size[::-1], bands) if bands > 1 else size[::-1]
        photograph = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8), mode)
    return crop_person(photograph, box, RESOLUTION, 1.25)


def output(scale: float = 1.5, **changes: Any) -> WarpOutput:
    """The ornament upright in the middle of the window, at ``1 / scale`` of its window."""
    grid = pixel_grid((RESOLUTION, RESOLUTION), torch.zeros(()))[None]
    ones = torch.ones(1, 1, RESOLUTION, RESOLUTION)
    grey = torch.zeros(1, 3, RESOLUTION, RESOLUTION)
    parts = {
        "uv": scale * grid,
        "visibility": ones,
        "coverage": ones,
        "gain": ones.repeat(1, 3, 1, 1),
        "skin": grey,
        "composite": grey,
        "confidence": torch.zeros(1),
        "warped": grey,
    }
    return WarpOutput(**{**parts, **changes})


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(np.int64)


@pytest.mark.parametrize("whole_box", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "I;16"])
def test_uncovered_pixels_are_those_of_the_photograph(ornament: OrnamentCrop, mode: str, whole_box: bool) -> None:
    worn = person(mode)
    pasted = paste_detail(output(), output().composite[0], ornament, worn, whole_box)
    assert pasted.image.mode == mode and pasted.image.size == worn.photograph.size == pasted.mask.size
    before, after, share = pixels(worn.photograph), pixels(pasted.image), pixels(pasted.mask)
    changed = before != after if before.ndim == 2 else (before != after).any(-1)
    assert not changed[share == 0].any() and changed[share == 255].mean() > 0.9
    outside = np.ones_like(share, dtype=bool)
    outside[BOX[1] : BOX[3], BOX[0] : BOX[2]] = False
    assert not share[outside].any()
    assert (share[~outside] > 0).all() == whole_box
    if mode == "RGBA":
        assert np.array_equal(before[..., 3], after[..., 3])


def test_edges_are_those_of_the_ornament_and_not_of_the_networks_pixels(ornament: OrnamentCrop) -> None:
    """Between the stripes of the pasted ornament lie as strong edges as between those of its own image."""
    worn, warp = person(), output(1.2)
    detailed = pixels(paste_detail(warp, warp.composite[0], ornament, worn).image.convert("L"))
    drawing = torch.nn.functional.grid_sample(ornament.image[None], warp.uv.permute(0, 2, 3, 1), align_corners=False)
    mask = torch.ones(1, RESOLUTION, RESOLUTION)
    low = PasteBack(match_colours=False)(worn.photograph, tensor_to_image(drawing[0]), worn.crop, worn.box, mask).image
    centre = (slice(100, 150), slice(80, 130))
    edges = [np.abs(np.diff(picture[centre], axis=1)).max(1).mean() for picture in (detailed, pixels(low.convert("L")))]
    assert edges[0] > 3 * edges[1] and edges[0] > 60
    assert detailed[centre].max() > 200 and detailed[centre].min() < 60, "light and colours are the ornament's"


def test_light_and_visibility_are_taken_over(ornament: OrnamentCrop) -> None:
    worn, right = person(), torch.arange(RESOLUTION).view(1, 1, 1, -1) >= RESOLUTION // 2
    seen = paste_detail(output(visibility=right.float().expand(1, 1, 32, 32)), output().composite[0], ornament, worn)
    share = pixels(seen.mask)
    assert not share[:, : 104 - 12].any() and (share[110:140, 104 + 12 : 130] == 255).all()
    dark, plain = (
        paste_detail(output(gain=torch.full((1, 3, 32, 32), gain)), output().composite[0], ornament, worn).image
        for gain in (0.5, 1.0)
    )
    centre = (slice(110, 140), slice(90, 120))
    assert pixels(dark)[centre].mean() == pytest.approx(pixels(plain)[centre].mean() / 2, abs=3)


def test_what_the_denoiser_changed_is_taken_over_smoothly(ornament: OrnamentCrop) -> None:
    worn, warp = person(), output()
    plain = pixels(paste_detail(warp, warp.composite[0], ornament, worn).image)
    brighter = pixels(paste_detail(warp, warp.composite[0] + 0.1, ornament, worn).image)
    noise = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.2
    noisy = pixels(paste_detail(warp, warp.composite[0] + noise, ornament, worn).image)
    centre = (slice(110, 140), slice(90, 120))
    assert (brighter - plain)[centre].mean() == pytest.approx(0.1 * 127.5, abs=1.5)
    assert np.abs((noisy - plain)[centre]).mean() < 0.3 * 0.2 * 127.5


def test_a_composite_beyond_white_darkens_nothing(ornament: OrnamentCrop) -> None:
    """The composite has highlights that no drawing can have."""
    worn, beyond = person(), output().composite.clone()
    beyond[..., 14:18, 14:18] = 3.0
    plain = paste_detail(output(), output().composite[0], ornament, worn).image
    same = paste_detail(output(composite=beyond), beyond[0].clamp(-1, 1), ornament, worn).image
    assert same.tobytes() == plain.tobytes()


@pytest.mark.parametrize("whole_box", [False, True])
@pytest.mark.parametrize("box", [(0, 0, 80, 60), (150, 190, 220, 240), (0, 0, 220, 240)])
def test_a_window_may_leave_the_photograph(ornament: OrnamentCrop, box, whole_box: bool) -> None:
    worn = person(box=box)
    assert worn.crop.left < 0 or worn.crop.left + worn.crop.size > 220
    pasted = paste_detail(output(1.0), output().composite[0], ornament, worn, whole_box)
    share = pixels(pasted.mask)
    assert pasted.image.size == (220, 240) and share.any()
    changed = (pixels(pasted.image) != pixels(worn.photograph)).any(-1)
    assert changed.any() and not changed[share == 0].any()
    inside = np.zeros_like(share, dtype=bool)
    inside[box[1] : box[3], box[0] : box[2]] = True
    assert not share[~inside].any()


@pytest.mark.parametrize("whole_box", [False, True])
@pytest.mark.parametrize("box", [BOX, (0, 0, 80, 60), (150.5, 190.5, 219.5, 239.5)])
def test_strips_are_laid_as_the_whole(
    ornament: OrnamentCrop, box: tuple[float, ...], whole_box: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    worn = person(box=box)
    whole = paste_detail(output(1.0), output().composite[0], ornament, worn, whole_box)
    monkeypatch.setattr(pipeline_detail, "PIXELS_AT_ONCE", 1000)
    strips = paste_detail(output(1.0), output().composite[0], ornament, worn, whole_box)
    assert np.abs(pixels(strips.image) - pixels(whole.image)).max() <= 1
    assert strips.mask.tobytes() == whole.mask.tobytes() and whole.mask.getbbox() is not None


@pytest.mark.parametrize("side", [20, 32, 77])
def test_a_part_is_enlarged_as_the_whole(side: int) -> None:
    field = torch.rand(1, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    whole = resize_smooth(field, (side, side))
    enlarge = enlargement(32, side)
    torch.testing.assert_close(enlarge[3:9] @ field @ enlarge[5:20].T, whole[..., 3:9, 5:20])


def test_a_box_smaller_than_the_networks_window(ornament: OrnamentCrop) -> None:
    pasted = paste_detail(output(), output().composite[0], ornament, person(box=(50, 50, 60, 62)))
    assert pixels(pasted.mask)[50:62, 50:60].any()


@pytest.mark.parametrize(
    ("scale", "side", "full", "expected"), [(1, 100, 400, 100), (2, 100, 400, 50), (1, 999, 400, 400)]
)
def test_a_texture_has_a_pixel_for_each_of_the_photograph(scale: int, side: int, full: int, expected: int) -> None:
    uv = scale * pixel_grid((side, side), torch.zeros(()))[None]
    assert texture_size(uv, full) == pytest.approx(expected, abs=1)


def test_a_texture_has_the_pixels_that_an_enlarged_field_shows() -> None:
    assert texture_size(2 * pixel_grid((32, 32), torch.zeros(()))[None], 400, 200) == pytest.approx(100, abs=1)


def test_the_size_of_a_texture_is_bounded() -> None:
    grid = pixel_grid((50, 50), torch.zeros(()))[None]
    assert texture_size(100 * grid, 400) == 16 and texture_size(0 * grid, 400) == 400
    assert texture_size(0 * grid, 9999) == 4096 and texture_size(grid, 7) == 16
    assert texture_size(grid[..., :1, :1], 400) == 16
