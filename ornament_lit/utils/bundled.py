"""The weights that ship with the package, by name."""

from importlib.resources import files
from pathlib import Path

BUNDLED = "bundled:"
DEFAULT_WEIGHTS = f"{BUNDLED}small"
"""What is taken where a user names no weights."""


def weights_path(name: str | Path) -> Path:
    """The path that a checkpoint or a pipeline is named by.

    Args:
        name: A path, which stays as it is, or ``bundled:`` and a name, such as ``bundled:small``.

    Raises:
        FileNotFoundError: If no weights of that name ship.
    """
    if not str(name).startswith(BUNDLED):
        return Path(name)
    home = Path(str(files("ornament_lit"))) / "weights"
    known = sorted(f"{BUNDLED}{folder.name}" for folder in home.iterdir() if folder.is_dir())
    if str(name) not in known:
        raise FileNotFoundError(f"the weights that ship are {', '.join(known)}, got {str(name)!r}")
    return home / str(name).removeprefix(BUNDLED)
