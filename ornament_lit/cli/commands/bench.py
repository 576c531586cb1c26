"""``python -m ornament_lit bench``: what a training configuration costs on this machine."""

from collections.abc import Sequence

from ornament_lit.cli.commands.bench_options import BenchOptions

PROGRAM = "python -m ornament_lit bench"


def bench(words: Sequence[str]) -> None:
    """Measure and print.

    Args:
        words: Options of :class:`BenchOptions` and, among them, those of a training run.
    """
    from jsonargparse import auto_cli

    from ornament_lit.cli.commands.latents import CONFIG_HELP, split_words
    from ornament_lit.cli.commands.table import normalise
    from ornament_lit.cli.parser import ShortErrors

    own, training = split_words(words)
    switches = [name for name, kind in BenchOptions.__annotations__.items() if kind is bool]
    options = auto_cli(
        BenchOptions,
        normalise(own, [*switches, "largest_batch"]),
        as_positional=False,
        parser_class=ShortErrors,
        allow_abbrev=False,
        config_help=CONFIG_HELP,
        prog=PROGRAM,
    )
    for name in ("steps", "warm_up", "seconds"):
        if getattr(options, name) < 0:
            raise ValueError(f"{name} must be at least 0, got {getattr(options, name)}")

    from ornament_lit.cli.commands.bench_run import run

    run(options, training)
