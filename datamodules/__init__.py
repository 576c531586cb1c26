"""Data for ornament try-on: shards, streaming, transforms, and the LightningDataModule over them.

The data modules are imported when they are asked for, so that the other rooms load no Lightning.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datamodules.ornament import OrnamentDataModule
    from datamodules.resident.ornament import ResidentDataModule

__all__ = ["OrnamentDataModule", "ResidentDataModule"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "ResidentDataModule":
        from datamodules.resident.ornament import ResidentDataModule

        return ResidentDataModule
    from datamodules.ornament import OrnamentDataModule

    return OrnamentDataModule
