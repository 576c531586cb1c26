"""Sliding a field along closed pieces, against rings that are drawn by hand."""

import math

import pytest
import torch
from torch import Tensor

from ornament_lit.imaging.frames import pixel_grid
from ornament_lit.imaging.sliding import find_ring, look_up, looks_the_same, slide_to_front
from ornament_lit.imaging.texture import sample_texture

INNER, OUTER = 0.6, 0.8


def ring(width: float = 1.0, height: float = 1.0, size: int = 128) -> Tensor:
    """An ellipse's band in one colour, (1, 4, size, size)."""
    x, y = pixel_grid((size, size), torch.zeros(()))
    radius = ((x / width) ** 2 + (y / height) ** 2).sqrt()
    mask = ((radius > INNER) & (radius < OUTER)).float()
    return torch.cat([torch.full((3, size, size), 0.5), mask[None]])[None]


def arc(middle: float, width: float = 1.0, height: float = 1.0) -> tuple[Tensor, Tensor]:
    """A field that shows 120 degrees of a band around an angle in degrees, along x; its outside is up."""
    x, y = pixel_grid((32, 32), torch.zeros(()))
    angle, radius = math.radians(middle) + x * math.pi / 3, 0.7 - 0.1 * y
    uv = torch.stack([width * radius * angle.cos(), height * radius * angle.sin()])[None]
    return uv, torch.ones(1, 1, 32, 32)


def angles(uv: Tensor) -> Tensor:
    return torch.atan2(uv[:, 1], uv[:, 0]).rad2deg() % 360


@pytest.mark.parametrize("middle", [0, 180, 250, -60])
def test_a_circle_is_turned_until_its_lowest_point_is_in_the_middle(middle: float) -> None:
    uv, weight = arc(middle)
    expected, _ = arc(90)
    torch.testing.assert_close(slide_to_front(uv, weight, ring()), expected, atol=0.02, rtol=0)


def test_an_ellipse_is_slid_along_its_length() -> None:
    uv, weight = arc(0, 1.0, 0.5)
    slid = slide_to_front(uv, weight, ring(1.0, 0.5))
    assert abs(angles(slid)[0, :, 15:17].mean() - 90) < 4
    band = ring(1.0, 0.5)[:, 3:]
    on_band, before = (sample_texture(band, field)[..., 4:-4, :].mean() for field in (slid, uv))
    assert on_band > 0.95 * before
    steps = slid[:, :, 16].diff(dim=-1).norm(dim=1)
    assert steps.max() < 1.6 * uv[:, :, 16].diff(dim=-1).norm(dim=1).max()


def test_what_lies_beside_the_line_stays_beside_it() -> None:
    uv, weight = arc(0)
    slid = slide_to_front(uv, weight, ring())
    torch.testing.assert_close(slid.norm(dim=1), uv.norm(dim=1), atol=0.02, rtol=0)


def test_a_mirrored_field_of_an_even_piece_is_mirrored_back() -> None:
    uv, weight = arc(0)
    mirrored = uv.flip(2)
    slid = slide_to_front(mirrored, weight, ring())
    torch.testing.assert_close(slid, slide_to_front(uv, weight, ring()), atol=0.03, rtol=0)


def keeps(texture: Tensor, uv: Tensor, weight: Tensor) -> bool:
    return torch.equal(slide_to_front(uv, weight, texture), uv)


def test_small_slides_are_left_out() -> None:
    assert keeps(ring(), *arc(80))


def test_open_pieces_keep_their_field() -> None:
    cuff = ring()
    cuff[:, 3, :50, 55:73] = 0
    assert not find_ring(cuff).closed
    assert keeps(cuff, *arc(0))


def test_full_pieces_keep_their_field() -> None:
    disc = ring()
    disc[:, 3, 30:98, 30:98] = 1
    assert keeps(disc, *arc(0))


def test_pieces_with_a_front_of_their_own_keep_their_field() -> None:
    stone = ring()
    stone[:, :3, 96:, 40:88] = torch.tensor([-0.9, -0.9, 0.9]).view(1, 3, 1, 1)
    assert keeps(stone, *arc(0))
    charm = ring()
    charm[:, 3, 100:126, 48:80] = 1
    assert keeps(charm, *arc(0))


def test_pieces_that_are_seen_all_round_keep_their_field() -> None:
    uv = pixel_grid((64, 64), torch.zeros(()))[None]
    assert keeps(ring(), uv, ring(size=64)[:, 3:])


def test_samples_without_a_correspondence_and_without_an_ornament_keep_their_zeros() -> None:
    nothing = torch.zeros(1, 2, 32, 32)
    assert keeps(ring(), nothing, nothing[:, :1])
    assert keeps(torch.zeros(1, 4, 32, 32), nothing, nothing[:, :1])


def test_rows_do_not_depend_on_each_other() -> None:
    (one, weight), (other, _) = arc(0), arc(200)
    both = slide_to_front(torch.cat([one, other]), torch.cat([weight, weight]), torch.cat([ring(), ring(1.0, 0.7)]))
    torch.testing.assert_close(both[:1], slide_to_front(one, weight, ring()))
    torch.testing.assert_close(both[1:], slide_to_front(other, weight, ring(1.0, 0.7)))


def test_single_beads_do_not_count_as_a_difference() -> None:
    beads = ring()
    x, y = pixel_grid((128, 128), beads)
    beads[:, 3] *= (torch.atan2(y, x) * 24).cos() > -0.7
    found = find_ring(beads)
    assert looks_the_same(found, torch.tensor([0.25])).all()
    assert not looks_the_same(
        find_ring(torch.cat([beads[:, :3] * (x > 0), beads[:, 3:]], 1)), torch.tensor([0.5])
    ).any()


def test_lengths_are_shares_of_the_centre_line() -> None:
    found = find_ring(ring())
    angles_of_quarters = torch.tensor([[0, math.pi / 2, math.pi, -math.pi / 2, 2 * math.pi - 1e-4]])
    quarters = look_up(found.length, angles_of_quarters, rise=1)
    torch.testing.assert_close(quarters, torch.tensor([[0, 0.25, 0.5, 0.75, 1.0]]), atol=5e-3, rtol=0)
    torch.testing.assert_close(found.radius, torch.full_like(found.radius, 0.7 / OUTER), atol=0.02, rtol=0)


def test_values_that_begin_at_zero_end_there() -> None:
    torch.testing.assert_close(look_up(torch.zeros(1, 96), torch.tensor([[2 * math.pi - 1e-3]])), torch.zeros(1, 1))
