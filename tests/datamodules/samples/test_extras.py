"""Correspondence, wide view and detail through crops, flips, turns, other colours and sizes."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import grid_sample

from datamodules.samples.carrying import crop_correspondence, resample
from datamodules.samples.correspondence import PixelCorrespondence
from datamodules.samples.decoding import Triplet
from datamodules.samples.transforms import TripletTransform, TryOnSample
from datamodules.samples.turning import turn_image, turn_points
from datamodules.storage.sample_errors import SampleError
from ornament_lit.imaging.geometry import Crop

PLACE = (40, 60, 72, 84)  # of the worn ornament
SHIFT = np.array([8.0, -20.0])  # from there to the ornament's image


def worn_pair(size: int = 128) -> Triplet:
    """A smooth pattern that is pasted onto a person; each of its pixels is the one that lies :data:`SHIFT` off."""
    y, x = np.mgrid[:size, :size] + 0.5
    pattern = np.stack([x / size, y / size, 0.5 + 0.5 * np.sin(x / 9) * np.cos(y / 7)], -1)
    ornament = Image.fromarray(np.uint8(255 * pattern))
    x0, y0, x1, y1 = PLACE
    source = (int(x0 + SHIFT[0]), int(y0 + SHIFT[1]), int(x1 + SHIFT[0]), int(y1 + SHIFT[1]))
    person = Image.new("RGB", (size, size), (90, 120, 70))
    mask, ornament_mask = Image.new("L", (size, size)), Image.new("L", (size, size))
    person.paste(ornament.crop(source), PLACE[:2])
    mask.paste(255, PLACE)
    ornament_mask.paste(255, source)
    known = np.asarray(mask, np.float32) / 255
    points = np.stack([x + SHIFT[0], y + SHIFT[1]], -1) * (known > 0)[..., None]
    found = PixelCorrespondence(points.astype(np.float32), known, known * (x < 60))
    box = tuple(map(float, PLACE))
    return Triplet(ornament, ornament_mask, person, mask, box, "ring", "k", correspondence=found)  # type: ignore[arg-type]


def warp(sample: TryOnSample, picture: torch.Tensor) -> torch.Tensor:
    grid = sample["correspondence"]["uv"].permute(1, 2, 0)[None]
    return grid_sample(picture[None], grid, mode="bilinear", align_corners=False)[0]


ALL = {
    "flip": True,
    "recolour": 0.5,
    "rotation": 180.0,
    "reference_rotation": 180.0,
    "reference_scale": (0.7, 1.2),
    "wide_view": 2.5,
    "detail": 2,
}
CHOICES = [{}, *({name: value} for name, value in ALL.items()), ALL]


@pytest.mark.parametrize("options", CHOICES, ids=lambda options: "+".join(options) or "plain")
@pytest.mark.parametrize("resolution", [32, 64, 96])
def test_the_ornament_sampled_at_uv_is_what_is_worn(options: dict[str, object], resolution: int) -> None:
    transform = TripletTransform(resolution, correspondence=True, **options)  # type: ignore[arg-type]
    for seed in range(6):
        sample = transform(worn_pair(), seed)
        inside = (sample["correspondence"]["known"] > 0.999).expand(3, -1, -1)
        assert inside.any()
        pictures = [sample["ornament_image"]]
        if "detail" in options:
            pictures.append(sample["ornament_detail"]["image"])
        for picture in pictures:
            difference = (warp(sample, picture) - sample["person_image"])[inside].abs()
            assert difference.mean() < 0.04 and difference.quantile(0.98) < 0.2


@pytest.mark.parametrize("options", CHOICES, ids=lambda options: "+".join(options) or "plain")
def test_known_is_the_wearing_mask_and_points_lie_in_the_ornament(options: dict[str, object]) -> None:
    transform = TripletTransform(64, correspondence=True, **options)  # type: ignore[arg-type]
    for seed in range(6):
        sample = transform(worn_pair(), seed)
        known, seen = sample["correspondence"]["known"], sample["correspondence"]["seen"]
        torch.testing.assert_close(known, sample["wearing_mask"], atol=0.02, rtol=0)
        assert (seen <= known).all() and seen.min() >= 0 and 0.3 < seen.sum() / known.sum() < 0.9
        assert (sample["correspondence"]["uv"][:, known[0] == 0] == 0).all()
        on_mask = warp(sample, sample["ornament_mask"])[known > 0.999]
        assert on_mask.quantile(0.1) > 0.5


def test_off_means_the_same_sample_as_ever() -> None:
    triplet = worn_pair()
    extras = {"correspondence": True, "wide_view": 2.0, "detail": 3}
    for seed, options in itertools.product(range(6), ({}, {"flip": True, "recolour": 0.5, "reference_rotation": 90.0})):
        plain = TripletTransform(32, **options)(triplet, seed)  # type: ignore[arg-type]
        more = TripletTransform(32, **options, **extras)(triplet, seed)  # type: ignore[arg-type]
        assert set(more) - set(plain) == {"correspondence", "wide_view", "ornament_detail"}
        tensors = [name for name, value in plain.items() if isinstance(value, torch.Tensor)]
        assert all(torch.equal(plain[name], more[name]) for name in tensors)  # type: ignore[literal-required]


def test_a_marked_pixels_point_lands_where_it_must() -> None:
    """Windows without growth: the person's (32, 48, 48), the ornament's around (48, 40, 80, 64)."""
    triplet = worn_pair()
    uv = TripletTransform(48, box_growth=(0.0, 0.0), correspondence=True)(triplet, 0)["correspondence"]["uv"]
    left, top, size = 64 - 19, 52 - 19, 38  # 1.2 x 32, in whole pixels
    column, row = 20, 15
    x, y = 32 + column + 0.5 + SHIFT[0], 48 + row + 0.5 + SHIFT[1]
    assert uv[0, row, column].item() == pytest.approx(2 * (x - left) / size - 1, abs=1e-5)
    assert uv[1, row, column].item() == pytest.approx(2 * (y - top) / size - 1, abs=1e-5)


def test_points_are_averaged_over_what_is_known_alone() -> None:
    known = np.array([[1, 0.5], [0, 0]], np.float32)
    points = np.stack([np.array([[10, 40], [0, 0]]), np.array([[6, 0], [0, 0]])], -1).astype(np.float32)
    found = crop_correspondence(PixelCorrespondence(points, known, known * 0), Crop(0, 0, 2), 1)
    np.testing.assert_allclose(found.points[0, 0], (20, 4), rtol=1e-5)
    assert found.known[0, 0] == pytest.approx(0.375) and found.seen[0, 0] == 0


def test_outside_of_the_photograph_nothing_is_known() -> None:
    one = np.ones((4, 4), np.float32)
    found = crop_correspondence(PixelCorrespondence(np.ones((4, 4, 2), np.float32), one, one), Crop(-4, -4, 8), 8)
    assert found.known[:4].max() == found.known[:, :4].max() == 0 and found.known[5:, 5:].min() == 1
    assert (found.points[:4] == 0).all()
    assert resample(found, lambda plane: plane).known.sum() == found.known.sum()


@pytest.mark.parametrize("size", [(40, 30), (41, 30), (31, 64)])
@pytest.mark.parametrize("angle", [0.0, 17.0, 90.0, -135.5, 180.0])
def test_points_turn_as_pictures_do(size: tuple[int, int], angle: float) -> None:
    picture = Image.new("RGB", size)
    picture.paste((255, 255, 255), (24, 11, 27, 14))
    turned = turn_image(picture, angle)
    light = np.asarray(turned.convert("L"), np.float64) * (np.asarray(turned.convert("L")) > 140)
    y, x = np.mgrid[: turned.height, : turned.width] + 0.5
    centre = np.array([(x * light).sum(), (y * light).sum()]) / light.sum()
    found = turn_points(np.array([25.5, 12.5], np.float32), angle, size, turned.size)
    np.testing.assert_allclose(found, centre, atol=0.35)


def test_a_turned_person_keeps_a_coarse_box_around_the_mask() -> None:
    triplet = worn_pair()
    for seed in range(20):
        sample = TripletTransform(64, rotation=180, box_growth=(0.1, 0.25))(triplet, seed)
        assert sample["wearing_mask"][sample["box_mask"] == 0].max() < 0.05
        rows, columns = (sample["wearing_mask"][0] > 0.5).nonzero().unbind(1)
        tight = (columns.max() - columns.min() + 1) * (rows.max() - rows.min() + 1)
        assert 1.1**2 < sample["box_mask"].sum() / tight < 1.6**2
    plain, turned = (TripletTransform(64, rotation=angle)(triplet, 3) for angle in (0.0, 90.0))
    assert torch.equal(plain["ornament_image"], turned["ornament_image"])
    assert not torch.equal(plain["person_image"], turned["person_image"])


def test_a_wide_view_shows_the_window_in_its_middle_and_grey_outside() -> None:
    triplet = worn_pair()._replace(person=Image.new("RGB", (128, 128), (255, 0, 0)))
    sample = TripletTransform(64, box_growth=(0.0, 0.0), wide_view=4.0)(triplet, 0)
    view = sample["wide_view"]  # a window of 192 pixels, from (-40, -24)
    assert view["image"].shape == (3, 64, 64) and view["factor"].item() == 4.0
    assert view["image"][:, 32, 32].tolist() == [1, -1, -1] and view["image"][:, 0, 0].abs().max() < 0.01
    rows, columns = view["box_mask"][0].nonzero().unbind(1)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (27, 36, 28, 35)


def test_flip_and_colours_are_those_of_the_other_pictures() -> None:
    for seed in range(8):
        sample = TripletTransform(64, flip=True, recolour=0.5, wide_view=1.0, detail=2)(worn_pair(), seed)
        window = sample["wide_view"]["image"]
        assert (window - sample["person_image"]).abs().mean() < 0.05
        detail = torch.nn.functional.avg_pool2d(sample["ornament_detail"]["image"], 2)
        assert (detail - sample["ornament_image"]).abs().mean() < 0.05
        assert sample["ornament_detail"]["mask"].shape == (1, 128, 128)


def test_a_sample_without_correspondence_is_unknown_everywhere() -> None:
    found = TripletTransform(16, correspondence=True)(worn_pair()._replace(correspondence=None), 0)["correspondence"]
    assert found["uv"].shape == (2, 16, 16) and found["known"].shape == found["seen"].shape == (1, 16, 16)
    assert all(tensor.sum() == 0 for tensor in (found["uv"], found["known"], found["seen"]))


def test_small_ornaments_and_boxes_as_wide_as_the_photograph() -> None:
    triplet = worn_pair()
    few = Image.new("L", (128, 128))
    few.paste(255, (50, 50, 52, 52))
    transform = TripletTransform(32, correspondence=True, wide_view=2.5, detail=2, rotation=45.0)
    sample = transform(triplet._replace(ornament_mask=few), 0)
    assert sample["ornament_mask"].max() > 0.9 and sample["correspondence"]["uv"].isfinite().all()
    wide = TripletTransform(32, correspondence=True, wide_view=2.5)(triplet._replace(box=(0, 0, 128, 128)), 0)
    assert wide["box_mask"].sum() == 21**2 or wide["box_mask"].sum() == 22**2
    assert wide["correspondence"]["known"].sum() > 0 and wide["wide_view"]["image"][:, 0, 0].abs().max() < 0.01


def test_a_mask_too_thin_to_be_turned_is_a_bad_sample() -> None:
    mask = Image.new("L", (128, 128))
    mask.putpixel((50, 70), 128)
    with pytest.raises(SampleError, match=r"k: .* too thin for rotation") as error:
        TripletTransform(64, rotation=90)(worn_pair()._replace(wearing_mask=mask), 0)
    assert error.value.reason == "empty_mask"


def test_the_bare_person_is_cropped_turned_and_flipped_as_the_person() -> None:
    """Of a person who wears nothing, both images are the same."""
    triplet = worn_pair()
    triplet = triplet._replace(bare=triplet.person)
    for seed in range(6):
        sample = TripletTransform(48, flip=True, rotation=40.0, wide_view=2.0, bare=1.0)(triplet, seed)
        bare = sample["bare_person"]
        assert bare["shown"].item() == 1 and torch.equal(bare["image"], sample["person_image"])
        assert torch.equal(bare["wide_image"], sample["wide_view"]["image"])
    assert "wide_image" not in TripletTransform(48, bare=1.0)(triplet, 0)["bare_person"]


def test_a_share_of_the_samples_shows_the_bare_person() -> None:
    triplet = worn_pair()._replace(bare=Image.new("RGB", (128, 128), (255, 0, 0)))
    transform = TripletTransform(8, bare=0.3)
    bares = [transform(triplet, seed)["bare_person"] for seed in range(200)]
    assert 0.2 < torch.stack([bare["shown"] for bare in bares]).mean() < 0.4
    assert all(bare["image"].any().item() == bool(bare["shown"]) for bare in bares)
    nothing = transform(triplet._replace(bare=None), 0)["bare_person"]
    assert nothing["shown"].item() == 0 and nothing["image"].shape == (3, 8, 8)


def test_bare_jpg_is_read_where_it_is_shown_alone() -> None:
    assert TripletTransform(8, bare=0.1).wants("bare.jpg") and not TripletTransform(8).wants("bare.jpg")
    assert not TripletTransform(8, bare=0.1).wants("correspondence.png")


def test_a_share_of_the_samples_is_made_like_photographs() -> None:
    triplet, transform = worn_pair(), TripletTransform(32, photographic=0.4)
    plain = TripletTransform(32)(triplet, 0)
    changed = [
        not torch.equal(transform(triplet, seed)["ornament_image"], plain["ornament_image"]) for seed in range(100)
    ]
    assert 0.25 < sum(changed) / 100 < 0.55
    off = TripletTransform(32, photographic=1.0, photographic_changes=())(triplet, 3)
    assert torch.equal(off["ornament_image"], plain["ornament_image"])
