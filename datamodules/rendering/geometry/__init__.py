"""Shapes: vectors, meshes, signed distances, tubes, draping, and the cameras that see them."""
