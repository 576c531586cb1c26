"""README and the pages of the documentation tell of files, targets and parts that exist."""

import re
from pathlib import Path

import pytest

from ornament_lit.cli import trainer as cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PARTS = (ROOT / "docs" / "parts.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / ".github" / "CONTRIBUTING.md"]
HEADINGS = ["Install", "Quickstart", "Usage", "Data", "Training on many GPUs", "Evaluation", "Extending"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_links_to_the_pages() -> None:
    assert len(re.findall(r"\]\((?!https?:)([^)#]+)\)", README)) > 8


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"^make ([a-z-]+)", page.read_text(), re.MULTILINE)) <= set(targets)


def test_the_readme_is_read_in_two_minutes_and_has_the_usual_headings() -> None:
    assert len(README.splitlines()) <= 150
    found = re.findall(r"^## (.+)$", README, re.MULTILINE)
    assert [heading for heading in found if heading in HEADINGS] == HEADINGS
    assert found[-2:] == ["Citation", "License"]


def test_every_part_is_in_the_table_and_every_row_exists() -> None:
    exported = {name for family in cli.FAMILIES for name in family.__all__}
    bases = {
        "AttentionLoss",
        "Autoencoder",
        "ImageEncoder",
        "MaskHead",
        "OrnamentDataModule",
        "ReferenceNet",
        "RefreshPolicy",
        *("Matched", "MatchFunction", "ReferenceMatching", "as_they_are", "TimestepSampler", "Warp"),
        "PromptEncoder",
        *("TryOnMetric", "GeneratedImage", "GeneratedBatch", "EmbeddingSimilarity", "MaskIoU"),
    }
    table = set(re.findall(r"`([A-Z]\w+)`", PARTS))
    assert exported - bases <= table
    assert table - exported <= {"EllipseMaskHead"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_configs_named_in_commands_exist(page: Path) -> None:
    configs = [name for name in re.findall(r"--config[ =](\S+\.yaml)", page.read_text()) if name.startswith("configs/")]
    assert all((ROOT / config).is_file() for config in configs)
    assert configs or page.name != "README.md"
