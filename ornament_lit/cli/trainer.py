"""The command line ``python -m ornament_lit fit|validate|test|predict``, and the same from Python.

Importing the families, ``datamodules`` and ``callbacks`` here is the registry of short names: a class that they
export is named in YAML and on the command line by its name alone.
"""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, SaveConfigCallback

import callbacks
import datamodules
import ornament_lit
from datamodules import OrnamentDataModule, ResidentDataModule  # noqa: F401 (it has a short name once it is imported)
from ornament_lit import losses, metrics
from ornament_lit.checkpointing.atomic_io import plugins_with_io
from ornament_lit.checkpointing.resume import settle_start
from ornament_lit.cli.errors import end_well
from ornament_lit.cli.memory_advice import explain_out_of_memory
from ornament_lit.cli.parser import ShortErrors
from ornament_lit.cli.pipeline_weights import take_pipeline
from ornament_lit.cli.signals import sigterm_interrupts
from ornament_lit.cli.stopping import Stopping, none_left
from ornament_lit.diffusion import refresh_policies, timesteps
from ornament_lit.losses import attention as attention_losses
from ornament_lit.models import (
    autoencoders,
    image_encoders,
    mask_heads,
    no_denoiser,
    prompt_encoders,
    reference_matching,
    reference_nets,
    warps,
)
from ornament_lit.module import TryOnModule
from ornament_lit.utils import learning_rates
from ornament_lit.utils.imports import import_plugins, restrict_imports

FAMILIES = (
    attention_losses,
    autoencoders,
    image_encoders,
    learning_rates,
    losses,
    mask_heads,
    prompt_encoders,
    reference_matching,
    reference_nets,
    refresh_policies,
    timesteps,
    warps,
    no_denoiser,
    metrics,
    datamodules,
    callbacks,
)
DEFAULT_SEED = 0


def check_ours(*packages: ModuleType) -> None:
    """Check that packages with common names are the ones that lie beside ``ornament_lit``.

    Args:
        packages: Imported packages, such as ``callbacks``.

    Raises:
        ImportError: If one was imported from elsewhere.
    """
    home = Path(ornament_lit.__path__[0]).resolve().parent
    for package in packages:
        folder = Path(package.__path__[0]).resolve()
        if folder.parent != home:
            raise ImportError(
                f"the package {package.__name__!r} must be the one in {home}, but {folder} was imported; "
                f"uninstall the foreign package or run from {home}"
            )


check_ours(callbacks, datamodules)


class TryOnParser(ShortErrors, LightningArgumentParser):
    """Lightning's parser with errors of one line."""


class TryOnCLI(LightningCLI):
    """LightningCLI of :class:`TryOnModule` and :class:`OrnamentDataModule` (or a subclass of it).

    Args:
        args: Command-line words; None for those of the process, as the launcher of DDP needs it.
        run: False to build ``model``, ``datamodule`` and ``trainer`` only.
    """

    def __init__(self, args: ArgsType = None, run: bool = True) -> None:
        restrict_imports()
        import_plugins()
        super().__init__(
            TryOnModule,
            OrnamentDataModule,
            subclass_mode_data=True,
            save_config_callback=SaveConfigCallback if run else None,
            save_config_kwargs={"overwrite": True},
            trainer_defaults={"callbacks": always()} if run else None,
            seed_everything_default=DEFAULT_SEED,
            parser_class=TryOnParser,
            parser_kwargs={"prog": "python -m ornament_lit", "description": ornament_lit.__doc__, "allow_abbrev": False}
            | {command: {"allow_abbrev": False} for command in self.subcommands()},
            args=args,
            run=run,
            auto_configure_optimizers=False,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Make ``OrnamentDataModule`` the default of ``data``."""
        parser.set_defaults({"data": {"class_path": "datamodules.OrnamentDataModule"}})

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:  # noqa: ANN401
        """Let ``predict`` write what it generates, instead of keeping it all in memory, and ``test`` report on it."""
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        if subcommand == "predict":
            parser.add_lightning_class_args(callbacks.PredictionWriter, "prediction_writer")
            parser.set_defaults({"return_predictions": False})
        if subcommand == "test":
            parser.add_lightning_class_args(callbacks.EvaluationReport, "report")
        return parser

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse the command line; given ``args`` are meant, so do not warn that the process has some too."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
            super().parse_arguments(parser, args)

    def _parse_ckpt_path(self) -> None:
        """Leave the configuration as it is: hyperparameters in a checkpoint must not override the command line."""

    def before_instantiate_classes(self) -> None:
        """Read checkpoints without unpickling; keep the config of a training run when its checkpoint is validated."""
        if self.subcommand and self.config[self.subcommand].weights_only is None:
            self.config[self.subcommand].weights_only = True
        if self.subcommand not in (None, "fit"):
            self.save_config_kwargs["config_filename"] = f"config_{self.subcommand}.yaml"

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Callback]) -> Trainer:
        """Write checkpoints whole or not at all, unless plugins or strategy have another way; obey SIGTERM at once.

        The progress bar of a configuration goes where the command line turns it off.
        """
        if config.get("enable_progress_bar") is False and isinstance(config.get("callbacks"), list):
            config["callbacks"] = [one for one in config["callbacks"] if not isinstance(one, ProgressBar)]
        config["plugins"] = plugins_with_io(config)
        trainer = super()._instantiate_trainer(config, callbacks)
        trainer._signal_connector = Stopping(trainer)
        return trainer

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        """Find the checkpoint that ``--ckpt_path`` means: ``auto``, a pipeline, or a file."""
        kwargs = super()._prepare_subcommand_kwargs(subcommand)
        take_pipeline(subcommand, self.model, kwargs)
        settle_start(subcommand, self.trainer, kwargs, chosen=bool(self.model.weights_from))
        return kwargs

    def _run_subcommand(self, subcommand: str) -> None:
        """Run the command; say what to do where the GPU is too small for it.

        Raises:
            MemoryError: If it is.
        """
        try:
            with none_left(self.trainer):
                super()._run_subcommand(subcommand)
        except torch.OutOfMemoryError as error:
            raise MemoryError(explain_out_of_memory(subcommand, self.datamodule, self.trainer)) from error

    def after_fit(self) -> None:
        """Tell where the run is."""
        folder = self.trainer.log_dir  # a broadcast: every rank takes part
        if folder and self.trainer.is_global_zero:
            print(f"run folder: {folder.rstrip('/')}")


def always() -> list[Callback]:
    """The callbacks that each fit has, whatever its configuration names."""
    return [callbacks.RunLock(), callbacks.RunRecord(), callbacks.CheckpointKeeper()]


def build(args: Sequence[str]) -> TryOnCLI:
    """Build model, data and trainer without running anything, for notebooks and scripts.

    Args:
        args: Command-line words without the command, such as ``["--config", "configs/quickstart.yaml"]``.

    Returns:
        An object with ``model``, ``datamodule`` and ``trainer``.

    Raises:
        ValueError: If the configuration is wrong.
    """
    return TryOnCLI(args=list(args), run=False)


def main(args: ArgsType = None) -> int:
    """Run a command.

    Args:
        args: Command-line words; None for those of the process.

    Returns:
        The exit code: 0, 2 after a mistake of the user, 130 after Ctrl-C, 143 after SIGTERM.

    Raises:
        SystemExit: With the exit code of :class:`callbacks.Preemption`, if the run was told to stop.
    """
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_worth_reading)
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")  # Lightning 2.6 on torch 2.14
    warnings.filterwarnings("ignore", message="Couldn't infer the batch indices")  # PredictionWriter does without
    warnings.filterwarnings("ignore", message="It is recommended to use .self.log")  # means are of all processes
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view")  # gradients are those of DDP
    with sigterm_interrupts():
        return end_well(lambda: TryOnCLI(args=args))


def _is_worth_reading(record: logging.LogRecord) -> bool:
    """Drop what this program says itself (the end by Ctrl-C) and advertisements."""
    return not any(words in record.getMessage() for words in ("Detected KeyboardInterrupt", "litlogger"))
