"""The page for shops tells the ground truth."""

import inspect
import re
from pathlib import Path
from typing import get_args

from datamodules.checking.findings import MEANINGS
from datamodules.packing.command import pack
from datamodules.packing.manifest import read_manifest
from datamodules.packing.rows import COLUMNS
from datamodules.packing.rules import RULES
from datamodules.storage.sample_errors import Reason

PAGE = (Path(__file__).parents[2] / "datamodules/README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_rule_of_packing_is_there_as_it_is() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section("Each rule of packing"), re.MULTILINE)
    assert dict(rows) == RULES


def test_every_finding_is_there_as_it_is() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section("Check and count"), re.MULTILINE)
    assert dict(rows) == MEANINGS
    assert set(get_args(Reason)) <= set(MEANINGS)


def test_every_option_that_is_named_exists_and_every_column_is_told() -> None:
    options = {name.replace("_", "-") for name in inspect.signature(pack).parameters}
    named = set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", PAGE))
    assert named - options <= {"config", "data", "write-index"}
    assert {"split", "auto-mask", "strict", "size"} <= named
    assert set(COLUMNS) <= set(re.findall(r"`(\w+)`", section("How to list it")))


def test_the_manifests_can_be_read(tmp_path: Path) -> None:
    csv, jsonl = re.findall(r"```\n((?:key,|\{).*?)```", section("How to list it"), re.DOTALL)
    for name, text, keys in (("a.csv", csv, ["shop-000", "shop-001"]), ("a.jsonl", jsonl, ["row-000001"])):
        (tmp_path / name).write_text(text)
        source = read_manifest(tmp_path / name)
        assert [row.key for row in source.rows] == keys and source.problems == []


def test_links_and_commands() -> None:
    commands = re.findall(r"python -m ornament_lit (\w+(?: \w+)?)", PAGE)
    assert set(commands) == {"data pack", "data check", "data stats", "fit"}
