"""What ``bench`` needs of a training configuration, built without its trainer."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import torch
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch import Callback, LightningDataModule
from lightning.pytorch.plugins import HalfPrecision

from ornament_lit.cli.trainer import TryOnCLI
from ornament_lit.models.random_weights import RANDOM
from ornament_lit.module import TryOnModule
from ornament_lit.profiling.batches import draw_batch
from ornament_lit.profiling.session import Subject
from ornament_lit.profiling.steps import Recipe, take_steps

PATHS = ("path", "text_encoder")
"""Options that name pretrained weights."""
STEP_CALLBACKS = ("ChannelsLast", "CompileBlocks", "TrainableEMA")
"""Callbacks that change what a step costs; the others write and generate."""


class BenchCLI(TryOnCLI):
    """Reads a training configuration; parts are built when they are asked for, and as often.

    Args:
        args: Command-line words without the command.
        random_weights: Give pretrained parts random weights of the same sizes.
    """

    def __init__(self, args: Sequence[str], random_weights: bool = False) -> None:
        self.random_weights = random_weights
        super().__init__(args=list(args), run=False)

    def instantiate_classes(self) -> None:
        """Build nothing yet."""

    def build(self, device: torch.device) -> TryOnModule:
        """Build the module; on the meta device in float32, and pretrained parts have sizes and no weights.

        Raises:
            ValueError: If the parts cannot be built, or the autoencoder cannot encode the data's resolution.
        """
        meta = device.type == "meta"
        random = self.random_weights or meta
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(TryOnModule, "model")
        with ExitStack() as stack:
            if random:  # right where and as it is needed, since nothing is loaded
                stack.enter_context(torch.device(device))
                stack.enter_context(nullcontext() if meta else weights_of(self.recipe().precision))
            model = randomised(self.config.model) if random else self.config.model
            module: TryOnModule = parser.instantiate(parser.parse_object({"model": model})).model
        module.model.autoencoder.check_resolution(self.config.data.init_args.resolution)
        return module

    def build_data(self) -> LightningDataModule:
        """Build the data module."""
        parser = ArgumentParser(exit_on_error=False)
        parser.add_argument("--data", type=LightningDataModule)
        data: LightningDataModule = parser.instantiate(parser.parse_object({"data": self.config.data})).data
        return data

    def build_callbacks(self) -> list[Callback]:
        """Build the callbacks that take part in a step."""
        given = self.config.trainer.callbacks or []
        chosen = [entry for entry in _as_list(given) if entry.class_path.rpartition(".")[2] in STEP_CALLBACKS]
        parser = ArgumentParser(exit_on_error=False)
        parser.add_argument("--callbacks", type=list[Callback])
        built: list[Callback] = parser.instantiate(parser.parse_object({"callbacks": chosen})).callbacks
        return built

    def recipe(self) -> Recipe:
        """How a step is taken."""
        trainer = self.config.trainer
        return Recipe(
            trainer.precision or "32-true",
            trainer.accumulate_grad_batches,
            trainer.gradient_clip_val,
            trainer.gradient_clip_algorithm,
            trainer.deterministic,
        )

    def subject(self, epoch_samples: int | None) -> Subject:
        """What is measured.

        Args:
            epoch_samples: Training samples of an epoch; None where that is not known.
        """
        data = self.config.data.init_args
        world_size = count_devices(self.config.trainer.devices) * self.config.trainer.num_nodes
        batch = data.batch_size * world_size * self.config.trainer.accumulate_grad_batches
        samples = count_samples(self.config.trainer, epoch_samples, batch)
        return Subject(
            self.build, self.build_callbacks, self.recipe(), data.resolution, data.batch_size, world_size, samples
        )


def weights_of(precision: object) -> AbstractContextManager[object]:
    """Let weights be built in the type that a precision such as ``bf16-true`` keeps them in."""
    if precision not in ("bf16-true", "16-true"):
        return nullcontext()
    return HalfPrecision(precision).module_init_context()


def randomised(model: Any) -> Any:  # noqa: ANN401
    """A configuration whose pretrained parts, those with one of `PATHS`, get random weights of the same sizes."""
    if isinstance(model, list):
        return [randomised(entry) for entry in model]
    if not isinstance(model, dict | Namespace):
        return model
    entries = {name: randomised(entry) for name, entry in _items(model)}
    for name in PATHS:
        path = entries.get(name)
        if isinstance(path, str) and not path.startswith(RANDOM):
            entries[name] = RANDOM + path
    return Namespace(**entries) if isinstance(model, Namespace) else entries  # type: ignore[no-untyped-call]


def _items(model: dict[str, Any] | Namespace) -> Iterator[tuple[str, Any]]:
    yield from (model if isinstance(model, dict) else vars(model)).items()


def _as_list(value: Any) -> list[Any]:  # noqa: ANN401
    return value if isinstance(value, list) else [value]


def count_devices(devices: list[int] | str | int) -> int:
    """Processes of one machine; ``auto`` and -1 are all GPUs that are here."""
    if isinstance(devices, list):
        return len(devices)
    if str(devices) in ("auto", "-1"):
        return max(torch.cuda.device_count(), 1)
    return len(devices.split(",")) if isinstance(devices, str) and "," in devices else int(devices)


def count_samples(trainer: Namespace, epoch_samples: int | None, batch: int) -> int | None:
    """Training samples of a run, or None where its end is not told.

    Args:
        trainer: Configuration of the trainer.
        epoch_samples: Samples of an epoch.
        batch: Samples of a step of all processes.
    """
    limits = []
    if trainer.max_steps is not None and trainer.max_steps > 0:
        limits.append(trainer.max_steps * batch)
    if trainer.max_epochs is not None and trainer.max_epochs > 0 and epoch_samples is not None:
        limits.append(trainer.max_epochs * (epoch_samples // batch) * batch)
    return min(limits, default=None)


def quieten() -> None:
    """Leave out what Lightning says about each trainer."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (".*LeafSpec.* is deprecated", "You defined a `validation_step`", "Found .* in eval mode"):
        warnings.filterwarnings("ignore", message=message)


def probe(words: Sequence[str], random_weights: bool, size: int, threads: int) -> int:
    """Take two steps with a batch of noise, in a process that does nothing else, and return its peak in bytes.

    Args:
        words: Words of a training run.
        random_weights: See :class:`BenchCLI`.
        size: Samples in the batch.
        threads: Threads of torch.
    """
    quieten()
    torch.set_num_threads(threads)
    cli = BenchCLI(words, random_weights)
    device, batch = torch.device("cpu"), draw_batch(cli.config.data.init_args.resolution, size)
    return take_steps(cli.build(device), batch, cli.recipe(), device, 1, 1, cli.build_callbacks()).peak
