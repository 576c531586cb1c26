"""InitialWeights: begin a training from the weights of another one."""

from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from ornament_lit.checkpoints import read_checkpoint, restore_frozen


class InitialWeights(Callback):
    """Begin a training from the weights of another one, to fine-tune it on data of your own or to train it longer.

    Only weights are taken: the average, where the checkpoint has one. Steps, optimizer, schedules, configuration and
    position in the data begin anew; to go on with an interrupted training instead, give ``--ckpt_path``, which
    restores all of it, whatever this callback has loaded. Frozen parts come from their own files, as ever.

    Args:
        checkpoint: A checkpoint of a module with the same parts at the same sizes.

    Raises:
        FileNotFoundError: When the fit starts, if there is no such file.
        ValueError: When the fit is set up, if it is no checkpoint of this package or its parts are others.
    """

    def __init__(self, checkpoint: Path) -> None:
        """Note the path."""
        self.checkpoint = checkpoint

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Load the weights; a fit that goes on replaces them by its own, and does without the file."""
        if stage != "fit" or not self.checkpoint.is_file():
            return
        weights = restore_frozen(pl_module, read_checkpoint(self.checkpoint)["state_dict"])
        own = pl_module.state_dict()
        others = sorted(weights.keys() ^ own.keys()) or [key for key in own if own[key].shape != weights[key].shape]
        if others:
            more = f" and {len(others) - 3} more" if len(others) > 3 else ""
            raise ValueError(
                f"the parts in {self.checkpoint} must be those of the configuration, but these weights differ: "
                f"{', '.join(others[:3])}{more}; train with the config.yaml that lies beside its checkpoints"
            )
        pl_module.load_state_dict(weights)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check that a fit which begins has got its weights."""
        if trainer.ckpt_path is not None:
            return
        if not self.checkpoint.is_file():
            raise FileNotFoundError(f"a checkpoint must be a file, got {str(self.checkpoint)!r}; check the path")
        rank_zero_info(f"the weights are those of {self.checkpoint}; everything else begins anew")
