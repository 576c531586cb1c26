"""Collecting the parts of an ornament: meshes by material, and how many there are of what."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.rendering.geometry.meshes import Mesh, copies, merge, outwards
from datamodules.rendering.geometry.vectors import Points


class Parts:
    """Parts of an ornament in one frame of axes, which can themselves be attached to other parts.

    Attributes:
        components: How many stones, beads, links, strands and pendants have been added.
    """

    def __init__(self) -> None:
        self._meshes: dict[str, list[Mesh]] = {}
        self.components: Counter[str] = Counter()

    def add(self, material: str, mesh: Mesh, component: str = "") -> None:
        """Add a closed mesh; if it is a ``component`` ("stones", "beads", ...), count it."""
        self._meshes.setdefault(material, []).append(outwards(mesh))
        if component:
            self.components[component] += 1

    def attach(
        self, other: "Parts", positions: Points, axes: Points | None = None, scales: Points | float = 1.0
    ) -> None:
        """Add copies of other parts, and count what they have.

        Args:
            other: What is attached.
            positions: (3,) or (N, 3) where the copies' origins go.
            axes: (3, 3) or (N, 3, 3) whose columns are the copies' axes; by default those of these parts.
            scales: One factor, or (N,) for the copies, or (N, 3) for the copies' axes.
        """
        places = np.atleast_2d(np.asarray(positions, np.float64))
        count = len(places)
        frames = np.broadcast_to(np.eye(3) if axes is None else np.asarray(axes), (count, 3, 3))
        for material, mesh in other.meshes().items():
            copied = copies(mesh, places, frames, _factors(scales, count))
            self._meshes.setdefault(material, []).append(copied)
        for name, number in other.components.items():
            self.components[name] += number * count

    def meshes(self) -> dict[str, Mesh]:
        """One mesh for each material, by name."""
        return {material: merge(self._meshes[material]) for material in sorted(self._meshes)}

    def counted(self) -> dict[str, int]:
        """The components that there are, by name."""
        return {name: self.components[name] for name in sorted(self.components) if self.components[name] > 0}


def single(material: str, mesh: Mesh, component: str = "") -> Parts:
    """Parts with one mesh."""
    parts = Parts()
    parts.add(material, mesh, component)
    return parts


def _factors(scales: Points | float, count: int) -> NDArray[Any]:
    values = np.asarray(scales, np.float64)
    return np.broadcast_to(values[:, None] if values.ndim == 1 else values, (count, 3))
