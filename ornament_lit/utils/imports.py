"""What a configuration or a checkpoint may import, and the user's own packages."""

import os
import re
from importlib import import_module

from jsonargparse import set_parsing_settings

PLUGINS_VARIABLE = "ORNAMENT_LIT_PLUGINS"
OWN_PACKAGES = ("ornament_lit", "datamodules", "callbacks")
LIBRARIES = ("torch", "torchvision", "lightning", "diffusers", "transformers")


def plugins() -> tuple[str, ...]:
    """Packages named in the environment variable ORNAMENT_LIT_PLUGINS, separated by commas."""
    return tuple(name.strip() for name in os.environ.get(PLUGINS_VARIABLE, "").split(",") if name.strip())


def restrict_imports() -> None:
    """Let class paths in YAML, on the command line and in checkpoints name only known packages.

    Without this, a checkpoint of a stranger imports whatever module its class paths name. The user's own packages
    join by the environment variable ORNAMENT_LIT_PLUGINS.
    """
    set_parsing_settings(
        import_path_denylist=["*"],
        import_path_allowlist=[*OWN_PACKAGES, *LIBRARIES, *plugins()],
    )


def forbidden(message: str) -> str | None:
    """What may be imported, where jsonargparse says that something may not; None where it says something else."""
    found = re.search(r"Importing '([^']+)' is not allowed", message)
    if not found:
        return None
    allowed = ", ".join((*OWN_PACKAGES, *LIBRARIES))
    return (
        f"{found[1]!r} may not be imported; a class comes from {allowed} "
        f"or from a package that the environment variable {PLUGINS_VARIABLE} names"
    )


def import_plugins() -> None:
    """Import the user's packages, so that their classes are known by their short names.

    Raises:
        ValueError: If a package cannot be found.
    """
    for name in plugins():
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            if not f"{name}.".startswith(f"{error.name}."):
                raise
            raise ValueError(
                f"{PLUGINS_VARIABLE} must name packages that can be imported, separated by commas; there is no {name!r}"
            ) from error
