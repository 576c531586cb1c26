"""Finger nails: small domed plates."""

import numpy as np

from datamodules.rendering.geometry.meshes import Mesh, grid_mesh
from datamodules.rendering.geometry.vectors import Vector, across, dot, unit


def nail(joints: Vector, radius: float, back: Vector) -> Mesh:
    """A nail on the tip of a finger.

    Args:
        joints: (K, 3) of the finger, the tip last.
        radius: Of the tip.
        back: (3,) direction of the finger's back.
    """
    along = unit(joints[-1] - joints[-2])
    above = across(back, along)
    aside = np.cross(along, above)
    row, column = np.meshgrid(np.linspace(-1, 1, 17), np.linspace(-1, 1, 13), indexing="ij")
    edge = np.maximum(np.abs(row), np.abs(column))
    rounding = edge / np.maximum((np.abs(row) ** 3 + np.abs(column) ** 3) ** (1 / 3), 1e-6)
    row, column = row * rounding, column * rounding
    around, height = 0.82 * column, radius + 0.012
    border = np.maximum(np.abs(row), np.abs(column)) ** 4
    lift = np.cos(around) * height + 0.004 - 0.012 * border - 0.10 * radius * np.clip(row, 0, 1) ** 2
    steps = 1.05 * radius * row[..., None] * along + (np.sin(around) * height)[..., None] * aside
    mesh = grid_mesh(joints[-1] + 0.05 * radius * along + steps + lift[..., None] * above)
    if dot(mesh.normals, above).sum() < 0:
        mesh = mesh._replace(normals=-mesh.normals, faces=np.ascontiguousarray(mesh.faces[:, ::-1]))
    return mesh
