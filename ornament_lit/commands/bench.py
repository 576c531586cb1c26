"""``python -m ornament_lit bench``: what a training configuration costs on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PROGRAM = "python -m ornament_lit bench"


@dataclass(frozen=True)
class BenchOptions:
    """Measure what a training costs on this machine: bench --config CONFIG [options of fit].

    Give the words of a `fit` command (--config, --model..., --data..., --trainer...), too. Printed are: parameters;
    FLOPs of a step by count; samples/s of training steps on one device, with the precision, clipping, optimizer and
    the callbacks ChannelsLast, CompileBlocks and TrainableEMA of the configuration; their share of what large matrix
    products reach here; peak memory; the largest batch that fits; the data loader's pace against theirs; and the time
    of the whole run. A figure that cannot be had says why.

    Attributes:
        output: JSON file for the figures; null for none.
        device: Where steps are taken; auto for a CUDA device where there is one.
        random_weights: Give pretrained parts random weights of the same sizes: as fast, and nothing is downloaded.
        no_data: Take steps on noise and leave the data alone.
        steps: Steps that are timed; 0 for the figures that need no step.
        warm_up: Steps before them; the first ones are slower.
        largest_batch: Look for the largest batch that fits; null for on GPUs only, since on a CPU it takes most of the
            machine's memory.
        memory_limit: GiB that the largest batch may take; null for nine tenths of what is free.
        seconds: How long the loader and the matrix products are each measured at most.
        threads: Threads of torch on the CPU; null for its default.
    """

    output: Path | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    random_weights: bool = False
    no_data: bool = False
    steps: int = 10
    warm_up: int = 3
    largest_batch: bool | None = None
    memory_limit: float | None = None
    seconds: float = 10.0
    threads: int | None = None


def bench(words: Sequence[str]) -> None:
    """Measure and print.

    Args:
        words: Options of :class:`BenchOptions` and, among them, those of a training run.
    """
    from jsonargparse import auto_cli

    from ornament_lit.cli_parser import ShortErrors
    from ornament_lit.commands.latents import CONFIG_HELP, split_words
    from ornament_lit.commands.words import normalise

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

    from ornament_lit.commands.bench_run import run

    run(options, training)
