"""``python -m ornament_lit published``: a pipeline with the published weights of another method."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ornament_lit.models.published.methods import METHODS, Method

PROGRAM = "python -m ornament_lit published"


@dataclass(frozen=True)
class PublishedOptions:
    """Write a method's published weights as a pipeline: published --method M --weights W --config CONFIG --output DIR.

    Give the words of a `fit` command (--config, --model..., --data...), too: the configuration of the method, at the
    size of its weights. Its parts are built, and get the published weights; what these lack stays as configured, and
    is named. The pipeline serves try-on (--pipeline), test (--ckpt_path) and InitialWeights. Weights are yours to
    bring: they are not fetched, and pickled objects are not read. Their licence is written into the pipeline.

    Attributes:
        method: Whose weights they are.
        weights: Folder or file of the published weights.
        output: Folder to write; a pipeline that is there is replaced.
        half: Write the weights as float16, in half the space; they are read as float32.
    """

    method: Method
    weights: Path
    output: Path
    half: bool = False


def published(words: Sequence[str]) -> None:
    """Write the pipeline.

    Args:
        words: Options of :class:`PublishedOptions` and, among them, those of a training run.
    """
    from jsonargparse import auto_cli

    from ornament_lit.cli.commands.latents import CONFIG_HELP, split_words
    from ornament_lit.cli.commands.table import normalise
    from ornament_lit.cli.parser import ShortErrors

    own, training = split_words(words)
    options = auto_cli(
        PublishedOptions,
        normalise(own, ["half"]),
        as_positional=False,
        parser_class=ShortErrors,
        allow_abbrev=False,
        config_help=CONFIG_HELP,
        prog=PROGRAM,
    )
    write(options, training)


def write(options: PublishedOptions, training: Sequence[str]) -> None:
    """Build the module of a configuration, put the weights into it and write the pipeline.

    Args:
        options: See :class:`PublishedOptions`.
        training: Words of a training run.

    Raises:
        ValueError: If the configuration is wrong, or the weights do not fit it.
        OSError: If weights are absent, or the folder cannot be written.
    """
    import torch

    from ornament_lit.cli.commands.bench_parts import BenchCLI
    from ornament_lit.imaging.crops import crop_settings_of
    from ornament_lit.models.published.loading import load_published
    from ornament_lit.pipeline.from_checkpoint import pipeline_of
    from ornament_lit.pipeline.serialization import check_replaceable

    check_replaceable(options.output)
    cli = BenchCLI(training)
    module = cli.build(torch.device("cpu"))
    stays = load_published(module.model, options.method, options.weights)
    module.crop_settings = crop_settings_of(cli.config.data.init_args)
    known = METHODS[options.method]
    source = {
        "published": known.repository,
        "licence": known.licence,
        "weights": "published",
        "method": options.method,
        "file": options.weights.name,
        "as_configured": ", ".join(stays),
    }
    pipeline_of(module, source=source).save_pretrained(options.output, options.half)
    print(f"pipeline with the weights of {known.repository} ({known.licence}): {options.output}")
    if stays:
        print(f"as configured, since the files do not have them: {', '.join(stays)}")
