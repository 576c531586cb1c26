"""The command ``try-on``: parses its words; what it does lies in :mod:`ornament_lit.cli.commands.try_on_run`."""

import inspect
from collections.abc import Sequence
from functools import partial

from ornament_lit.cli.commands.table import join_negative, normalise, split_groups, switches_of
from ornament_lit.cli.commands.try_on_options import GROUPED, TryOnOptions, WornOptions, check_options

PROGRAM = "python -m ornament_lit try-on"


def try_on(words: Sequence[str]) -> None:
    """Generate persons wearing ornaments.

    Args:
        words: Options of :class:`TryOnOptions`; those of :class:`WornOptions` may repeat.

    Raises:
        ValueError: If an option or an image cannot be used.
        FileNotFoundError: If a file is absent.
        SystemExit: With 1, if some images of a list could not be generated.
    """
    options, worn = parse(words)
    check_options(options)
    from ornament_lit.cli.commands.try_on_run import run

    run(options, worn)


def parse(words: Sequence[str]) -> tuple[TryOnOptions, list[WornOptions]]:
    """Parse the words of the command line.

    Args:
        words: Options with their values.

    Returns:
        The options, and all ornaments, the one in the options first.
    """
    from jsonargparse import auto_cli

    from ornament_lit.cli.parser import ShortErrors

    shared, (first, *others) = split_groups(join_negative(normalise(words, switches_of(TryOnOptions))), GROUPED)
    known = partial(auto_cli, as_positional=False, parser_class=ShortErrors, allow_abbrev=False, prog=PROGRAM)
    about = (inspect.getdoc(TryOnOptions) or "").partition("\n\nAttributes:")[0]
    options = known(TryOnOptions, args=shared + first, description=about)
    worn = [WornOptions(options.ornament, options.box, options.type, options.ornament_mask)]
    return options, worn + [known(WornOptions, args=group) for group in others]
