"""Triplets of an ornament, a person who wears it and the same person without, rendered from drawn shapes."""
