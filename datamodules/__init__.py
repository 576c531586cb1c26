"""Data for ornament try-on: shards, streaming, transforms, and the LightningDataModule over them.

``OrnamentDataModule`` is imported when it is asked for, so that ``datamodules.shards`` and the like load no Lightning.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datamodules.ornament import OrnamentDataModule

__all__ = ["OrnamentDataModule"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from datamodules.ornament import OrnamentDataModule

    return OrnamentDataModule
