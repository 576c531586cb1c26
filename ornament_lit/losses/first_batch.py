"""FirstBatch: a warning, once, where a loss on correspondence gets data that have none."""

from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from ornament_lit.batch import TryOnBatch


class FirstBatch:
    """Look at the first batch of a training, and say if none of its samples has a correspondence.

    Args:
        learns: Who learns what from a correspondence alone, such as ``WarpLoss learns the field``.
    """

    def __init__(self, learns: str) -> None:
        self.learns = learns
        self.looked = False

    def look_at(self, batch: TryOnBatch, training: bool) -> None:
        """Look at the correspondence of a batch, if it brings one; see :meth:`look`."""
        self.look(batch["correspondence"]["known"] if "correspondence" in batch else None, training)

    def look(self, known: Tensor | None, training: bool) -> None:
        """Look once, in training.

        Args:
            known: Share of each pixel whose point is known, (B, 1, H, W); None where the data have no correspondence.
            training: Whether this is a training batch.
        """
        if self.looked or not training:
            return
        self.looked = True
        if known is None:
            found = "the training batches have none (0 %)"
        elif known.amax() > 0:
            return
        else:
            found = f"0 of the {len(known)} samples (0 %) of the first training batch have one"
        rank_zero_warn(
            f"{self.learns} only from samples with a correspondence, and {found}; set data.correspondence=true and "
            "train on data that bring it along (`data correspondence` adds it to rendered shards), or take another loss"
        )
