"""Input masks against figures known by hand."""

import random
from collections import Counter

import numpy as np
import pytest
import torch

from datamodules import OrnamentDataModule
from datamodules.samples.input_masks import (
    INPUT_MASKS,
    MIXTURE,
    choose_input_mask,
    convex_hull,
    draw_input_mask,
    oriented_box,
)


def diagonal(size: int = 40) -> torch.Tensor:
    """A thin ornament along the diagonal, (1, size, size)."""
    return torch.eye(size)[None]


@pytest.fixture
def bent() -> torch.Tensor:
    """Two arms at a right angle, rows and columns 10 to 29."""
    mask = torch.zeros(1, 40, 40)
    mask[:, 10, 10:30] = mask[:, 10:30, 10] = 0.3
    return mask


def test_the_box_stays_as_it_is(bent: torch.Tensor) -> None:
    box = torch.ones(1, 40, 40)
    assert draw_input_mask("box", bent, box) is box


def test_the_wearing_mask_is_every_pixel_that_is_touched(bent: torch.Tensor) -> None:
    assert torch.equal(draw_input_mask("wearing_mask", bent, torch.ones(1, 40, 40)), (bent > 0).float())


def test_the_hull_of_two_arms_is_a_triangle(bent: torch.Tensor) -> None:
    hull = draw_input_mask("convex_hull", bent, torch.ones(1, 40, 40))
    assert hull[0, 15, 15] == 1 and hull[0, 28, 28] == 0
    assert hull.sum() == pytest.approx(20 * 20 / 2, rel=0.15)


def test_the_oriented_box_of_a_diagonal_is_narrow() -> None:
    mask = draw_input_mask("oriented_box", diagonal(), torch.ones(1, 40, 40))
    assert mask.sum() < 40 * 40 / 8
    assert (mask >= diagonal()).all()


def test_the_oriented_box_of_a_rectangle_is_itself() -> None:
    mask = np.zeros((20, 20), dtype=bool)
    mask[4:9, 2:17] = True
    corners = {tuple(corner) for corner in oriented_box(convex_hull(mask)).round(6).tolist()}
    assert corners == {(2, 4), (17, 4), (17, 9), (2, 9)}


@pytest.mark.parametrize("kind", [kind for kind in INPUT_MASKS if kind != "mixed"])
def test_each_holds_the_ornament_and_one_pixel_is_enough(kind: str) -> None:
    mask = torch.zeros(1, 16, 16)
    mask[:, 5, 7] = 1
    drawn = draw_input_mask(kind, mask, torch.ones(1, 16, 16))  # type: ignore[arg-type]
    assert drawn.shape == mask.shape and drawn[0, 5, 7] == 1
    assert set(drawn.unique().tolist()) <= {0.0, 1.0}


def test_a_mixture_has_each_kind_as_often_as_it_says() -> None:
    assert sum(MIXTURE.values()) == pytest.approx(1) and set(MIXTURE) == set(INPUT_MASKS) - {"mixed"}
    drawn = Counter(choose_input_mask("mixed", random.Random(seed)) for seed in range(2000))
    assert {kind: drawn[kind] / 2000 for kind in MIXTURE} == pytest.approx(MIXTURE, abs=0.04)
    assert choose_input_mask("mixed", random.Random(5)) == choose_input_mask("mixed", random.Random(5))


@pytest.mark.parametrize("kind", list(MIXTURE))
def test_a_kind_that_is_named_is_not_drawn(kind: str) -> None:
    rng = random.Random(0)
    before = rng.getstate()
    assert choose_input_mask(kind, rng) == kind and rng.getstate() == before  # type: ignore[arg-type]


def test_a_mixture_is_for_training_alone() -> None:
    data = OrnamentDataModule(input_mask="mixed")
    assert [data.transform(augment).input_mask for augment in (True, False)] == ["mixed", "box"]
    fixed = OrnamentDataModule(input_mask="convex_hull")
    assert [fixed.transform(augment).input_mask for augment in (True, False)] == ["convex_hull", "convex_hull"]


def test_an_oriented_box_that_is_known_takes_the_place_of_the_tightest(bent: torch.Tensor) -> None:
    known, box = torch.zeros(1, 40, 40), torch.ones(1, 40, 40)
    assert draw_input_mask("oriented_box", bent, box, known) is known
    for kind in INPUT_MASKS[:1] + INPUT_MASKS[2:4]:
        assert torch.equal(draw_input_mask(kind, bent, box, known), draw_input_mask(kind, bent, box))
