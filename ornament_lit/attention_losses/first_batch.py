"""A word, once, where a loss on correspondence meets data that have none."""

from lightning.pytorch.utilities import rank_zero_warn

from ornament_lit.batch import TryOnBatch


class FirstBatch:
    """Look at the first batch of a training, and say if none of its samples has a correspondence.

    Args:
        loss_name: Class of the loss that learns nothing then.
    """

    def __init__(self, loss_name: str) -> None:
        self.loss_name = loss_name
        self.looked = False

    def look(self, batch: TryOnBatch, training: bool) -> None:
        """Look once, in training."""
        if self.looked or not training:
            return
        self.looked = True
        count = len(batch["key"])
        having = 0
        if "correspondence" in batch:
            having = int((batch["correspondence"]["known"].flatten(1).amax(dim=1) > 0).sum())
        if not having:
            rank_zero_warn(
                f"{self.loss_name} learns only from samples with a correspondence, and 0 of the {count} samples (0 %) "
                "of the first training batch have one; train on data that bring it along, or take another one"
            )
