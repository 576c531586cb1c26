"""The directive ``family``: every part that a package exports, with its options, from the docstrings.

Base classes come first, with the methods that a part of one's own implements. Each part of the families that the
command line knows must stand on some page; Sphinx warns of one that does not.
"""

import inspect
from importlib import import_module
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

LOGGER = logging.getLogger(__name__)


class Family(SphinxDirective):
    """``.. family:: ornament_lit.models.mask_heads``: its docstring, and all that it exports."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Write reST for autodoc, and parse it."""
        module = import_module(self.arguments[0])
        exported = [getattr(module, name) for name in sorted(module.__all__)]
        names = [name for _, name in sorted(zip(map(_rank, exported), sorted(module.__all__), strict=True))]
        entries = [_entry(module.__name__, name, getattr(module, name)) for name in names]
        return self.parse_text_to_nodes("\n\n".join([f".. currentmodule:: {module.__name__}", *entries]))


def _rank(part: object) -> int:
    """Base classes, then parts, then what is no class."""
    return 2 if not inspect.isclass(part) else 0 if inspect.isabstract(part) else 1


def _entry(module: str, name: str, part: object) -> str:
    directive = "autoclass" if inspect.isclass(part) else "autofunction" if inspect.isfunction(part) else "autodata"
    members = "\n   :members:" if inspect.isclass(part) and inspect.isabstract(part) else ""
    return f".. {directive}:: {module}.{name}{members}"


def _check_complete(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of parts that no page tells of."""
    from ornament_lit.cli.trainer import FAMILIES

    told = {name for name, _, _, _, _, _ in env.domains["py"].get_objects()}
    for family in FAMILIES:
        for name in family.__all__:
            if f"{family.__name__}.{name}" not in told:
                LOGGER.warning(
                    "no page tells of %s.%s; give one '.. family:: %s'", family.__name__, name, family.__name__
                )


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive and its check."""
    app.add_directive("family", Family)
    app.connect("env-check-consistency", _check_complete)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
