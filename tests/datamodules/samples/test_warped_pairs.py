import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from datamodules.samples.decoding import Triplet, decode, describe
from datamodules.samples.transforms import TripletTransform
from datamodules.samples.warped_pairs import paste, warped_pair
from datamodules.samples.warping.cutout import frame
from datamodules.samples.warping.field import Warp
from datamodules.samples.warping.placing import settle, survey
from datamodules.samples.warping.sampling import Edge, Light, Place, draw_warp
from datamodules.storage.sample_errors import SampleError

NOTHING_HIDDEN = Edge(0.0, 0.0, 1.0)
NEUTRAL = Light(np.ones(3), np.zeros(2))
STRAIGHT = Warp.affine(np.eye(2))
PLACE = Place(np.zeros(2), 1.0)


def smooth_ornament(size: int = 200) -> Triplet:
    """A disc whose red and green are its x and y."""
    ramp = np.tile(np.linspace(40, 220, size), (size, 1))
    pixels = np.stack([ramp, ramp.T, np.full_like(ramp, 90)], axis=-1).round().astype(np.uint8)
    mask = Image.new("L", (size, size))
    ImageDraw.Draw(mask).ellipse((40, 50, 159, 149), fill=255)
    picture = Image.fromarray(pixels)
    return Triplet(picture, mask, picture, mask, (0.0, 0.0, 1.0, 1.0), "ring", "its-key", 3, (b"latents",))


def person(width: int = 160, height: int = 120, bare: bool = True) -> Triplet:
    """Someone of one colour with a red bar, in a photograph that is not square."""
    skin = Image.new("RGB", (width, height), (200, 150, 120))
    worn, mask = skin.copy(), Image.new("L", (width, height))
    for image, fill in ((worn, (250, 0, 0)), (mask, 255)):
        ImageDraw.Draw(image).rectangle((50, 40, 109, 59), fill=fill)
    box = (50.0, 40.0, 110.0, 60.0)
    return Triplet(worn, mask, worn, mask, box, "ring", "person", bare=skin if bare else None)


def test_laid_straight_the_correspondence_is_the_affine_map_of_its_place() -> None:
    ornament, wearer = smooth_ornament(), person()
    pair = paste(ornament, wearer, STRAIGHT, NOTHING_HIDDEN, NEUTRAL, PLACE)
    laid = frame(ornament.ornament_mask)
    assert laid.centre.tolist() == [100, 100] and laid.half == 60
    placement = settle(survey(ornament.ornament_mask, laid, STRAIGHT, NOTHING_HIDDEN), PLACE, wearer.box, 160, 120)
    assert pair.correspondence is not None
    whole = pair.correspondence.known == 1
    rows, columns = whole.nonzero()
    worn = (np.stack([columns, rows], axis=-1) + 0.5 - placement.centre) / placement.half
    np.testing.assert_allclose(pair.correspondence.points[whole], 100 + 60 * worn, atol=1e-3)
    assert len(rows) > 1000
    x0, y0, x1, y1 = pair.box
    assert (x0 + x1, y0 + y1) == pytest.approx((160, 100), abs=4)  # where the person's own one was
    assert x1 - x0 == pytest.approx(60, rel=0.08) and y1 - y0 == pytest.approx(50, rel=0.08)


@pytest.mark.parametrize("seed", range(6))
def test_the_ornament_sampled_at_the_points_is_what_the_person_shows(seed: int) -> None:
    ornament = smooth_ornament()
    pair = paste(ornament, person(), draw_warp(random.Random(seed)), NOTHING_HIDDEN, NEUTRAL, PLACE)
    assert pair.correspondence is not None
    whole = pair.correspondence.known == 1
    points = torch.from_numpy(pair.correspondence.points[whole])[None, None] / 200 * 2 - 1
    picture = torch.from_numpy(np.array(ornament.ornament)).permute(2, 0, 1)[None].float()
    sampled = torch.nn.functional.grid_sample(picture, points, align_corners=False)[0, :, 0].T.numpy()
    shown = np.array(pair.person)[whole]
    assert len(shown) > 200 and np.abs(shown - sampled).max() < 2


def test_light_is_a_factor_that_changes_across() -> None:
    light = Light(np.array([0.5, 1.0, 0.8]), np.array([0.2, 0.0]))
    plain, lit = (paste(smooth_ornament(), person(), STRAIGHT, NOTHING_HIDDEN, x, PLACE) for x in (NEUTRAL, light))
    before, after = (np.array(pair.person).astype(float) for pair in (plain, lit))
    assert lit.wearing_mask.tobytes() == plain.wearing_mask.tobytes()
    np.testing.assert_allclose(after[50, 80] / before[50, 80], [0.5, 1.0, 0.8], atol=0.02)
    assert after[50, 60, 1] / before[50, 60, 1] == pytest.approx(1 - 0.2 * 20 / 30, abs=0.03)
    assert after[50, 100, 1] / before[50, 100, 1] == pytest.approx(1 + 0.2 * 20 / 30, abs=0.03)


def test_what_is_hidden_is_outside_of_the_wearing_mask() -> None:
    wearer = person()
    open_, hidden = (
        paste(smooth_ornament(), wearer, STRAIGHT, edge, NEUTRAL, PLACE) for edge in (NOTHING_HIDDEN, Edge(0, 0, 0.5))
    )
    mask = np.array(hidden.wearing_mask)
    assert wearer.bare is not None and hidden.correspondence is not None
    nothing = mask == 0
    assert (np.array(hidden.person)[nothing] == np.array(wearer.bare)[nothing]).all()
    assert (hidden.correspondence.known[nothing] == 0).all() and (hidden.correspondence.points[nothing] == 0).all()
    assert hidden.correspondence.points[mask > 0][:, 0].max() == pytest.approx(100, abs=4)  # its left half is seen
    # half of 120 x 100 has its longer side from top to bottom: it is drawn 1.2 times larger
    assert mask.sum() / np.array(open_.wearing_mask).sum() == pytest.approx(1.2**2 / 2, rel=0.08)


def test_all_of_a_pair_fits_together() -> None:
    ornament, wearer = smooth_ornament(), person()
    for seed in range(20):
        pair = warped_pair(ornament, wearer, seed)
        assert (pair.key, pair.category, pair.components, pair.latents) == ("its-key", "ring", 3, ())
        assert pair.ornament is ornament.ornament and pair.ornament_mask is ornament.ornament_mask
        assert pair.person.size == pair.wearing_mask.size == (160, 120) and pair.bare is wearer.bare
        assert pair.correspondence is not None and pair.correspondence.seen is pair.correspondence.known
        assert pair.correspondence.points.shape == (120, 160, 2)
        mask = np.array(pair.wearing_mask)
        np.testing.assert_array_equal(np.rint(pair.correspondence.known * 255), mask)
        assert pair.box == pair.wearing_mask.point([0] * 26 + [255] * 230).getbbox() and mask.max() > 127
        assert (pair.correspondence.points[mask == 0] == 0).all()
        inside = pair.correspondence.points[mask > 127]
        assert (inside > [39, 49]).all() and (inside < [161, 151]).all()
        TripletTransform(32)(pair, seed)


def test_the_seed_decides_everything() -> None:
    def content(seed: int) -> bytes:
        pair = warped_pair(smooth_ornament(), person(bare=False), seed)
        assert pair.correspondence is not None
        return pair.person.tobytes() + pair.wearing_mask.tobytes() + pair.correspondence.points.tobytes()

    states = random.getstate(), torch.get_rng_state()
    assert content(1) == content(1) != content(2)
    assert random.getstate() == states[0] and torch.equal(torch.get_rng_state(), states[1])


def test_without_a_bare_picture_nothing_is_left_of_the_persons_own_ornament() -> None:
    pair = warped_pair(smooth_ornament(), person(bare=False), 3)
    beside = np.array(pair.wearing_mask) == 0
    assert np.abs(np.array(pair.person)[beside] - np.array([200.0, 150, 120])).max() <= 1
    assert pair.bare is None


def test_a_small_box_and_a_small_photograph(draw_entries: Callable[..., dict[str, bytes]]) -> None:
    raw = {"__key__": "k", "__url__": "u", **draw_entries(1)}
    small = decode(raw, describe(raw))
    for seed in range(10):
        pair = warped_pair(smooth_ornament(), small._replace(box=(0.0, 0.0, 3.0, 2.0)), seed)
        assert max(pair.box[2] - pair.box[0], pair.box[3] - pair.box[1]) >= 9


def test_an_ornament_that_is_too_thin_is_a_fault() -> None:
    ornament, line = smooth_ornament(), Image.new("L", (200, 200))
    ImageDraw.Draw(line).line((10, 100, 190, 100), fill=255)
    with pytest.raises(SampleError, match="its-key, warped onto person: a wearing mask must have") as caught:
        warped_pair(ornament._replace(ornament_mask=line), person(), 0)
    assert caught.value.reason == "empty_mask"
