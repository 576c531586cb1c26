"""Packages that a bare machine lacks: what must be carried there, and how it is installed without a network.

Only the standard library is imported at the top: on such a machine nothing else can be counted on.
"""

import configparser
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
THERE = ("torch", "torchvision", "lightning", "numpy", "pip", "setuptools")
"""What every machine for training has, with all that these bring along."""


def own_requirements() -> list[str]:
    """What our packages need to be installed."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    lines = (line.strip() for line in parser["options"]["install_requires"].splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def unmet(requirements: Iterable[str]) -> list[str]:
    """Requirements that the installed packages do not meet."""
    from packaging.requirements import Requirement

    missing = []
    for text in requirements:
        requirement = Requirement(text)
        try:
            met = requirement.specifier.contains(version(requirement.name), prereleases=True)
        except PackageNotFoundError:
            met = False
        if not met:
            missing.append(text)
    return missing


def closure(requirements: Iterable[str]) -> dict[str, str]:
    """Versions, by normalised names, of the installed packages that requirements lead to."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: dict[str, str] = {}
    waiting = [Requirement(text) for text in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # for another platform or another Python
        for text in requires(name) or []:
            further = Requirement(text)
            wanted = (further.marker is None or further.marker.evaluate({"extra": extra}) for extra in {"", *extras})
            if any(wanted):
                waiting.append(further)
    return found


def carried(there: Iterable[str]) -> dict[str, str]:
    """What must be carried to a machine that has :data:`THERE` and some more, by name: the versions installed here."""
    from packaging.utils import canonicalize_name

    given = {canonicalize_name(name) for name in there}
    brought = closure(THERE).keys() | given
    return {name: number for name, number in sorted(closure(own_requirements()).items()) if name not in brought}


def install(wheels: Path, target: Path) -> list[str]:
    """Unpack carried wheels that are missing here, into a folder of their own.

    Args:
        wheels: Folder of wheels.
        target: Folder for ``PYTHONPATH``; what is installed on the machine stays as it is.

    Returns:
        Names of the wheels that were installed.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name, parse_wheel_filename

    outdated = {canonicalize_name(Requirement(text).name) for text in unmet(own_requirements())}
    chosen = []
    for path in sorted(wheels.glob("*.whl")):
        name = parse_wheel_filename(path.name)[0]
        if name in outdated or not _installed(name):
            chosen.append(path)
    if chosen:
        options = ("--no-index", "--no-deps", "--no-compile", "--find-links", str(wheels), "--target", str(target))
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        subprocess.run([*pip, *options, *map(str, chosen)], check=True)
    return [path.name for path in chosen]


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
