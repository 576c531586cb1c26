"""Words of a command line before they are parsed: dashes, switches, and groups of options that repeat."""

import inspect
from collections.abc import Callable, Collection, Sequence


def switches_of(target: Callable[..., object]) -> set[str]:
    """Names of the parameters of a function or class that are true or false."""
    return {
        parameter.name for parameter in inspect.signature(target).parameters.values() if parameter.annotation is bool
    }


def normalise(words: Sequence[str], switches: Collection[str]) -> list[str]:
    """Let options be written with dashes, and switches without a value.

    Args:
        words: Words of a command line.
        switches: Names of the options that stand for ``true`` by themselves.

    Returns:
        ``--save-masks`` as ``--save_masks=true``, where that is a switch.
    """
    normal = []
    for word, following in zip(words, [*words, "--"][1:], strict=True):
        name, equals, value = word.partition("=")
        if not name.startswith("--") or " " in name:  # a value, such as the words that study hands on
            normal.append(word)
            continue
        name = "--" + name[2:].replace("-", "_")
        alone = not equals and name[2:] in switches and following not in ("true", "false")
        normal.append(f"{name}=true" if alone else f"{name}{equals}{value}")
    return normal


def join_negative(words: Sequence[str]) -> list[str]:
    """Write an option and its negative value as one word: a parser takes ``-5,10`` for an option of its own.

    Args:
        words: Words of a command line.

    Returns:
        ``--box -5,10,20,30`` as ``--box=-5,10,20,30``; all else as it was.
    """
    joined: list[str] = []
    for word in words:
        last = joined[-1] if joined else ""
        if word.startswith("-") and _is_number(word) and last.startswith("--") and "=" not in last:
            joined[-1] = f"{last}={word}"
        else:
            joined.append(word)
    return joined


def split_groups(words: Sequence[str], grouped: Collection[str]) -> tuple[list[str], list[list[str]]]:
    """Part the words of a command line into those for all and groups of options that repeat.

    A group ends where one of its options comes again.

    Args:
        words: Options with their values; a word that is no option belongs to the option before it.
        grouped: Names of the options that repeat.

    Returns:
        The words for all, and those of each group; at least one group, which may be empty.
    """
    shared: list[str] = []
    groups: list[list[str]] = [[]]
    seen: set[str] = set()
    target = shared
    for word in words:
        if word.startswith("-") and not _is_number(word):
            name = word.lstrip("-").partition("=")[0]
            if name in grouped:
                if name in seen:
                    groups.append([])
                    seen = set()
                seen.add(name)
            target = groups[-1] if name in grouped else shared
        target.append(word)
    return shared, groups


def _is_number(word: str) -> bool:
    """Whether a word is a value such as ``-5,10,20,30``."""
    return word[1:2].isdigit() or word[1:2] == "."
