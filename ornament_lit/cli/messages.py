"""One line for an error of the parser: which key, which value, which rule, what else there is.

Every rule below looks for one kind of jsonargparse's messages and answers None where it is another. A message that
no rule knows, such as one of a later release, is only folded to one line.
"""

import re
from argparse import ArgumentParser
from collections.abc import Callable

from ornament_lit.cli.introspection import (
    class_options,
    elements,
    key_suggestion,
    options,
    subclasses,
    suggestion,
    type_of,
    type_of_option,
)
from ornament_lit.cli.renamed import name_now
from ornament_lit.utils.imports import forbidden

Rule = Callable[[str, ArgumentParser], str | None]

_PROBLEM = "Problem with given class_path"
_KEYS = (
    r"Subcommand '\w+' does not accept option '([^']+)'",
    r"Group '(\S+)' does not accept option '([^']+)'",
    r"Option '([^']+)' is not accepted",
)
_OPTION = r"Option '([^']+)' is not accepted|unrecognized arguments: --([^.=\s]+)"
_VALUE = r"(?:Got value|Given value): (.*?)(?:\. Got value.*)?$"
_CLASS_NAMES = (
    r"Expected a dot import path string: (\S+)",
    r"Expected an instantiatable class, but (\S+) is abstract",
    r"Import path (\S+) does not correspond to a subclass",
    r"Expected '(\S+)' to be a subclass of",
    r"Not a valid subclass of \w+\. Got value: (\S+)",
    rf"{_PROBLEM} '(\S+)':\s+module \S+ has no attribute",
    rf"{_PROBLEM} '(\S+)':\s+No module named",
)


def explain(message: str, parser: ArgumentParser) -> str:
    """Put an error message of jsonargparse into one line for the user.

    Args:
        message: What jsonargparse says, often several lines.
        parser: The parser that says so; what it knows serves for "known" and "did you mean".
    """
    branch = first_branch(message)
    answers = (rule(branch, parser) for rule in RULES)
    return next((answer for answer in answers if answer), shorten(message))


def first_branch(message: str) -> str:
    """Cut a message about a union of types after the member that recognised the class: it knows what is wrong."""
    bullet = re.search(rf"\n( *)- (?={_PROBLEM})", message)
    if bullet is None:
        return message
    rest = message[bullet.end() :]
    end = re.search(rf"\n {{0,{len(bullet[1])}}}(- |Given value)", rest)
    return f"{message[: bullet.start()]}\n{rest[: end.start()] if end else rest}"


def shorten(message: str, limit: int = 400) -> str:
    """Fold a text to one line of at most ``limit`` characters, with bare names for classes."""
    bare = re.sub(r"<class '([^']+)'>", r"\1", message)
    bare = re.sub(r'Parser key "([^"]+)":', r"\1:", bare)
    line = " ".join(bare.split())
    return line if len(line) <= limit else f"{line[: limit - 4]} ..."


def _keys(message: str) -> list[str]:
    """The key of a message and those nested in it, outermost first."""
    return re.findall(r'Parser key "([^"]+)":', message) or re.findall(r"^--(\S+)\.help:", message)


def renamed(message: str, parser: ArgumentParser) -> str | None:
    """A key, an option of a class or a class by the name that it had before."""
    asked = [*_argument_names(message), *_key_words(message), *_class_option(message), *_class_names(message)]
    found = next(((name, now) for name in asked if (now := name_now(name))), None)
    return found and f"{found[0]} is called {found[1]} now"


def _argument_names(message: str) -> list[str]:
    """Names of unknown options on the command line, without dashes."""
    found = re.match(r"unrecognized arguments: (.*)", message, re.DOTALL)
    return [word.split("=")[0].lstrip("-") for word in found[1].split() if word.startswith("-")] if found else []


def _key_words(message: str) -> list[str]:
    """The unknown key of a YAML in full, if the message is about one."""
    found = next((match for pattern in _KEYS if (match := re.match(pattern, message))), None)
    return [".".join(found.groups())] if found else []


def _class_option(message: str) -> list[str]:
    """``Class.option`` for an unknown option of a class, if the message is about one."""
    found, paths = re.search(_OPTION, message), _class_paths(message)
    return [f"{paths[-1].rpartition('.')[2]}.{found[1] or found[2]}"] if found and paths else []


def _class_names(message: str) -> list[str]:
    """The class that does not fit, if the message is about one."""
    found = next((match for pattern in _CLASS_NAMES if (match := re.search(pattern, message))), None)
    return [found[1].rstrip(".'")] if found else []


def _class_paths(message: str) -> list[str]:
    """Paths of the classes that a message is about, outermost first."""
    return re.findall(rf"{_PROBLEM} '([^']+)'", message) or re.findall(r"class_path='([^']+)'", message)


def unknown_arguments(message: str, parser: ArgumentParser) -> str | None:
    """``--model.mask_hed=...`` on the command line."""
    found = re.match(r"unrecognized arguments: (.*)", message, re.DOTALL)
    if not found:
        return None
    names = _argument_names(message)
    if not names:
        return f"unexpected {found[1]!r}; options are written --name=value"
    return f"there is no option --{names[0]}{key_suggestion(names[0], options(parser), '--')}"


def unknown_key(message: str, parser: ArgumentParser) -> str | None:
    """``model: {mask_hed: ...}`` in a YAML."""
    found = _key_words(message)
    if not found:
        return None
    words = found[0].split(".")
    known = options(parser)
    depth = next((n for n in range(1, len(words)) if ".".join(words[:n]) not in known), len(words))
    key, parent = ".".join(words[:depth]), ".".join(words[: depth - 1])
    beside = sorted(name for name in known if name.rpartition(".")[0] == parent)
    hint = key_suggestion(key, known)
    if not hint and len(beside) <= 20:
        hint = f"; known: {', '.join(beside)}"
    return f"there is no key {key}{hint}"


def unknown_class_option(message: str, parser: ArgumentParser) -> str | None:
    """``init_args: {hiden: ...}``, or an option of a class that was written beside ``class_path``."""
    found, paths = re.search(_OPTION, message), _class_paths(message)
    if not found or not paths or not _keys(message):
        return None
    key, option, path = ".".join(_keys(message)), found[1] or found[2], paths[-1]
    if option.split(".")[0] == "class_path":
        return f"{key}: beside class_path stands only init_args; write the options of the class under init_args"
    known = class_options(path)
    hint = suggestion(option, [*known, "class_path", "init_args"]) or f"; it takes: {', '.join(known) or 'nothing'}"
    return f"{key}: {path.rpartition('.')[2]} has no option {option!r}{hint}"


def forbidden_import(message: str, parser: ArgumentParser) -> str | None:
    """A class path outside the packages that may be imported."""
    found = forbidden(message)
    return found and f"{'.'.join(_keys(message))}: {found}"


def wrong_class(message: str, parser: ArgumentParser) -> str | None:
    """A class that does not exist, is abstract, or is of another family."""
    found, keys, paths = _class_names(message), _keys(message), re.findall(rf"{_PROBLEM} '([^']+)'", message)
    if not found or not keys:
        return None
    typehint = type_of_option(paths[len(keys) - 2], keys[-1]) if len(paths) >= len(keys) > 1 else None
    known = subclasses(type_of(parser, keys[0]) if len(keys) == 1 else typehint)
    if not known:
        return None
    name = found[0]
    hint = suggestion(name, known)
    return f"{'.'.join(keys)}: no class {name!r} fits here{hint}\n       known: {', '.join(known)}"


def missing_keys(message: str, parser: ArgumentParser) -> str | None:
    """Required keys that neither a file nor the command line gives."""
    found = re.search(r"the following arguments are required: (.*)", message)
    if not found:
        return None
    names, in_trainer = re.subn(r"\b(fit|validate|test|predict)\.", "", found[1])
    return f"missing: {names}" + ("; give them in a file, as --config configs/quickstart.yaml" if in_trainer else "")


def missing_file(message: str, parser: ArgumentParser) -> str | None:
    """A configuration file that does not exist."""
    found = re.search(r"(?:File does not exist|Path is not a file): '([^']+)'", message)
    return f"--{'.'.join(_keys(message))}: there is no file {found[1]}" if found else None


def wrong_value(message: str, parser: ArgumentParser) -> str | None:
    """A value of another type."""
    inner = message[max(message.rfind("Parser key"), 0) :]
    values = [match for text in (inner, message) if (match := re.search(_VALUE, text, re.MULTILINE))]
    expected = re.findall(r"Subtypes: \[(.*)\]", inner) or re.findall(r"Expected an? (.*?)(?:\. Got|$)", inner)
    if not values or not expected or not _keys(message):
        return None
    nested = re.search(r"NestedArg\(key='[^']+', val='([^']*)'", values[0][1])
    rule = re.sub(r"<class '([^']+)'>", r"\1", expected[-1]).replace("NoneType", "null").replace(", ", " or ")
    rule = re.sub(r"(?:\w+\.)+(\w+)", r"\1", rule)
    key, value = ".".join(_keys(message)), shorten((nested or values[0])[1], 100)
    if re.search(r"\b(int|float)\b", rule) and re.fullmatch(r"[+-]?(nan|inf|infinity)", value, re.IGNORECASE):
        return f"{key} must be a finite number, got {value}"
    if rule.startswith("tuple"):
        paths = _class_paths(message)
        rule = (paths and elements(type_of_option(paths[-1], _keys(message)[-1]))) or rule
    return f"{key}: expected {rule}, got {value!r}"


RULES: tuple[Rule, ...] = (
    renamed,
    unknown_arguments,
    unknown_class_option,
    unknown_key,
    forbidden_import,
    wrong_class,
    missing_keys,
    missing_file,
    wrong_value,
)
