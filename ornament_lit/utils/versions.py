"""Versions of this package and of those it stands on."""

from collections.abc import Iterable

VERSION = "0.1.0"


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of Python, of this package and of others, as far as they are installed.

    Args:
        packages: Names of distributions, such as ``torch``.
    """
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version(), "ornament_lit": VERSION}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
