"""``python -m ornament_lit COMMAND``: looks at the first word before anything heavy is imported."""

import gc
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from ornament_lit import __doc__ as about
from ornament_lit.utils.versions import VERSION


class Command(NamedTuple):
    """A command that is a plain function: its arguments are the options, its docstring is the help.

    Attributes:
        function: ``"module:function"``, imported when the command is called.
        summary: One line for the list of commands.
        parsed: Parse the options by the function's signature; otherwise the function takes the words as they are.
        positional: Arguments without a default are given by their place, without a name.
    """

    function: str
    summary: str
    parsed: bool = True
    positional: bool = False


TRAINER_COMMANDS = {
    "fit": "train: --config configs/quickstart.yaml",
    "validate": "measure a checkpoint on the validation data: --config ... --ckpt_path ...",
    "test": "measure a checkpoint on the test data: --config ... --ckpt_path ...",
    "predict": "generate images of the test data with a checkpoint: --config ... --ckpt_path ...",
}
COMMANDS: dict[str, Command] = {
    "try-on": Command(
        "ornament_lit.cli.commands.try_on:try_on",
        "generate a person wearing an ornament: --checkpoint ... --ornament ... --person ... --box ... --output ...",
        parsed=False,
    ),
    "demo": Command(
        "ornament_lit.cli.commands.demo:demo",
        "open a page to try ornaments on: http://127.0.0.1:7860/ [--checkpoint ...]",
    ),
    "export": Command(
        "ornament_lit.cli.commands.export:export", "write a checkpoint as a pipeline: --checkpoint ... --output ..."
    ),
    "published": Command(
        "ornament_lit.cli.commands.published:published",
        "write another method's published weights as a pipeline: --method ... --weights ... --config ... --output ...",
        parsed=False,
    ),
    "bench": Command(
        "ornament_lit.cli.commands.bench:bench",
        "measure speed, memory and FLOPs of a training on this machine: --config ...",
        parsed=False,
    ),
    "compare": Command(
        "ornament_lit.cli.commands.compare:compare", "compare two reports of test: A B", positional=True
    ),
    "study": Command(
        "ornament_lit.cli.commands.study:study", "train and test the variants of a study: FILE", positional=True
    ),
    "data render": Command(
        "datamodules.rendering.command:render",
        "render triplets with exact masks: --num 1024 --size 512 --out ...",
    ),
    "data correspondence": Command(
        "datamodules.rendering.command:correspondence",
        "add to rendered triplets which point of the ornament each worn pixel shows: FOLDER",
        positional=True,
    ),
    "data pack": Command(
        "datamodules.packing.command:pack", "pack photographs and masks of your own: --source shop.csv --out ..."
    ),
    "data check": Command(
        "datamodules.checking.command:check", "read every shard, say what is wrong, index it: FOLDER", positional=True
    ),
    "data stats": Command(
        "datamodules.checking.command:stats", "count and measure what shards hold: FOLDER", positional=True
    ),
    "data latents": Command(
        "ornament_lit.cli.commands.latents:latents",
        "compute latents once, beside the images: --config ... --shards ... --out ...",
        parsed=False,
    ),
}


def main(args: Sequence[str] | None = None) -> int:
    """Dispatch a command.

    Args:
        args: Words after ``python -m ornament_lit``; None for those of the process.

    Returns:
        The exit code: 0, 2 after a mistake of the user, 130 after Ctrl-C, 143 after SIGTERM.
    """
    words = list(sys.argv[1:] if args is None else args)
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] == "--version":
        print(f"ornament_lit {VERSION}")
        return 0
    try:
        return _dispatch(words, args)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


def _dispatch(words: list[str], args: Sequence[str] | None) -> int:
    if words[0] in TRAINER_COMMANDS:
        load = import_for_good if args is None else import_module  # other programs see to their own objects
        return int(load("ornament_lit.cli.trainer").main(None if args is None else words))
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in COMMANDS:
            return run_function(name, words[length:])
    print(f"error: {unknown(words[0])}", file=sys.stderr)
    return 2


def import_for_good(name: str) -> ModuleType:
    """Import what a process keeps until its end, and let the garbage collector leave it alone.

    The libraries' objects, more than a million, would be looked through time and again and at the end once more: a
    third of the time that ``fit --help`` takes.

    Args:
        name: Name of the module.
    """
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()


def run_function(name: str, args: list[str]) -> int:
    """Call the function of a command with options parsed by its signature.

    Args:
        name: A key of :data:`COMMANDS`.
        args: The words after it.

    Returns:
        The exit code.
    """
    from jsonargparse import auto_cli

    from ornament_lit.cli.commands.table import normalise, switches_of
    from ornament_lit.cli.errors import end_well
    from ornament_lit.cli.parser import ShortErrors
    from ornament_lit.cli.signals import sigterm_interrupts

    module, _, function = COMMANDS[name].function.partition(":")
    target = getattr(import_module(module), function)
    if not COMMANDS[name].parsed:
        with sigterm_interrupts():
            return end_well(lambda: target(args))
    prog = f"python -m ornament_lit {name}"
    words = normalise(args, switches_of(target))
    positional = COMMANDS[name].positional
    run = partial(auto_cli, target, args=words, as_positional=positional, parser_class=ShortErrors)
    with sigterm_interrupts():
        return end_well(lambda: run(prog=prog, allow_abbrev=False))


def overview() -> str:
    """The list of commands."""
    summaries = TRAINER_COMMANDS | {name: command.summary for name, command in COMMANDS.items()}
    width = max(map(len, summaries))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in summaries.items()]
    return "\n".join(
        [
            about or "",
            "",
            "usage: python -m ornament_lit COMMAND [options]",
            "",
            *lines,
            "",
            "python -m ornament_lit COMMAND --help lists the options of a command; --version prints the version.",
        ]
    )


def unknown(name: str) -> str:
    """Say that there is no such command, and which one may be meant or which ones there are."""
    known = [*TRAINER_COMMANDS, *COMMANDS]
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"the commands are {', '.join(known)}"
    return f"there is no command {name!r}; {hint}"


if __name__ == "__main__":
    sys.exit(main())
