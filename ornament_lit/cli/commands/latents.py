"""``python -m ornament_lit data latents``: its own options, and the configuration that the training uses."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

TRAINING_OPTIONS = ("c", "config", "model", "data", "trainer", "seed_everything")
PROGRAM = "python -m ornament_lit data latents"
CONFIG_HELP = "Configuration of the training run; may be repeated, and all of its options may follow."
OPTION = re.compile(r"--?([A-Za-z][\w-]*)")


@dataclass(frozen=True)
class LatentsOptions:
    """Compute latents once, beside the images: data latents --config CONFIG --shards SHARDS --out OUT.

    The autoencoder, the image encoder, the resolution and the crops are those of a training run: give the words of its
    `fit` command (--config, --model..., --data...), too. Then train on the new shards with the same configuration and
    --data.train_shards=OUT: as long as the crops are the same, the latents are used, and each epoch takes one of the
    copies of each sample. Run again after an interruption, the command keeps the shards that are finished.

    Attributes:
        shards: Shards on a disk: a path, a pattern, a folder, or a list of those.
        out: Folder for the new shards.
        copies: Copies of each sample, each with a crop and a flip of its own.
        image_tokens: Keep what the frozen image encoder makes of the ornament, too.
        dtype: Type of the numbers that are stored.
        device: Where to encode; auto for a CUDA device where there is one.
        batch_size: Copies that are encoded at once.
        workers: Threads that decode and crop.
    """

    shards: str | list[str]
    out: Path
    copies: int = 1
    image_tokens: bool = False
    dtype: Literal["float16", "bfloat16", "float32"] = "float16"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    batch_size: int = 8
    workers: int = 2


def latents(words: Sequence[str]) -> None:
    """Compute latents of shards.

    Args:
        words: Options of :class:`LatentsOptions` and, among them, those of a training run.
    """
    from jsonargparse import auto_cli

    from ornament_lit.cli.parser import ShortErrors

    own, training = split_words(words)
    parse = partial(auto_cli, LatentsOptions, own, as_positional=False, parser_class=ShortErrors, allow_abbrev=False)
    options = parse(config_help=CONFIG_HELP, prog=PROGRAM)
    compute(options, training)


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the words of a command line into those of this command and those of a training run.

    Args:
        words: Options with their values.

    Returns:
        The two lists. A word that is no option belongs to the option before it.
    """
    own: list[str] = []
    training: list[str] = []
    target = own
    for word in words:
        if option := OPTION.match(word):
            target = training if option[1] in TRAINING_OPTIONS else own
        target.append(word)
    return own, training


def compute(options: LatentsOptions, training: Sequence[str]) -> None:
    """Build the encoders and write the shards.

    Args:
        options: See :class:`LatentsOptions`.
        training: Words of a training run.

    Raises:
        ValueError: If the words are wrong, there are no image tokens to keep, or the folder was begun in another way.
        FileNotFoundError: If there is no shard.
    """
    import torch

    from datamodules.shards.precompute_latents import Encoders, make_card, write_latents
    from datamodules.storage.shard_paths import resolve_shards
    from ornament_lit.cli.commands.encoders import build_encoders
    from ornament_lit.models.image_encoders import NoImageEncoder
    from ornament_lit.utils.files import check_folder

    check_folder(options.out)
    shards = resolve_shards(options.shards)
    autoencoder, image_encoder, data = build_encoders(training)
    if options.image_tokens and image_encoder.num_tokens == 0:
        raise ValueError("there are no image tokens to keep: the configuration has no image encoder")
    device = options.device if options.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    kept = image_encoder if options.image_tokens else NoImageEncoder()
    encoders = Encoders(autoencoder.eval().to(device), kept.eval().to(device), device)
    transform = data.transform(augment=True)
    card = make_card(encoders, transform, options.copies, data.order.seed, options.dtype)
    sample_errors = write_latents(shards, options.out, encoders, card, options.batch_size, options.workers)
    for error in sample_errors:
        print(f"left out: {error}", file=sys.stderr)
    print(f"{len(shards)} shards with latents: {options.out}")
