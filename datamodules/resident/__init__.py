"""Triplets that stay in the memory of the device: decoded once, cropped, turned, mirrored and recoloured in batches."""
