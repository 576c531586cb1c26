"""Seeds as pure functions of names and numbers, so that nothing in the data depends on global random state."""

import hashlib


def hash_seed(*parts: int | str) -> int:
    """Mix numbers and names into one seed.

    Args:
        parts: What the seed is for, such as ``(seed, epoch, "shards")``.

    Returns:
        An integer in [0, 2**63), which fits int64. It is the same on every machine, in every process.
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def hash_fraction(*parts: int | str) -> float:
    """Mix numbers and names into a number in [0, 1), uniform over many different ``parts``."""
    return (hash_seed(*parts) >> 10) / 2.0**53


def sample_seed(seed: int, epoch: int, key: str, occurrence: int = 0) -> int:
    """Seed of everything that is drawn for one sample: its augmentation, noise and timestep.

    Args:
        seed: Seed of the run.
        epoch: Epoch, from 0.
        key: Unique name of the sample.
        occurrence: How many times the sample may have come in this epoch before.

    Returns:
        An integer in [0, 2**63).
    """
    return hash_seed(seed, epoch, occurrence, key)
