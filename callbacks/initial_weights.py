"""InitialWeights: begin a training from the weights of another one."""

from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from ornament_lit.checkpointing.state import read_checkpoint
from ornament_lit.pipeline.serialization import read_weights
from ornament_lit.utils.bundled import weights_path
from ornament_lit.utils.frozen import restore_frozen


class InitialWeights(Callback):
    """Begin a training from the weights of another one, to fine-tune it on data of your own or to train it longer.

    Only weights are taken: the average, where the checkpoint has one. Steps, optimizer, schedules, configuration and
    position in the data begin anew; to resume an interrupted training instead, give ``--ckpt_path``, which
    restores all of it, whatever this callback has loaded. Frozen parts come from their own files, as ever.

    Args:
        checkpoint: A checkpoint of a module with the same parts at the same sizes, or the folder of its pipeline, such
            as ``bundled:small``.
        parts: Take the weights of these parts alone, such as ``[warp]`` or ``[warp.aligner]``, which both modules must
            have; the others begin as they are. Null for all parts.

    Raises:
        FileNotFoundError: If there is no such file when the fit starts, no pipeline in a folder, or no weights of that
            name ship.
        ValueError: When the fit is set up, if it is no checkpoint of this package or its parts are others.
    """

    def __init__(self, checkpoint: Path, parts: list[str] | None = None) -> None:
        """Note the path and the parts."""
        self.checkpoint = weights_path(checkpoint)
        self.parts = parts

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Load the weights; a resumed fit replaces them by its own, and does without the file."""
        if stage == "fit" and self.checkpoint.exists():
            self.load(pl_module)

    def load(self, pl_module: LightningModule) -> None:
        """Put the weights into a module.

        Raises:
            FileNotFoundError: If there is no pipeline in a folder.
            ValueError: If it is no checkpoint of this package or its parts are others.
        """
        weights = self._taken(self._read(pl_module))
        own = self._taken(pl_module.state_dict())
        absent = [part for part in self.parts or () if not any(f"{key}.".startswith(f"model.{part}.") for key in own)]
        if absent:
            raise ValueError(f"parts must name parts of the model that have weights, got {', '.join(absent)}")
        others = sorted(weights.keys() ^ own.keys()) or [key for key in own if own[key].shape != weights[key].shape]
        if others:
            more = f" and {len(others) - 3} more" if len(others) > 3 else ""
            raise ValueError(
                f"the parts in {self.checkpoint} must be those of the configuration, but these weights differ: "
                f"{', '.join(others[:3])}{more}; train with the config.yaml that lies beside its checkpoints"
            )
        pl_module.load_state_dict(weights, strict=self.parts is None)

    def _read(self, module: LightningModule) -> dict[str, Tensor]:
        """All weights, by their names in the module."""
        if self.checkpoint.is_dir():
            return read_weights(self.checkpoint)
        return restore_frozen(module, read_checkpoint(self.checkpoint)["state_dict"])

    def _taken(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """What of a state dictionary belongs to the parts."""
        if self.parts is None:
            return state
        prefixes = tuple(f"model.{part}." for part in self.parts)
        return {key: value for key, value in state.items() if f"{key}.".startswith(prefixes)}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check that a fit which begins has got its weights."""
        if trainer.ckpt_path is not None:
            return
        if not self.checkpoint.exists():
            raise FileNotFoundError(
                f"a checkpoint must be a file, got {str(self.checkpoint)!r}; check the path "
                "(a pipeline's folder will do, too)"
            )
        rank_zero_info(f"the weights are those of {self.checkpoint}; everything else begins anew")
