import random
from collections.abc import Callable

import pytest
import torch
from PIL import Image

from datamodules.decoding import Triplet, decode, describe
from datamodules.transforms import TripletTransform, TryOnSample


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
