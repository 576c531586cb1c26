"""Words that an option takes."""

from typing import get_args


def check_choice(name: str, value: str, choices: object) -> None:
    """Check a word.

    Args:
        name: What errors call it.
        value: The word.
        choices: A ``Literal`` of all words.

    Raises:
        ValueError: If the word is not among them.
    """
    if value not in get_args(choices):
        raise ValueError(f"{name} must be one of {', '.join(get_args(choices))}, got {value!r}")
