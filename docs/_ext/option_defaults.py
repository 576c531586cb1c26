"""Defaults beside the options: a class with many options has them in its list, not in a signature of as many lines."""

import inspect
from collections.abc import Callable
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

LONGEST_SIGNATURE = 88
AFTER_AUTODOC = 900
"""Priority: autodoc has put the types into the list by then."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Look at signatures, and put their defaults into the lists of options."""
    app.connect("autodoc-process-signature", _note_defaults)
    app.connect("object-description-transform", _add_defaults, priority=AFTER_AUTODOC)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _note_defaults(
    app: Sphinx,
    kind: str,
    name: str,
    described: Callable[..., object],
    options: object,
    signature: str | None,
    returned: str | None,
) -> tuple[str, str | None] | None:
    """Keep the defaults for the list, and shorten a signature that is long or says nothing."""
    if kind not in ("class", "function", "method") or signature is None:
        return None
    try:
        parameters = list(inspect.signature(described).parameters.values())
    except (TypeError, ValueError):
        return None
    defaults = {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}
    app.env.temp_data.setdefault("option_defaults", {})[name] = defaults
    if kind == "class" and [one.name for one in parameters] == ["args", "kwargs"]:
        return "", returned
    hidden = signature == "(*args, **kwargs)" and kind == "class"
    return ("(...)", returned) if hidden or len(signature) > LONGEST_SIGNATURE else None


def _add_defaults(app: Sphinx, domain: str, kind: str, content: nodes.Element) -> None:
    """End the text of each option by its default; what is null is said in the text."""
    if domain != "py" or content.parent is None:
        return
    [signature, *_] = content.parent
    name = f"{signature.get('module')}.{signature.get('fullname')}"
    defaults = app.env.temp_data.get("option_defaults", {}).get(name, {})
    for field in content.findall(nodes.field):
        what, _, option = field[0].astext().rpartition(" ")
        default = defaults.get(option)
        if not what.startswith("param") or default is None or not field[1].children:
            continue
        shown = default.__name__ if inspect.isroutine(default) or inspect.isclass(default) else repr(default)
        last = field[1][-1]
        if isinstance(last, nodes.paragraph):
            last += [nodes.Text(" Default: "), nodes.literal(shown, shown), nodes.Text(".")]
