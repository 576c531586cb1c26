"""Which point of the ornament's image each pixel of the person shows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class PixelCorrespondence(NamedTuple):
    """The correspondence of a triplet, in pixels of its images.

    Attributes:
        points: For each pixel of the person image the point of the ornament's image that it shows, (height, width,
            2): x and y in pixels from the left and upper border, so that pixel 0 covers [0, 1). The mean over the part
            of the pixel that is known; 0 where nothing is.
        known: Share of each pixel whose point is known, (height, width) in [0, 1].
        seen: Share of each pixel whose point is known and seen in the ornament's image, (height, width) in [0, 1]; at
            most ``known``.
    """

    points: NDArray[np.float32]
    known: NDArray[np.float32]
    seen: NDArray[np.float32]
