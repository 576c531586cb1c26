"""Ranges of what a user may ask for."""

import math


def check_number(name: str, number: int | None, least: int) -> None:
    """Check a number that may be null; ValueError below ``least``."""
    if number is not None and number < least:
        raise ValueError(f"{name} must be at least {least}, got {number}")


def check_reference(rotation: float, scale: tuple[float, float]) -> None:
    """Check how the ornament's image is turned and scaled; ValueError out of range."""
    if not 0.0 <= rotation <= 180.0:
        raise ValueError(f"reference_rotation must be degrees in [0, 180], got {rotation}")
    if not 0.0 < scale[0] <= scale[1] < math.inf:
        raise ValueError(f"reference_scale must be [least, greatest] with 0 < least <= greatest, got {scale}")


def check_person(rotation: float, wide_view: float | None) -> None:
    """Check how the person is turned and seen around; ValueError out of range."""
    if not 0.0 <= rotation <= 180.0:
        raise ValueError(f"rotation must be degrees in [0, 180], got {rotation}")
    if wide_view is not None and not 1.0 <= wide_view < math.inf:
        raise ValueError(f"wide_view must be at least 1, so that it holds the person's crop, got {wide_view}")


def check_geometry(box_growth: tuple[float, float], crop_factor: float) -> None:
    """Check how the box grows and is cropped; ValueError out of range."""
    low, high = box_growth
    if not 0.0 <= low <= high < math.inf:
        raise ValueError(f"box_growth must be [least, greatest] with 0 <= least <= greatest, got {box_growth}")
    if not 1.0 <= crop_factor < math.inf:
        raise ValueError(f"crop_factor must be at least 1, so that the crop holds the box, got {crop_factor}")


def check_share(name: str, share: float) -> None:
    """Check a share of the samples; ValueError out of [0, 1]."""
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"{name} must be a share in [0, 1], got {share}")
