"""What ornaments can be made of, and what can hang from them."""

from dataclasses import dataclass

METALS = ("gold", "silver", "rose_gold", "white_gold", "platinum", "copper")
GEMS = ("diamond", "ruby", "sapphire", "emerald", "amethyst", "citrine", "aquamarine", "topaz")
OPAQUE = ("pearl", "turquoise", "onyx", "coral", "jade", "lapis", "rose_quartz", "wood")
CUTS = ("round", "oval", "emerald", "pear", "marquise", "princess")
PLATES = ("heart", "disc", "star", "leaf", "cross", "drop", "bar")
PENDANTS = ("stone", "pearl", "halo", *PLATES)
LINKS = ("cable", "curb", "rolo")


@dataclass(frozen=True)
class PendantDesign:
    """A pendant or charm; what its kind does not have is "" or False.

    Attributes:
        kind: One of ``PENDANTS``.
        cut: Of its stone.
        stone: Material of its stone.
        accent: Material of the stones around it.
    """

    kind: str
    cut: str = ""
    stone: str = ""
    accent: str = ""
