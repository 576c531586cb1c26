"""What a parser knows: its keys, the classes that a key takes, the options of a class.

jsonargparse has no public way to ask for the type of a key, so two private names are used here. Where a release
lacks them, the answer is "nothing known" and messages are shorter.
"""

import inspect
from argparse import Action, ArgumentParser
from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from pydoc import locate
from typing import get_args, get_origin, get_type_hints

LEAST_LIKENESS = 0.6


def options(parser: ArgumentParser) -> set[str]:
    """Names of the options of a parser, without dashes, and of the subcommand that was given, or of all.

    Of a nested key also its parents, and of a key that takes a class the options of that class.
    """
    names: set[str] = set()
    for action in _actions(parser):
        long = [option.removeprefix("--") for option in action.option_strings if option.startswith("--")]
        for name in long:
            words = name.split(".")
            if words[-1] != "help":
                names.update(".".join(words[:depth]) for depth in range(1, len(words) + 1))
                names.update(f"{name}.{option}" for option in _options_of(action))
    return names


def _actions(parser: ArgumentParser) -> Iterator[Action]:
    """The actions of a parser, and of the subcommand that was given, or of all."""
    given = getattr(parser, "args", None) or ()
    for action in parser._actions:
        if isinstance(action.choices, dict):
            chosen = [action.choices[word] for word in given if word in action.choices][:1]
            for subparser in chosen or action.choices.values():
                yield from _actions(subparser)
        else:
            yield action


def _options_of(action: Action) -> list[str]:
    """Options of the class that a key has by default, or that its type is, beside null."""
    default = getattr(action.default, "__dict__", action.default)
    if isinstance(default, dict) and "class_path" in default:
        return class_options(default["class_path"])
    typehint = getattr(action, "_typehint", None)
    classes = [kind for kind in (typehint, *get_args(typehint)) if inspect.isclass(kind) and kind is not type(None)]
    return class_options(f"{classes[0].__module__}.{classes[0].__qualname__}") if len(classes) == 1 else []


def type_of(parser: ArgumentParser, key: str) -> object:
    """The type of a key's values, or None where that is not known."""
    found = (getattr(action, "_typehint", None) for action in _actions(parser) if f"--{key}" in action.option_strings)
    return next((typehint for typehint in found if typehint is not None), None)


def elements(typehint: object) -> str:
    """How a list of a fixed length is written, such as ``[float, float]``; empty for other types."""
    kinds = get_args(typehint)
    if get_origin(typehint) is not tuple or Ellipsis in kinds:
        return ""
    return f"[{', '.join(getattr(kind, '__name__', str(kind)) for kind in kinds)}]"


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


def class_defaults(class_path: str) -> dict[str, object]:
    """Defaults of the options of a class or function, by name."""
    target = locate(class_path)
    if not callable(target):
        return {}
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        return {}
    return {name: parameter.default for name, parameter in parameters.items()}


def _parameters(function: object) -> list[str]:
    """Names of the parameters of a function, without ``self`` and without ``*args`` and ``**kwargs``."""
    if not inspect.isfunction(function):
        return []
    parameters = inspect.signature(function).parameters.values()
    various = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [parameter.name for parameter in parameters if parameter.kind not in various and parameter.name != "self"]


def suggestion(name: str, known: Iterable[str], before: str = "") -> str:
    """``; did you mean NAME?``, with two names where both are as near, or the empty string where none is."""
    return _asked(_near(name, known), before)


def key_suggestion(key: str, known: Collection[str], before: str = "") -> str:
    """``; did you mean KEY?`` in full, or the empty string where no known key is near.

    The first word of the key that is not known is compared with its neighbours alone: what stands before it is alike in
    all of them. Where none is near, a key elsewhere that ends in the same words may be meant.

    Args:
        key: Words with dots between them.
        known: Keys, with all of their parents.
        before: What the key is written with, such as ``--``.
    """
    words = key.split(".")
    depth = next((n for n in range(1, len(words)) if ".".join(words[:n]) not in known), len(words))
    parent = ".".join(words[: depth - 1])
    neighbours = {name.rpartition(".")[2]: name for name in known if name.rpartition(".")[0] == parent}
    near = [neighbours[word] for word in _near(words[depth - 1], neighbours)]
    whole = [".".join([name, *words[depth:]]) for name in near]
    near = [name for name in whole if name in known] or near
    if not near:
        ending = "." + ".".join(words[depth - 1 :])
        near = sorted((name for name in known if name.endswith(ending)), key=lambda name: (name.count("."), name))[:2]
    return _asked(near, before)


def _asked(names: Sequence[str], before: str) -> str:
    return f"; did you mean {' or '.join(before + name for name in names[:2])}?" if names else ""


def _near(name: str, known: Iterable[str]) -> list[str]:
    """The known names that are most like a name, if any is like it."""
    likeness = {other: _likeness(name, other) for other in known}
    best = max(likeness.values(), default=0.0)
    return sorted(other for other, value in likeness.items() if value == best >= LEAST_LIKENESS)


def _likeness(first: str, second: str) -> float:
    """From 0 to 1, whatever the order of the words."""
    pairs = ((first, second), ("_".join(sorted(first.split("_"))), "_".join(sorted(second.split("_")))))
    return max(SequenceMatcher(None, *pair).ratio() for pair in pairs)
