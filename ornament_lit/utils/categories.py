"""The types of ornaments."""

from typing import Literal, get_args

Category = Literal["bracelet", "ring", "earring", "necklace"]
CATEGORIES: tuple[str, ...] = get_args(Category)
