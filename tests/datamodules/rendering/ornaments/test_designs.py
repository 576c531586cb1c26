import json
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest

from datamodules.rendering.ornaments import KINDS, RIGID, STRANDS, Design, PendantDesign, design_split, draw_design
from datamodules.rendering.ornaments.catalogue import GEMS, METALS, OPAQUE

ALL = [(category, kind) for category in KINDS for kind in KINDS[category]]


def test_every_kind_has_a_shape() -> None:
    assert len(ALL) == 29
    assert set(ALL) == set(RIGID) | set(STRANDS) and not set(RIGID) & set(STRANDS)


@pytest.mark.parametrize(("category", "kind"), ALL)
def test_designs_are_plain_data_of_known_materials(category: str, kind: str) -> None:
    for seed in range(20):
        design = draw_design(np.random.default_rng(seed), category, kind)
        assert json.loads(json.dumps(asdict(design))) == asdict(design)
        assert design.metal in METALS and 0.03 <= design.roughness <= 0.27
        assert {design.stone, design.accent, design.bead} <= {"", *METALS, *GEMS, *OPAQUE}
        assert draw_design(np.random.default_rng(seed), category, kind) == design


def test_kinds_are_drawn_with_equal_chances() -> None:
    rng = np.random.default_rng(0)
    drawn = Counter(draw_design(rng, "ring").kind for _ in range(800))
    assert set(drawn) == set(KINDS["ring"]) and min(drawn.values()) > 60


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="category must be one of bracelet, ring, earring, necklace, got 'hat'"):
        draw_design(np.random.default_rng(0), "hat")
    with pytest.raises(ValueError, match=r"kind of ring must be one of solitaire, .*, got 'hoop'"):
        draw_design(np.random.default_rng(0), "ring", "hoop")


def test_about_a_tenth_of_the_designs_is_held_out() -> None:
    rng = np.random.default_rng(0)
    splits = Counter(design_split(draw_design(rng, category)) for category in KINDS for _ in range(500))
    assert splits["train"] / 2000 == pytest.approx(0.90, abs=0.035)
    assert splits["val"] / 2000 == pytest.approx(0.05, abs=0.02)
    assert splits["test"] / 2000 == pytest.approx(0.05, abs=0.02)


def test_splits_are_known_words() -> None:
    design = Design("ring", "plain", "gold")
    assert [design_split(replace(design, metal=metal)) for metal in METALS] == KNOWN


KNOWN = ["train", "test", "train", "train", "train", "train"]


def test_proportions_do_not_change_the_split() -> None:
    rng = np.random.default_rng(1)
    for category, kind in ALL:
        design = draw_design(rng, category, kind)
        numbers = {name: 0.123 for name, value in asdict(design).items() if isinstance(value, float)}
        assert len(numbers) == 8
        assert design_split(replace(design, **numbers)) == design_split(design)


def test_choices_change_the_split() -> None:
    designs = [Design("bracelet", "charm", "gold", parts=parts, pendant=PendantDesign("star")) for parts in range(200)]
    assert set(map(design_split, designs)) == {"train", "val", "test"}
    pendants = [Design("necklace", "fringe", "gold", pendant=PendantDesign(str(name))) for name in range(200)]
    assert set(map(design_split, pendants)) == {"train", "val", "test"}
