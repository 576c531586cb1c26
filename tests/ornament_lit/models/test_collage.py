"""Detail maps follow their formula, and a collage puts them where the mask is."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ornament_lit.models.collage import collage, detail_map

BLANK = -1.0


def draw(half: float, radius: float | None = None, size: int = 256) -> tuple[Tensor, Tensor]:
    """A striped picture, (1, 3, H, W), and the mask of a disc, or of a horizontal line 2 ``half`` pixels wide."""
    y, x = torch.meshgrid(torch.arange(size) - size / 2 + 0.5, torch.arange(size) - size / 2 + 0.5, indexing="ij")
    mask = y.abs() < half if radius is None else (x**2 + y**2).sqrt() < radius
    stripes = torch.stack([(x / 3).sin(), (y / 5).cos(), ((x + y) / 9).sin() * 0.2])
    return stripes[None], mask[None, None].float()


def slow_detail_map(image: Tensor, mask: Tensor, erosion: int, threshold: float) -> np.ndarray:
    """The formula, pixel by pixel, for one sample of 256 pixels."""
    picture = (image[0].numpy().astype(np.float64) + 1) / 2 * 255
    padded = np.pad(picture, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    known = mask[0, 0].numpy() >= 0.5
    result = np.zeros_like(picture)
    for row in range(256):
        for column in range(256):
            near = (max(row - erosion, 0), row + erosion + 1, max(column - erosion, 0), column + erosion + 1)
            if not known[near[0] : near[1], near[2] : near[3]].all():
                continue
            patch = padded[:, row : row + 3, column : column + 3]
            along = [np.minimum(np.abs((patch * each).sum((1, 2))), 255) for each in (kernel, kernel.T)]
            strength = (0.5 * along[0] + 0.5 * along[1]).max()
            if strength >= threshold:
                result[:, row, column] = strength / 255 * picture[:, row, column]
    return result / 127.5 - 1


@pytest.mark.parametrize(("erosion", "threshold"), [(4, 50.0), (0, 50.0), (1, 120.0)])
def test_a_detail_map_is_that_of_the_formula(erosion: int, threshold: float) -> None:
    image, mask = draw(0, radius=90)
    mask[..., :40, :60] = 1  # the border of the picture takes nothing away
    got = detail_map(image, mask, erosion, threshold)
    assert got.shape == (1, 3, 256, 256) and got.min() >= -1 and got.max() <= 1
    np.testing.assert_allclose(got[0].numpy(), slow_detail_map(image, mask, erosion, threshold), atol=1e-4)
    assert (got[..., 0, :40] != BLANK).any()


def test_a_detail_map_is_that_of_opencv() -> None:
    """To two of 255 levels, since OpenCV rounds in between, where that does not decide on the threshold."""
    cv2 = pytest.importorskip("cv2")
    image, mask = draw(0, radius=180, size=512)
    picture = ((image[0] + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
    small = cv2.resize(picture, (256, 256))
    known = cv2.erode(
        (cv2.resize(mask[0, 0].numpy(), (256, 256)) >= 0.5).astype(np.uint8), np.ones((5, 5)), None, (-1, -1), 2
    )
    along = [cv2.convertScaleAbs(cv2.Sobel(small, cv2.CV_64F, *order, ksize=3)) for order in ((1, 0), (0, 1))]
    strength = cv2.addWeighted(along[0], 0.5, along[1], 0.5, 0).max(-1) * known
    expected = np.where(strength < 50, 0, strength)[..., None].astype(np.float64) / 255 * small
    got = (detail_map(torch.from_numpy(picture).permute(2, 0, 1)[None] / 127.5 - 1, mask)[0] + 1) * 127.5
    clear = np.abs(strength.astype(float) - 50) > 3
    assert 0.1 < (expected > 0).mean() < 0.6
    np.testing.assert_allclose(got.permute(1, 2, 0).numpy()[clear], expected[clear], atol=2)


def test_an_erosion_of_four_pixels_leaves_nothing_of_a_thin_line() -> None:
    image, line = draw(1.5)
    assert line.sum() == 2 * 256, "pixel centres within one and a half pixels"
    line[..., 129, :] = 1
    assert (detail_map(image, line) == BLANK).all()
    assert (detail_map(image, line, erosion=0) != BLANK).any()
    assert (detail_map(*draw(0, radius=40)) != BLANK).any()
    lines = [draw(half)[1] for half in (4, 5)]
    assert [bool((detail_map(image, each) != BLANK).any()) for each in lines] == [False, True]


def test_an_erosion_counts_pixels_of_256() -> None:
    image, mask = draw(0, radius=40)
    twice = [F.interpolate(each, scale_factor=2.0, mode="nearest") for each in (image, mask)]
    torch.testing.assert_close(detail_map(*twice), detail_map(image, mask))


def test_a_detail_map_needs_no_gradient_and_keeps_the_dtype() -> None:
    image, mask = draw(0, radius=40)
    assert not detail_map(image.requires_grad_(), mask).requires_grad
    assert detail_map(image.bfloat16(), mask.bfloat16()).dtype == torch.bfloat16


def test_a_negative_erosion_is_refused() -> None:
    with pytest.raises(ValueError, match=r"erosion is a number of pixels, 0 or more, got -1; take 0"):
        detail_map(*draw(0, radius=40), erosion=-1)


def test_details_are_stretched_into_the_box() -> None:
    """Two by two pixels into a box of four columns and two rows: centres are at 1/4, 3/4, 5/4 and 7/4 of a pixel."""
    person = torch.full((1, 3, 5, 8), 0.5)
    box = torch.zeros(1, 1, 5, 8)
    box[..., 1:3, 2:6] = 1
    detail = torch.tensor([[0.0, 0.8], [-0.4, 0.4]]).expand(1, 3, 2, 2)
    result = collage(person, box, detail)
    expected = torch.tensor([[0.0, 0.2, 0.6, 0.8], [-0.4, -0.2, 0.2, 0.4]])
    torch.testing.assert_close(result[0, :3, 1:3, 2:6], expected.expand(3, 2, 4))
    assert torch.equal(result[:, 3:], box)
    assert torch.equal(result[:, :3].where(box == 0, 0.5), person)


def test_each_sample_has_its_own_box_and_pixels_beside_a_mask_stay() -> None:
    torch.manual_seed(0)
    person, detail = torch.rand(2, 3, 16, 16) * 2 - 1, torch.rand(2, 3, 8, 8) * 2 - 1
    mask = torch.zeros(2, 1, 16, 16)
    mask[0, :, 3:12, 5:16] = 0.6
    mask[0, :, 2, 5:16] = 0.4  # less than half a pixel
    mask[1, :, 0:4, 2:4] = mask[1, :, 10:13, 1:7] = 1  # two regions in one bounding box
    result = collage(person, mask, detail)
    for row, (top, bottom, left, right) in enumerate([(3, 12, 5, 16), (0, 13, 1, 7)]):
        size = (bottom - top, right - left)
        stretched = F.interpolate(detail[row : row + 1], size=size, mode="bilinear", align_corners=False)
        expected = person[row].clone()
        expected[:, top:bottom, left:right] = stretched[0]
        inside = mask[row] > 0.5
        torch.testing.assert_close(result[row, :3], expected.where(inside, person[row]))
        assert torch.equal(result[row, 3:], inside.float())
        assert torch.equal(result[row, :3].where(~inside, 0), person[row].where(~inside, 0))
        torch.testing.assert_close(
            collage(person[row : row + 1], mask[row : row + 1], detail[row : row + 1])[0], result[row]
        )


def test_a_collage_has_the_dtype_of_the_person() -> None:
    box = torch.ones(1, 1, 8, 8)
    result = collage(torch.zeros(1, 3, 8, 8, dtype=torch.bfloat16), box, torch.full((1, 3, 256, 256), BLANK))
    assert result.dtype == torch.bfloat16 and (result[:, :3] == BLANK).all()


def test_an_empty_mask_is_refused() -> None:
    mask = torch.ones(3, 1, 8, 8)
    mask[1] = 0.5
    with pytest.raises(ValueError, match=r"must cover a pixel.* for sample 1 of the batch; give a larger box"):
        collage(torch.zeros(3, 3, 8, 8), mask, torch.zeros(3, 3, 256, 256))
