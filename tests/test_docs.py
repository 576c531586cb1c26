"""The documentation site builds strictly, tells of every command and part, and asks no other host."""

import inspect
import re
import subprocess
import sys
from dataclasses import fields
from html import unescape
from importlib import import_module
from pathlib import Path

import pytest

from ornament_lit.__main__ import COMMANDS, TRAINER_COMMANDS
from ornament_lit.cli import trainer as cli
from ornament_lit.cli.commands.bench_options import BenchOptions
from ornament_lit.cli.commands.latents import LatentsOptions
from ornament_lit.cli.commands.published import PublishedOptions
from ornament_lit.cli.commands.try_on_options import TryOnOptions

ROOT = Path(__file__).parent.parent
OTHER_HOST = re.compile(
    r"""<(?:script|link|img|iframe|source|object|embed)\b[^>]*\b(?:src|srcset|href|data)=["'](?:https?:)?//[^>]*>"""
)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built pages."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-d", str(folder / "tree")]
    done = subprocess.run([*command, "docs", str(folder / "html")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def words_of(page: Path) -> str:
    """What a reader sees of a page."""
    return unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_every_command_and_option_is_there(site: Path) -> None:
    html, words = (site / "reference" / "commands.html").read_text(), words_of(site / "reference" / "commands.html")
    for name in (*TRAINER_COMMANDS, *COMMANDS):
        assert f'id="{name.replace(" ", "-")}"' in html or f"command-{name.replace(' ', '-')}" in html, name
        assert f"python -m ornament_lit {name}" in words
    for command, named in options_of_commands().items():
        anchors = set(re.findall(rf'id="cmdoption-{command.replace(" ", "-")}-(?:arg-)?(\w+)"', html))
        assert {name.lower() for name in anchors} == named, command
        assert all(f"--{name}" in words or name.upper() in words for name in named)
    linked = re.search(r'id="cmdoption-fit-model.NAME".*?</dd>', html, re.DOTALL)
    assert linked and 'href="mask_heads.html#ornament_lit.models.mask_heads.MaskHead"' in linked[0]


def options_of_commands() -> dict[str, set[str]]:
    """What each command takes that is no training's: by its signature, or by the dataclass that it parses."""
    words = {
        "try-on": TryOnOptions,
        "published": PublishedOptions,
        "bench": BenchOptions,
        "data latents": LatentsOptions,
    }
    named = {name: {each.name for each in fields(options)} for name, options in words.items()}
    for name, command in COMMANDS.items():
        module, _, function = command.function.partition(":")
        if command.parsed:
            named[name] = set(inspect.signature(getattr(import_module(module), function)).parameters)
    assert named.keys() == COMMANDS.keys()
    return named


def test_every_part_is_there_with_its_options(site: Path) -> None:
    pages = {page: words_of(page) for page in (site / "reference").glob("*.html")}
    for family in cli.FAMILIES:
        for name in family.__all__:
            part = getattr(family, name)
            anchor = f'id="{family.__name__}.{name}"'
            found = [page for page in pages if anchor in page.read_text(encoding="utf-8")]
            assert len(found) == 1, f"{family.__name__}.{name} must be on one page"
            if inspect.isclass(part) and part.__init__ is not object.__init__:
                names = part.__annotations__ if issubclass(part, dict) else inspect.signature(part).parameters
                options = [each for each in names if each not in ("args", "kwargs")]
                assert [option for option in options if option not in pages[found[0]]] == [], name


def test_nothing_comes_from_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 35
    assert [found for page in pages for found in OTHER_HOST.findall(page.read_text(encoding="utf-8"))] == []
    styles = [
        sheet
        for sheet in site.rglob("*.css")
        if re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", sheet.read_text())
    ]
    assert styles == []


def test_every_page_is_reached_from_the_first(site: Path) -> None:
    first = (site / "index.html").read_text(encoding="utf-8")
    for page in sorted((ROOT / "docs").glob("*.md")):
        assert page.stem == "index" or f'href="{page.stem}.html"' in first, page.name


def test_the_navigation_starts_with_what_a_newcomer_needs(site: Path) -> None:
    first = (site / "index.html").read_text(encoding="utf-8")
    captions = re.findall(r'class="caption-text">(\w+)<', first)
    assert captions == ["Start", "Use", "Extend", "Evidence", "Reference", "Changelog"]
    words = words_of(site / "start.html")
    assert "pip install -e ." in words and "make quickstart" in words and "python -m ornament_lit try-on" not in words
