import math
import random
from collections.abc import Callable

import pytest
import torch
from PIL import Image

from datamodules.samples.decoding import Triplet, decode, describe
from datamodules.samples.transforms import TripletTransform, TryOnSample, change_colours, draw_colour_change
from datamodules.samples.turning import turn_person
from datamodules.storage.sample_errors import SampleError
from ornament_lit.imaging.geometry import bounding_box, extent_along, mask_outline


@pytest.fixture
def triplet(draw_entries: Callable[..., dict[str, bytes]]) -> Triplet:
    sample = {"__key__": "k", "__url__": "u", **draw_entries(1)}
    return decode(sample, describe(sample))


def equal(first: TryOnSample, second: TryOnSample) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first if name.endswith(("image", "mask")))  # type: ignore[literal-required]


def test_shapes_and_ranges(triplet: Triplet) -> None:
    sample = TripletTransform(24)(triplet, 5)
    assert sample["category"] == "ring" and sample["key"] == "k" and sample["sample_seed"] == 5
    for name in ("ornament_image", "person_image"):
        image = sample[name]  # type: ignore[literal-required]
        assert image.shape == (3, 24, 24) and image.min() >= -1 and image.max() <= 1 and image.min() < 0 < image.max()
    for name in ("ornament_mask", "wearing_mask", "box_mask"):
        mask = sample[name]  # type: ignore[literal-required]
        assert mask.shape == (1, 24, 24) and mask.min() == 0 and mask.max() == 1


def test_without_growth_the_crop_is_known(triplet: Triplet) -> None:
    sample = TripletTransform(36, box_growth=(0.0, 0.0))(triplet, 0)
    rows, columns = sample["box_mask"][0].nonzero().unbind(1)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (6, 29, 10, 25)
    mask = sample["wearing_mask"][0] > 0.5
    rows, columns = mask.nonzero().unbind(1)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (6, 29, 10, 25)


def test_the_coarse_box_grows_within_its_bounds(triplet: Triplet) -> None:
    transform = TripletTransform(32, box_growth=(0.1, 0.25))
    for seed in range(50):
        x0, y0, x1, y1 = transform.coarse_box(triplet, random.Random(seed))
        assert 12 - 6 <= x0 <= 12 - 2.4 and 36 + 2.4 <= x1 <= 36 + 6
        assert 16 - 4 <= y0 <= 16 - 1.6 and 32 + 1.6 <= y1 <= 32 + 4


def test_the_coarse_box_stays_in_the_picture(triplet: Triplet) -> None:
    wide = triplet._replace(box=(0.0, 1.0, 48.0, 47.0))
    assert TripletTransform(32).coarse_box(wide, random.Random(0)) == (0, 0, 48, 48)


def test_the_box_mask_holds_the_wearing_mask(triplet: Triplet) -> None:
    for seed in range(20):
        sample = TripletTransform(32, flip=True)(triplet, seed)
        assert sample["wearing_mask"][sample["box_mask"] == 0].max() < 0.05


def test_the_seed_decides_everything(triplet: Triplet) -> None:
    transform = TripletTransform(32, flip=True)
    state = torch.get_rng_state()
    assert equal(transform(triplet, 1), transform(triplet, 1))
    assert not equal(transform(triplet, 1), transform(triplet, 2))
    assert torch.equal(state, torch.get_rng_state())


def test_a_flip_mirrors_ornament_and_person_together(triplet: Triplet) -> None:
    marked = triplet._replace(ornament=triplet.ornament.copy())
    marked.ornament.paste((0, 0, 255), (12, 16, 20, 32))
    plain, flipping = TripletTransform(32), TripletTransform(32, flip=True)
    flipped = 0
    for seed in range(40):
        before, after = plain(marked, seed), flipping(marked, seed)
        mirrored = {**before, **{n: v.flip(-1) for n, v in before.items() if isinstance(v, torch.Tensor)}}
        assert equal(after, before) or equal(after, mirrored)  # type: ignore[arg-type]
        flipped += not equal(after, before)
    assert 10 < flipped < 30


def test_outside_of_the_picture_is_mid_grey(triplet: Triplet) -> None:
    corner = triplet._replace(box=(0.0, 0.0, 20.0, 20.0), person=Image.new("RGB", (48, 48), (255, 0, 0)))
    sample = TripletTransform(32, box_growth=(0.0, 0.0))(corner, 0)
    assert sample["person_image"][:, 0, 0].abs().max() < 0.01
    assert sample["box_mask"][0, 0, 0] == sample["wearing_mask"][0, 0, 0] == 0
    assert sample["person_image"][:, 16, 16].tolist() == [1, -1, -1]


def test_the_ornament_fills_its_crop(triplet: Triplet) -> None:
    mask = TripletTransform(29)(triplet, 0)["ornament_mask"][0] > 0.5
    assert 29 / 1.2 - 1 <= mask.any(0).sum() <= 29 / 1.2 + 1


def test_an_ornament_gets_the_same_colour_in_both_pictures_and_nothing_else_changes(triplet: Triplet) -> None:
    plain, changed = (TripletTransform(32, recolour=share)(triplet, 7) for share in (0.0, 1.0))
    for image, mask in (("ornament_image", "ornament_mask"), ("person_image", "wearing_mask")):
        before, after, inside = plain[image], changed[image], plain[mask]  # type: ignore[literal-required]
        assert torch.equal(before[:, inside[0] == 0], after[:, inside[0] == 0])
        assert (before - after)[:, inside[0] == 1].abs().max() > 0.05
    core = [changed["ornament_image"][:, 16, 16], changed["person_image"][:, 16, 16]]
    torch.testing.assert_close(*core, atol=0.15, rtol=0)  # one ellipse of one colour, by two JPEGs


def test_colours_turn_about_grey() -> None:
    grey = torch.full((3, 2, 2), 0.3)
    changes = [draw_colour_change(random.Random(seed)) for seed in range(200)]
    means = torch.stack([change_colours(grey, torch.ones(1, 2, 2), change)[:, 0, 0] for change in changes])
    assert means.log1p().mean().item() == pytest.approx(math.log(1.3), abs=0.03)  # only the tint colours it
    red = torch.tensor([1.0, -1.0, -1.0]).view(3, 1, 1)
    hues = {int(change_colours(red, torch.ones(1, 1, 1), change).flatten().argmax()) for change in changes}
    assert hues == {0, 1, 2}
    assert torch.equal(change_colours(red, torch.zeros(1, 1, 1), changes[0]), red)


def test_a_third_of_a_turn_exchanges_the_channels() -> None:
    class Fixed(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return 2 * math.pi / 3

        def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
            return 0.0

    torch.testing.assert_close(draw_colour_change(Fixed()), torch.eye(3).roll(1, 0), atol=1e-6, rtol=0)


def test_recolouring_leaves_the_crop_and_the_flip_alone(triplet: Triplet) -> None:
    for seed in range(8):
        plain, changed = (TripletTransform(32, flip=True, recolour=share)(triplet, seed) for share in (0.0, 1.0))
        assert torch.equal(plain["wearing_mask"], changed["wearing_mask"])
        assert torch.equal(plain["box_mask"], changed["box_mask"])


def test_references_are_turned_and_scaled_and_stay_whole(triplet: Triplet) -> None:
    plain = TripletTransform(64)(triplet, 0)
    scaled = TripletTransform(64, reference_scale=(0.5, 0.5))(triplet, 0)
    assert scaled["ornament_mask"].sum() == pytest.approx(plain["ornament_mask"].sum().item() / 4, rel=0.1)
    turned = [TripletTransform(64, reference_rotation=180)(triplet, seed) for seed in range(6)]
    for sample in turned:
        assert sample["ornament_mask"][:, [0, -1]].max() == 0  # nothing is cut off at the border
        assert torch.equal(sample["person_image"], TripletTransform(64)(triplet, sample["sample_seed"])["person_image"])
    assert len({round(sample["ornament_mask"].sum().item()) for sample in turned}) > 1


def test_an_ornament_too_thin_to_be_turned_is_a_bad_sample(triplet: Triplet) -> None:
    mask = Image.new("L", triplet.ornament_mask.size)
    mask.putpixel((20, 20), 128)
    thin = triplet._replace(ornament_mask=mask)
    assert TripletTransform(64)(thin, 0)["ornament_mask"].max() > 0.4
    with pytest.raises(SampleError, match=r"k: .* too thin for reference_rotation") as error:
        TripletTransform(64, reference_rotation=180)(thin, 0)
    assert error.value.reason == "empty_mask"


def test_input_mask_and_whole_photograph_come_when_they_are_asked_for(triplet: Triplet) -> None:
    plain = TripletTransform(36, box_growth=(0.0, 0.0))(triplet, 0)
    assert "input_mask" not in plain and "photograph" not in plain and plain["components"] == -1
    sample = TripletTransform(36, box_growth=(0.0, 0.0), input_mask="convex_hull", whole=True)(triplet, 0)
    assert 0 < sample["input_mask"].sum() < sample["box_mask"].sum()
    assert sample["photograph"].shape == (3, 48, 48) and sample["photograph"].dtype == torch.uint8
    assert sample["crop"].tolist() == [6, 6, 36] and sample["box"].tolist() == [12, 16, 36, 32]


def turned_by(triplet: Triplet, angle: float) -> Triplet:
    """The triplet with its box (12, 16, 36, 32) as an oriented one."""
    return triplet._replace(oriented_box=(12.0, 16.0, 36.0, 32.0, angle))


def test_an_oriented_box_of_0_degrees_is_the_box(triplet: Triplet) -> None:
    for seed in range(10):
        plain = TripletTransform(36, flip=True)(triplet, seed)
        sample = TripletTransform(36, flip=True, input_mask="oriented_box")(turned_by(triplet, 0), seed)
        assert torch.equal(sample["input_mask"], plain["box_mask"]) and equal(sample, {**plain, **sample})
        assert torch.equal(sample["person_image"], plain["person_image"])


def test_an_oriented_box_changes_nothing_where_it_is_not_asked_for(triplet: Triplet) -> None:
    plain, sample = (TripletTransform(36, flip=True)(each, 3) for each in (triplet, turned_by(triplet, 30)))
    assert equal(plain, sample) and "input_mask" not in sample


def test_an_oriented_box_grows_stays_in_the_box_and_is_mirrored(triplet: Triplet) -> None:
    wide = turned_by(triplet, 30)._replace(box=(4.0, 6.0, 44.0, 42.0))
    tight = TripletTransform(48, box_growth=(0, 0), crop_factor=1.2, input_mask="oriented_box")(wide, 0)
    assert tight["input_mask"].sum() == pytest.approx(24 * 16, rel=0.05)  # 48 pixels show 48
    left, right = tight["input_mask"][0, :, :24].nonzero(), tight["input_mask"][0, :, 24:].nonzero()
    assert left[:, 0].float().mean() < right[:, 0].float().mean(), "clockwise: the right end is lower"
    coarse = TripletTransform(48, box_growth=(0.2, 0.2), crop_factor=1.2, input_mask="oriented_box")
    sample, seen = coarse(wide, 0), set()
    assert (sample["input_mask"] <= sample["box_mask"]).all()
    scale = 48 / round(1.2 * 48)  # the coarse box is all of the image
    assert sample["input_mask"].sum() / scale**2 == pytest.approx(24 * 16 * 1.4**2, rel=0.06)
    for seed in range(8):
        flipped = TripletTransform(48, (0, 0), 1.2, flip=True, input_mask="oriented_box")(wide, seed)["input_mask"]
        assert torch.equal(flipped, tight["input_mask"]) or torch.equal(flipped, tight["input_mask"].flip(-1))
        seen.add(torch.equal(flipped, tight["input_mask"]))
    assert seen == {True, False}


@pytest.mark.parametrize("angle", [90.0, -90.0, 30.0])
def test_an_oriented_box_turns_with_the_person(triplet: Triplet, angle: float) -> None:
    person, mask = Image.new("RGB", (80, 60)), Image.new("L", (80, 60))
    mask.paste(255, (20, 30, 60, 42))
    given = triplet._replace(
        person=person, wearing_mask=mask, box=(20.0, 30.0, 60.0, 42.0), oriented_box=(20.0, 30.0, 60.0, 42.0, 0.0)
    )
    turned = turn_person(given, angle)
    assert turned.oriented_box is not None and turned.oriented_box[4] == -angle
    along = extent_along(mask_outline(turned.wearing_mask), turned.oriented_box)
    assert along == pytest.approx(turned.oriented_box[:4], abs=1.2), "the rectangle is still around the mask"
    assert turned.box == pytest.approx(bounding_box(turned.oriented_box), abs=1.2)
    sample = TripletTransform(48, rotation=40.0, input_mask="oriented_box")(given, 1)
    assert sample["wearing_mask"][sample["input_mask"] == 0].max() < 0.6
