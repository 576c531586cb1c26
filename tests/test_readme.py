"""The README tells of files, targets and parts that exist."""

import re
from pathlib import Path

from ornament_lit.cli import trainer as cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert len(links) > 8
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_make_targets_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE)) <= set(targets)


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
    table = set(re.findall(r"`([A-Z]\w+)`", README))
    assert exported - bases <= table
    assert table - exported <= {"EllipseMaskHead"}


def test_configs_named_in_commands_exist() -> None:
    configs = re.findall(r"--config[ =](\S+\.yaml)", README)
    assert configs and all((ROOT / config).is_file() for config in configs)
