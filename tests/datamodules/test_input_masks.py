"""Input masks against figures known by hand."""

import numpy as np
import pytest
import torch

from datamodules.input_masks import INPUT_MASKS, convex_hull, draw_input_mask, oriented_box


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


@pytest.mark.parametrize("kind", INPUT_MASKS)
def test_each_holds_the_ornament_and_one_pixel_is_enough(kind: str) -> None:
    mask = torch.zeros(1, 16, 16)
    mask[:, 5, 7] = 1
    drawn = draw_input_mask(kind, mask, torch.ones(1, 16, 16))  # type: ignore[arg-type]
    assert drawn.shape == mask.shape and drawn[0, 5, 7] == 1
    assert set(drawn.unique().tolist()) <= {0.0, 1.0}


def test_an_oriented_box_that_is_known_takes_the_place_of_the_tightest(bent: torch.Tensor) -> None:
    known, box = torch.zeros(1, 40, 40), torch.ones(1, 40, 40)
    assert draw_input_mask("oriented_box", bent, box, known) is known
    for kind in INPUT_MASKS[:1] + INPUT_MASKS[2:4]:
        assert torch.equal(draw_input_mask(kind, bent, box, known), draw_input_mask(kind, bent, box))
