"""Whether a correspondence belongs to its triplet."""

from collections.abc import Iterator

import numpy as np

from datamodules.samples.decoding import Triplet

MASK_TOLERANCE = 0.02


def strange_in(triplet: Triplet) -> Iterator[str]:
    """Say what of a triplet's correspondence cannot be; nothing where it has none.

    ``known`` must be the wearing mask, up to :data:`MASK_TOLERANCE` of its area, and points must lie in the ornament's
    image.
    """
    if triplet.correspondence is None:
        return
    points, known, _ = triplet.correspondence
    mask = np.asarray(triplet.wearing_mask, np.float32) / 255
    share = float(np.abs(known - mask).sum() / mask.sum())
    if share > MASK_TOLERANCE:
        yield f"what is known differs from the wearing mask by {share:.0%} of its area, more than {MASK_TOLERANCE:.0%}"
    outside = int(((points > triplet.ornament.size).any(-1) & (known > 0)).sum())
    if outside:
        yield f"{outside} points lie outside of the ornament's image of {triplet.ornament.size} pixels"
