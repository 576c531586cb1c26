"""Parsers whose errors are one line instead of a page of usage."""

import os
from argparse import ArgumentError
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import ArgumentParser, Namespace

from ornament_lit.cli.messages import explain
from ornament_lit.cli.values import unfit_values

DEBUG_VARIABLE = "ORNAMENT_LIT_DEBUG"


def debugging() -> bool:
    """Whether the environment variable ORNAMENT_LIT_DEBUG asks for tracebacks."""
    return os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")


class ShortErrors(ArgumentParser):
    """A parser that raises one line: which key, which value, which rule, what else there is."""

    def parse_args(self, *args: Any, **kwargs: Any) -> Namespace:  # type: ignore[override]  # noqa: ANN401
        """Parse a command line, and check its values.

        Args:
            args: As jsonargparse has them.
            kwargs: As jsonargparse has them.

        Raises:
            ValueError: If it cannot be parsed, a number is not finite, or a value is absent.
        """
        try:
            config: Namespace = super().parse_args(*args, **kwargs)
        except UnicodeDecodeError as error:
            self.error(f"Problems parsing config: {error}", error)
        for message in unfit_values(config):
            self.error(message)
        return config

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise the message in short.

        Args:
            message: What is wrong, in jsonargparse's words.
            ex: The error behind it.

        Raises:
            ArgumentError: In a parser of the inside (``exit_on_error`` is off), for the outer one to explain.
            ValueError: In the outer parser.
        """
        if not self.exit_on_error:
            raise ArgumentError(None, message) from ex
        raise ValueError(broken_file(message, getattr(self, "args", [])) or explain(message, self)) from ex


def broken_file(message: str, args: list[str]) -> str | None:
    """Name the configuration file that cannot be read as keys and values.

    Args:
        message: What jsonargparse says; it does not name the file.
        args: The command line.

    Returns:
        One line, or None where the message is about something else.
    """
    if not message.startswith(("Problems parsing config", "Unexpected config")):
        return None
    pairs = zip(args, [*args[1:], ""], strict=True)
    files = [word.partition("=")[2] or following for word, following in pairs if word.startswith(("--config", "-c"))]
    for path in files:
        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            return f"{path} must be UTF-8, got byte {error.start} of another encoding; save it as UTF-8"
        except (yaml.YAMLError, OSError) as error:
            mark = getattr(error, "problem_mark", None)
            place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            return f"{path}{place}: not YAML: {getattr(error, 'problem', None) or error}"
        if not isinstance(content, dict):
            return f"{path}: expected keys and values (key: value), got {content!r}"
    return None
