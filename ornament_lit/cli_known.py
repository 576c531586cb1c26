"""What a parser knows: its keys, the classes that a key takes, the options of a class.

jsonargparse has no public way to ask for the type of a key, so two private names are used here. Where a release
lacks them, the answer is "nothing known" and messages are shorter.
"""

import inspect
from argparse import ArgumentParser
from collections.abc import Iterable
from difflib import get_close_matches
from pydoc import locate
from typing import get_type_hints


def options(parser: ArgumentParser) -> set[str]:
    """Names of the options of a parser and of its subcommands, without dashes; of a nested key also its parents."""
    names: set[str] = set()
    for action in parser._actions:
        if isinstance(action.choices, dict):
            names.update(*(options(subparser) for subparser in action.choices.values()))
        long = [option.removeprefix("--") for option in action.option_strings if option.startswith("--")]
        for name in long:
            words = name.split(".")
            if words[-1] != "help":
                names.update(".".join(words[:depth]) for depth in range(1, len(words) + 1))
    return names


def type_of(parser: ArgumentParser, key: str) -> object:
    """The type of a key's values, or None where that is not known."""
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for subparser in action.choices.values():
                found = type_of(subparser, key)
                if found is not None:
                    return found
        if f"--{key}" in action.option_strings:
            return getattr(action, "_typehint", None)
    return None


def type_of_option(class_path: str, name: str) -> object:
    """The type of an option of a class, or None where that is not known."""
    try:
        return get_type_hints(getattr(locate(class_path), "__init__", None)).get(name)
    except (TypeError, NameError):
        return None


def subclasses(typehint: object) -> list[str]:
    """Short names of the classes that a type takes, sorted."""
    try:
        from jsonargparse._typehints import get_all_subclass_paths

        paths: list[str] = get_all_subclass_paths(typehint)  # type: ignore[arg-type]
    except (ImportError, TypeError, AttributeError):
        return []
    return sorted({path.rpartition(".")[2] for path in paths})


def class_options(class_path: str) -> list[str]:
    """Names of the options of a class or function; of a class, its constructor's first and then its bases'."""
    target = locate(class_path)
    if not inspect.isclass(target):
        return _parameters(target)
    constructors = [vars(base).get("__init__") for base in inspect.getmro(target)]
    return list(dict.fromkeys(name for constructor in constructors for name in _parameters(constructor)))


def _parameters(function: object) -> list[str]:
    """Names of the parameters of a function, without ``self`` and without ``*args`` and ``**kwargs``."""
    if not inspect.isfunction(function):
        return []
    parameters = inspect.signature(function).parameters.values()
    various = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [parameter.name for parameter in parameters if parameter.kind not in various and parameter.name != "self"]


def suggestion(name: str, known: Iterable[str], before: str = "") -> str:
    """``; did you mean NAME?``, or the empty string where no known name is near."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {before}{close[0]}?" if close else ""
