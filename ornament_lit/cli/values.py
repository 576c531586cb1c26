"""Values that jsonargparse lets pass and nothing can use: numbers that are not finite, null where none is taken."""

import math
import re
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, get_args

from jsonargparse import Namespace

from ornament_lit.cli.introspection import class_defaults, type_of_option

OUTSIDE = re.compile(r"^(fit|validate|test|predict)\.|\binit_args\.")


def unfit_values(config: Namespace) -> Iterator[str]:
    """What is wrong with the values of a parsed command line, a line each, with the keys as they are written.

    An infinite number, or null, that is the default of a class may stay: schedulers of diffusers have such.
    """
    for key, rule, value in _unfit(config, ""):
        yield f"{OUTSIDE.sub('', key)} must {rule}, got {'null' if value is None else value}"


def _unfit(value: object, key: str) -> Iterator[tuple[str, str, object]]:
    """Key, rule and value of each part that breaks a rule."""
    if isinstance(value, Namespace):
        value = vars(value)
    if isinstance(value, Mapping):
        for name, part in _without_defaults(value).items():
            yield from _unfit(part, f"{key}.{name}".lstrip("."))
        yield from ((f"{key}.{name}", "have a value", None) for name in _wrongly_null(value))
    elif isinstance(value, list | tuple | set):
        for part in value:
            yield from _unfit(part, key)
    elif isinstance(value, float) and not math.isfinite(value):
        yield key, "be a finite number", value


def _without_defaults(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """A part of a configuration; of a class, without the options that are as its constructor has them."""
    options = part.get("init_args")
    if not isinstance(part.get("class_path"), str) or not isinstance(options, Namespace | dict):
        return part
    own = class_defaults(part["class_path"])
    given = options if isinstance(options, dict) else vars(options)
    changed = {
        name: value for name, value in given.items() if not (isinstance(value, float) and value == own.get(name))
    }
    return {**part, "init_args": changed}


def _wrongly_null(part: Mapping[str, Any]) -> Iterator[str]:
    """Options of a class that are null, although neither its types nor its defaults are."""
    path, options = part.get("class_path"), part.get("init_args")
    if not isinstance(path, str) or not isinstance(options, Namespace | dict):
        return
    given, own = options if isinstance(options, dict) else vars(options), class_defaults(path)
    for name, value in given.items():
        typehint = type_of_option(path, name)
        takes_null = typehint in (None, Any, object, NoneType) or NoneType in get_args(typehint)
        if value is None and name in own and own[name] is not None and not takes_null:
            yield name
