"""A set in numbers: counts, quantiles and histograms per type."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from datamodules.checking.examining import Measured
from ornament_lit.utils.categories import CATEGORIES

QUANTITIES = {
    "ornament_area": "ornament mask, share of its image",
    "wearing_area": "wearing mask, share of its image",
    "box_share": "box, longer side over the image's",
    "box_side": "box, longer side in pixels",
}
QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)
BINS = 24


def summarize(samples: Sequence[Measured]) -> dict[str, Any]:
    """Count and measure.

    Args:
        samples: Good samples, at least one.

    Returns:
        JSON values: counts by split and type, share with a correspondence, numbers of different images, and for each
        quantity its histogram and quantiles by type.
    """
    splits = sorted({sample.split for sample in samples})
    return {
        "samples": len(samples),
        "counts": {
            split: dict(Counter(sample.category for sample in samples if sample.split == split)) for split in splits
        },
        "correspondence": round(sum(sample.corresponds for sample in samples) / max(len(samples), 1), 4),
        "different_ornaments": len({sample.ornament for sample in samples}),
        "different_people": len({sample.person for sample in samples}),
        "quantiles": list(QUANTILES),
        "quantities": {name: _distribution(samples, name) for name in QUANTITIES},
    }


def _distribution(samples: Sequence[Measured], name: str) -> dict[str, Any]:
    edges = np.linspace(0.0, max(getattr(sample, name) for sample in samples), BINS + 1)
    values = {
        category: [getattr(sample, name) for sample in samples if sample.category == category]
        for category in CATEGORIES
    }
    return {
        "edges": [round(edge, 6) for edge in edges.tolist()],
        "counts": {category: np.histogram(numbers, edges)[0].tolist() for category, numbers in values.items()},
        "quantiles": {
            category: [round(value, 6) for value in np.quantile(numbers, QUANTILES).tolist()]
            for category, numbers in values.items()
            if numbers
        },
    }
