"""Links of Markdown files that lead out of ``docs/``.

They are written for the repository, relative to their file, so that a code host follows them. On the site a link

- to a file that a page includes (``datamodules/README.md``) leads to that page;
- to another file of the repository downloads it;
- to a folder is left as its text.

A link that leads nowhere stays as it is, and Sphinx warns of it.
"""

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

LINK = re.compile(r"(?P<text>!?\[(?:[^\[\]]|\[[^\[\]]*\])*\])\((?P<target>[^()\s]+)\)")
INCLUDE = re.compile(r"^```\{include\} (\S+)$", re.MULTILINE)
FENCE = re.compile(r"^\s*(```+|~~~+)")


def setup(app: Sphinx) -> dict[str, Any]:
    """Resolve links as files are read."""
    app.connect("source-read", _read_page)
    app.connect("include-read", _read_included)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def resolve_links(text: str, file: Path, docs: Path) -> str:
    """Write the links of a Markdown file for the site.

    Args:
        text: What is in the file; its blocks of code stay as they are.
        file: Where it is.
        docs: The folder of the site's pages.

    Returns:
        The text with links that start at ``docs``.
    """
    pages = {(page.parent / name).resolve(): page for page, name in _included(docs)}
    resolve = partial(_resolve, folder=file.parent, docs=docs, pages=pages)
    return "".join(line if code else LINK.sub(resolve, line) for line, code in _lines(text))


def _resolve(link: re.Match[str], folder: Path, docs: Path, pages: dict[Path, Path]) -> str:
    name, hash_, anchor = link["target"].partition("#")
    path = (folder / name).resolve()
    if not name or ":" in name or not path.exists():
        return link[0]
    if path.is_dir():
        return link["text"][1:-1]
    page = pages.get(path, path)
    if page.is_relative_to(docs):
        return f"{link['text']}(/{page.relative_to(docs).as_posix()}{hash_}{anchor})"
    return f"{link['text']}(path:/{os.path.relpath(path, docs)})"


def _included(docs: Path) -> Iterator[tuple[Path, str]]:
    for page in sorted(docs.rglob("*.md")):
        for name in INCLUDE.findall(page.read_text(encoding="utf-8")):
            yield page, name


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it belongs to a block of code."""
    fence = ""
    for line in text.splitlines(keepends=True):
        mark = FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
            yield line, True
        elif mark and line.strip() == fence:
            fence = ""
            yield line, True
        else:
            yield line, bool(fence)


def _read_page(app: Sphinx, docname: str, source: list[str]) -> None:
    file = Path(app.env.doc2path(docname))
    if file.suffix == ".md":
        source[0] = resolve_links(source[0], file, Path(app.srcdir))


def _read_included(app: Sphinx, path: Path, parent: str, content: list[str]) -> None:
    if path.suffix == ".md":
        content[0] = resolve_links(content[0], (Path(app.srcdir) / path).resolve(), Path(app.srcdir))
