"""The directive ``commands``: every command with its options, from what the command line itself reads.

These are ``COMMANDS`` and ``TRAINER_COMMANDS`` of ``ornament_lit.__main__``, signatures, and docstrings. Nothing of it
is written twice, so that a new command or option appears by itself.
"""

import inspect
import re
import types
from collections.abc import Callable
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from docstring_parser import Docstring, DocstringStyle, parse
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from ornament_lit.__main__ import COMMANDS, TRAINER_COMMANDS, Command

Target = Callable[..., object]
ROLE = re.compile(r":[a-z]+:`~?([^`]+)`")
LITERAL = re.compile(r"(``[^`]+``|`[^`]+`)")
SPECIAL = re.compile(r"([*|\\]|_(?!\w))")
OPTION = re.compile(r"""(?<![\w`-])(--[a-z][\w.-]*\w(?:=(?:"[^"]*"|'[^']*'|[^\s,;:()]*[^\s,;:().]))?)""")
# What the trainer's own docstrings say otherwise.
RESUMED = (
    "The checkpoint to resume, or ``auto``: the newest complete one of the run's folder, or a new start if there is "
    "none."
)
STARTS = {
    "ckpt_path": "A checkpoint, the folder of a pipeline, or ``bundled:small``, the weights that ship.",
    "weights_only": "Read checkpoints without unpickling.",
    "return_predictions": "Keep the generated images in memory, too.",
}
DEFAULTS = {"weights_only": True, "return_predictions": False}


class Commands(SphinxDirective):
    """``.. commands::``: a section each; those of the trainer first, as ``--help`` lists them."""

    def run(self) -> list[nodes.Node]:
        """Write reST, and parse it."""
        sections = [*map(trainer_section, TRAINER_COMMANDS), *map(function_section, COMMANDS)]
        return self.parse_text_to_nodes("\n\n".join(sections), allow_section_headings=True)


def trainer_section(name: str) -> str:
    """What ``fit``, ``validate``, ``test`` or ``predict`` takes.

    Args:
        name: The command.

    Returns:
        Its section in reST; all of them have the options of ``fit``.
    """
    from lightning.pytorch import Trainer

    import callbacks
    from ornament_lit.cli.trainer import TryOnCLI

    about, _, example = TRAINER_COMMANDS[name].partition(": ")
    lines = [*_head(name, f"{example} [options]"), f"{about[0].upper()}{about[1:]}.", ""]
    lines += _shared_options() if name == "fit" else ["It takes the options of :ref:`command-fit`, and", ""]
    method = getattr(Trainer, name)
    told = {entry.arg_name: as_rest(entry.description or "") for entry in _parsed(method).params} | STARTS
    left_out = {"self", *TryOnCLI.subcommands()[name]}
    for parameter in _parameters(method):
        if parameter.name not in left_out:
            text = RESUMED if (name, parameter.name) == ("fit", "ckpt_path") else told[parameter.name]
            default = DEFAULTS.get(parameter.name, parameter.default)
            lines += _option(f"--{parameter.name} VALUE", text, kind_of(parameter.annotation), default)
    if name == "test":
        lines += _option("--report.NAME VALUE", _any_option_of(callbacks.EvaluationReport))
    if name == "predict":
        lines += _option("--prediction_writer.NAME VALUE", _any_option_of(callbacks.PredictionWriter))
    return "\n".join(lines)


def function_section(name: str) -> str:
    """What a command takes that is a plain function.

    Args:
        name: A key of ``COMMANDS``.

    Returns:
        Its section in reST.
    """
    command = COMMANDS[name]
    first, *others = targets_of(command)
    docstring = _parsed(first)
    needed = [parameter.name for parameter in _parameters(first) if parameter.default is parameter.empty]
    words = [word.upper() if command.positional else f"--{word} {word.upper()}" for word in needed]
    lines = _head(name, " ".join([*words, "[options]"]))
    lines += [f"{as_rest(text)}\n" for text in (docstring.short_description, docstring.long_description) if text]
    lines += _options(first, command.positional)
    for other in others:
        repeated = ", ".join(f"``--{parameter.name}``" for parameter in _parameters(other))
        lines += [f"{as_rest(_parsed(other).short_description or '')} These may be repeated: {repeated}.", ""]
    return "\n".join(lines)


def targets_of(command: Command) -> list[Target]:
    """Whose parameters are the options of a command.

    A command that takes its words as they are names the dataclasses of its options in its docstring.

    Args:
        command: Of ``COMMANDS``.

    Returns:
        The function, or the dataclasses; its own first.

    Raises:
        ValueError: If it names none.
    """
    path, _, name = command.function.partition(":")
    module = import_module(path)
    function: Target = getattr(module, name)
    if command.parsed:
        return [function]
    named = [getattr(module, role, None) for role in ROLE.findall(inspect.getdoc(function) or "")]
    found = [target for target in dict.fromkeys(named) if is_dataclass(target) and isinstance(target, type)]
    if not found:
        raise ValueError(f"the docstring of {command.function} must name the dataclass of its options, as :class:`...`")
    return list(found)


def kind_of(annotation: Any) -> str:  # noqa: ANN401
    """Say a type in the words of a command line: ``int``, or ``mask, box`` for a choice.

    Args:
        annotation: A type.
    """
    origin = get_origin(annotation)
    if origin is Literal:
        return " | ".join(map(str, get_args(annotation)))
    if origin in (Union, types.UnionType):
        return " | ".join(kind_of(one) for one in get_args(annotation) if one is not type(None))
    if origin is not None:
        inside = ", ".join(kind_of(one) for one in get_args(annotation))
        return f"{origin.__name__}[{inside}]"
    if isinstance(annotation, type):
        return "path" if issubclass(annotation, Path) else annotation.__name__
    return str(annotation)


def as_rest(text: str) -> str:
    """Let what is written for a terminal stand in reST as it is, with options and quoted words as literals.

    Args:
        text: A docstring or a part of it.
    """
    parts = LITERAL.split(ROLE.sub(r"``\1``", text))
    parts[::2] = [OPTION.sub(r"``\1``", SPECIAL.sub(r"\\\1", part)) for part in parts[::2]]
    parts[1::2] = [f"``{part.strip('`')}``" for part in parts[1::2]]
    return "".join(parts)


def _parsed(target: Target) -> Docstring:
    return parse(inspect.getdoc(target) or "", style=DocstringStyle.GOOGLE)


def _parameters(target: Target) -> list[inspect.Parameter]:
    return list(inspect.signature(target, eval_str=True).parameters.values())


def _shared_options() -> list[str]:
    from datamodules import OrnamentDataModule
    from ornament_lit.cli.trainer import DEFAULT_SEED
    from ornament_lit.module import TryOnModule

    return [
        *_option("--config FILE", "A configuration. It may be repeated; later ones win, as do options after it."),
        *_option("--model.NAME VALUE", _any_option_of(TryOnModule)),
        *_option("--data.NAME VALUE", _any_option_of(OrnamentDataModule)),
        *_option("--trainer.NAME VALUE", "Any option of Lightning's ``Trainer``, such as ``--trainer.max_epochs``."),
        *_option(
            "--seed_everything NUMBER",
            "Seed of initial weights, and of all that has none of its own.",
            "int",
            DEFAULT_SEED,
        ),
    ]


def _any_option_of(target: type) -> str:
    """Name the options of a class; where one is a part of a family, link to it."""
    names = []
    for parameter in _parameters(target):
        kinds = [kind for kind in (parameter.annotation, *get_args(parameter.annotation)) if inspect.isclass(kind)]
        family = next(
            (f" (:class:`{kind.__name__}`)" for kind in kinds if kind.__module__.startswith("ornament_lit")), ""
        )
        names.append(f"``{parameter.name}``{family}")
    return f"Any option of :class:`{target.__name__}`: {', '.join(names)}."


def _head(name: str, words: str) -> list[str]:
    label = f".. _command-{name.replace(' ', '-')}:"
    usage = f"   python -m ornament_lit {name} {words}"
    return [label, "", name, "-" * len(name), "", "::", "", usage, "", f".. program:: {name}", ""]


def _options(target: Target, positional: bool) -> list[str]:
    about = {entry.arg_name: entry.description for entry in _parsed(target).params}
    lines = []
    for parameter in _parameters(target):
        by_place = positional and parameter.default is parameter.empty
        switch = parameter.annotation is bool
        value = "" if switch else f" {parameter.name.upper()}"
        signature = parameter.name.upper() if by_place else f"--{parameter.name}{value}"
        text = as_rest(about.get(parameter.name) or "")
        lines += _option(signature, text, "switch" if switch else kind_of(parameter.annotation), parameter.default)
    return lines


def _option(signature: str, text: str, kind: str = "", default: object = None) -> list[str]:
    """An entry: what it does, and in a line of its own type and default."""
    words = [f"``{kind}``"] if kind else []
    if default is inspect.Parameter.empty:
        words.append("needed")
    elif default is not None and kind != "switch":
        words.append(f"default ``{default!r}``" if default == "" else f"default ``{default}``")
    body = [" ".join(text.split()), "", *([", ".join(words)] if words else [])]
    return [f".. option:: {signature}", "", *(f"   {line}" for line in body), ""]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
