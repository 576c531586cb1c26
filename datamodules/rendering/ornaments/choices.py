"""What is drawn about each kind of ornament: only what the kind has, so that no choice is without effect."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from datamodules.rendering.ornaments.catalogue import GEMS, LINKS, OPAQUE, PENDANTS, PLATES, PendantDesign

BEAD_CHANCES = (0.26, 0.12, 0.12, 0.10, 0.12, 0.12, 0.10, 0.06)

Choices = dict[str, Any]
Draw = Callable[[np.random.Generator, str], Choices]


def pick(rng: np.random.Generator, options: Sequence[str], chances: Sequence[float] | None = None) -> str:
    """One of several names, with equal chances or given ones."""
    return options[int(rng.choice(len(options), p=chances))]


def _maybe(rng: np.random.Generator, value: str, chance: float = 0.5) -> str:
    return value if rng.random() < chance else ""


def _gem(rng: np.random.Generator) -> str:
    return pick(rng, GEMS)


def _small_gem(rng: np.random.Generator) -> str:
    """Mostly diamonds, as jewellers have it."""
    return "diamond" if rng.random() < 0.6 else _gem(rng)


def _bead(rng: np.random.Generator) -> str:
    return pick(rng, OPAQUE, BEAD_CHANCES)


def _accent(rng: np.random.Generator, metal: str) -> str:
    return metal if rng.random() < 0.5 else _gem(rng)


def _links(rng: np.random.Generator) -> str:
    return pick(rng, LINKS)


def _pendant(rng: np.random.Generator) -> PendantDesign:
    kind = pick(rng, PENDANTS)
    if kind == "stone":
        return PendantDesign(kind, cut=pick(rng, ("round", "oval", "pear", "marquise", "emerald")), stone=_gem(rng))
    if kind == "halo":
        return PendantDesign(kind, cut="round", stone=_gem(rng), accent="diamond")
    return PendantDesign(kind, stone=_maybe(rng, _gem(rng)) if kind in PLATES else "")


def _strung(rng: np.random.Generator, metal: str) -> Choices:
    return {"bead": _bead(rng), "accent": _accent(rng, metal), "every": int(rng.integers(3, 8))}


def _chain(rng: np.random.Generator, metal: str) -> Choices:
    return {"links": _links(rng)}


def _hung_chain(rng: np.random.Generator, metal: str) -> Choices:
    return {"links": _links(rng), "pendant": _pendant(rng)}


def _charms(rng: np.random.Generator, metal: str) -> Choices:
    return {**_hung_chain(rng, metal), "parts": int(rng.integers(3, 8))}


def _set_band(rng: np.random.Generator, metal: str) -> Choices:
    return {"stone": _maybe(rng, _small_gem(rng))}


def _twisted(rng: np.random.Generator, metal: str) -> Choices:
    strands = int(rng.integers(2, 4))
    second = "silver" if metal != "silver" else "gold"
    accent = _maybe(rng, second) if strands == 3 else ""
    return {"strands": strands, "turns": int(rng.integers(7, 15)), "accent": accent}


def _row(rng: np.random.Generator, metal: str) -> Choices:
    return {
        "stone": "diamond" if rng.random() < 0.5 else _gem(rng),
        "cut": pick(rng, ("round", "princess"), (0.75, 0.25)),
    }


def _open_band(rng: np.random.Generator, metal: str) -> Choices:
    return {"bead": _maybe(rng, metal if rng.random() < 0.5 else _bead(rng), 0.7)}


def _solitaire(rng: np.random.Generator, metal: str) -> Choices:
    setting = pick(rng, ("prong", "bezel"), (0.65, 0.35))
    prongs = int(rng.choice([4, 6])) if setting == "prong" else 0
    return {
        "stone": _gem(rng),
        "cut": pick(rng, ("round", "oval", "emerald", "princess")),
        "setting": setting,
        "prongs": prongs,
    }


def _two_gems(rng: np.random.Generator, metal: str) -> Choices:
    return {"stone": _gem(rng), "accent": _small_gem(rng), "cut": "round"}


def _eternity(rng: np.random.Generator, metal: str) -> Choices:
    return {"stone": "diamond" if rng.random() < 0.5 else _gem(rng), "cut": "round"}


def _inlaid(rng: np.random.Generator, metal: str) -> Choices:
    bead = _bead(rng)
    return {"bead": _maybe(rng, bead if bead != "pearl" else "onyx")}


def _beside_pearl(rng: np.random.Generator, metal: str) -> Choices:
    return {"bead": "pearl", "stone": _maybe(rng, _small_gem(rng))}


def _hoop(rng: np.random.Generator, metal: str) -> Choices:
    twisted = rng.random() < 0.5
    turns = 2 * int(rng.integers(7, 15)) if twisted else 0
    return {"strands": 2 if twisted else 1, "turns": turns, "stone": _maybe(rng, _small_gem(rng))}


def _drop(rng: np.random.Generator, metal: str) -> Choices:
    return {"stone": _maybe(rng, _small_gem(rng)), "pendant": _pendant(rng)}


def _pearl_drop(rng: np.random.Generator, metal: str) -> Choices:
    return {"stone": _maybe(rng, _small_gem(rng)), "pendant": PendantDesign("pearl")}


def _bead_drop(rng: np.random.Generator, metal: str) -> Choices:
    return {"bead": _bead(rng), "stone": _maybe(rng, _gem(rng)), "parts": int(rng.integers(5, 11))}


def _chandelier(rng: np.random.Generator, metal: str) -> Choices:
    return {
        "stone": _gem(rng),
        "bead": _bead(rng),
        "parts": int(rng.choice([3, 5, 7])),
        "setting": pick(rng, ("prong", "bezel")),
    }


def _stud(rng: np.random.Generator, metal: str) -> Choices:
    motif = pick(rng, ("pearl", "stone", "heart", "star", "disc", "leaf"), (0.3, 0.4, 0.1, 0.08, 0.06, 0.06))
    return {"motif": motif, **(_solitaire(rng, metal) if motif == "stone" else {})}


def _tassel(rng: np.random.Generator, metal: str) -> Choices:
    return {
        "accent": _maybe(rng, _small_gem(rng)),
        "stone": _gem(rng),
        "bead": _bead(rng),
        "strands": int(rng.integers(3, 6)),
    }


def _hung_beads(rng: np.random.Generator, metal: str) -> Choices:
    return {**_strung(rng, metal), "pendant": _pendant(rng)}


def _stations(rng: np.random.Generator, metal: str) -> Choices:
    bead = "pearl" if rng.random() < 0.5 else _gem(rng)
    return {"links": _links(rng), "bead": bead, "parts": 2 * int(rng.integers(3, 8)) + 3}


def _fringe(rng: np.random.Generator, metal: str) -> Choices:
    return {"links": _links(rng), "pendant": _pendant(rng), "parts": 2 * int(rng.integers(2, 7)) + 3}


KINDS: dict[str, dict[str, Draw]] = {
    "bracelet": {
        "beads": _strung,
        "chain": _chain,
        "charm": _charms,
        "bangle": _set_band,
        "twist": _twisted,
        "tennis": _row,
        "cuff": _open_band,
    },
    "ring": {
        "solitaire": _solitaire,
        "halo": _two_gems,
        "eternity": _eternity,
        "plain": _set_band,
        "twist": _twisted,
        "signet": _inlaid,
        "pearl": _beside_pearl,
        "trilogy": _two_gems,
    },
    "earring": {
        "hoop": _hoop,
        "drop": _drop,
        "beads": _bead_drop,
        "chandelier": _chandelier,
        "pearl": _pearl_drop,
        "stud": _stud,
        "chain": _tassel,
    },
    "necklace": {
        "pearls": lambda rng, metal: {"bead": "pearl"},
        "chain_pendant": _hung_chain,
        "beads_pendant": _hung_beads,
        "graduated": lambda rng, metal: {"bead": _bead(rng)},
        "station": _stations,
        "tennis": _row,
        "fringe": _fringe,
    },
}
