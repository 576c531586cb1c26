"""References by short names: ``:class:`TryOnModule``` in any module's docstring leads to the one class of that name."""

from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode


def setup(app: Sphinx) -> dict[str, Any]:
    """Look again for what Python's own rules have not found."""
    app.connect("missing-reference", _find)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _find(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """Lead to the object whose name ends like this, if there is exactly one."""
    if node.get("refdomain") != "py":
        return None
    domain = env.domains.python_domain
    ending = "." + str(node["reftarget"]).removesuffix("()").rpartition(":")[2]
    found = {entry.node_id: entry for name, entry in domain.objects.items() if name.endswith(ending)}
    if len(found) != 1:
        return None
    [entry] = found.values()
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content)
