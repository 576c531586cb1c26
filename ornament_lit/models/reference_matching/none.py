"""NoReferenceMatching: attention without help, as the paper has it."""

from torch import Tensor

from ornament_lit.models.reference_matching.base import MatchFunction, ReferenceMatching, as_they_are


class NoReferenceMatching(ReferenceMatching):
    """Leave queries and keys as they are: attention is told of no places."""

    def bind(self, box_mask: Tensor | None, ornament_mask: Tensor) -> MatchFunction:
        """Give the function that changes nothing."""
        return as_they_are
