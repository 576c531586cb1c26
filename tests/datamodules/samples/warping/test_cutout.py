import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.samples.warping.cutout import cut_out, cut_out_mask, frame, not_faint


def pictures() -> tuple[Image.Image, Image.Image]:
    mask = Image.new("L", (40, 30))
    mask.paste(255, (10, 8, 30, 20))
    return Image.new("RGB", (40, 30), (255, 51, 0)), mask


def test_the_frame_is_the_square_around_the_mask() -> None:
    centre, half = frame(pictures()[1])
    assert (centre.tolist(), half) == ([20, 14], 10)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_colours_are_multiplied_by_coverage_and_places_are_kept(factor: int) -> None:
    cutout = cut_out(*pictures(), factor)
    assert cutout.origin.tolist() == [9, 7] and (cutout.extent % factor == 0).all()
    pixels = np.array([[[20.0, 14.0], [9.5, 7.5], [10.0, 14.0], [-50.0, 0.0]]])
    points = torch.from_numpy((pixels - cutout.origin) / cutout.extent * 2 - 1).permute(2, 0, 1)[None].float()
    inside, corner, border, outside = cutout.sample(points)[0, :, 0].T
    torch.testing.assert_close(inside, torch.tensor([1.0, 0.2, 0.0, 1.0]))
    assert corner.max() <= (1e-6 if factor == 1 else 0.5) and outside.abs().max() == 0
    assert border[3].item() == pytest.approx(0.5, abs=0.17)


@pytest.mark.parametrize("factor", [1, 3])
def test_the_mask_alone_is_the_coverage(factor: int) -> None:
    picture, mask = pictures()
    whole, alone = cut_out(picture, mask, factor), cut_out_mask(mask, factor)
    assert torch.equal(whole.texels[:, 3:], alone.texels) and (whole.origin == alone.origin).all()


def test_a_mask_at_the_border_of_its_picture() -> None:
    cutout = cut_out(Image.new("RGB", (8, 8), (255, 255, 255)), Image.new("L", (8, 8), 255), 1)
    assert cutout.origin.tolist() == [-1, -1] and cutout.texels.shape == (1, 4, 10, 10)
    assert cutout.texels[..., 1:9, 1:9].min() == 1 and cutout.texels.sum() == 4 * 64


def test_a_tenth_of_a_pixel_is_not_faint() -> None:
    mask = Image.fromarray(np.array([[0, 25, 26, 255]], dtype=np.uint8))
    assert np.array(not_faint(mask)).tolist() == [[0, 0, 255, 255]]
