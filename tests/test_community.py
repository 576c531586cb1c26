"""The files that a public project has say the same version, and can be read by those who read them."""

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ornament_lit.utils.versions import VERSION

ROOT = Path(__file__).parent.parent
FORMS = sorted((ROOT / ".github").rglob("*.yml"))


def setup_cfg() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def test_all_say_the_same_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.findall(r"^## \[(\d[^\]]*)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
    assert (citation["version"], str(citation["date-released"])) == newest
    assert citation["version"] == VERSION and citation["license"] == setup_cfg()["metadata"]["license"]
    assert citation["cff-version"] == "1.2.0" and {"message", "title", "authors"} <= set(citation)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_forms_can_be_read(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    if path.parent.name == "workflows":
        assert form["jobs"] and all(job["steps"] for job in form["jobs"].values())
    elif path.name != "config.yml":
        assert {"name", "description", "body"} <= set(form)
        assert all(entry["attributes"]["label"] for entry in form["body"])


def test_ci_tries_the_allowed_pythons_and_needs_a_browser() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    jobs = workflow["jobs"]
    config = setup_cfg()
    oldest = config["options"]["python_requires"].removeprefix(">=")
    classified = re.findall(
        r"^Programming Language :: Python :: (3\.\d+)$", config["metadata"]["classifiers"], re.MULTILINE
    )
    assert jobs["newest"]["strategy"]["matrix"]["python-version"] == classified
    assert oldest == min(classified, key=_numbers)
    assert {_python(job) for name, job in jobs.items() if name != "newest"} == {oldest}
    assert workflow["env"]["ORNAMENT_LIT_BROWSER_TESTS"] == "required"
    named = {word for job in workflow["jobs"].values() for step in job["steps"] for word in _targets(step)}
    assert _python(jobs["newest"]) == "${{ matrix.python-version }}"
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"check", "test", "test-slow", "docs", "wheel"} <= named <= targets


def test_ci_runs_what_make_test_runs_with_other_releases() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    makefile = (ROOT / "Makefile").read_text()
    [markers] = re.findall(r"^MARKERS \?= (.+)$", makefile, re.MULTILINE)
    [extras] = re.findall(
        r"^\$\(VENV\)/\.installed-test:.*\n\t\$\(PIP\) --editable '\.(\[.+\])'$", makefile, re.MULTILINE
    )
    for name in ("newest", "oldest"):
        commands = [step["run"] for step in workflow["jobs"][name]["steps"] if "run" in step]
        assert any(command.rstrip().endswith(f"--editable '.{extras}'") for command in commands), name
        assert commands[-1] == f'python -m pytest -m "{markers}"', name


def _python(job: dict[str, Any]) -> str:
    [version] = [step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", "")]
    return version


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _targets(step: dict[str, str]) -> list[str]:
    return re.findall(r"^make ([a-z-]+)", step.get("run", ""))


def test_every_pattern_of_package_data_finds_something() -> None:
    patterns = [
        (package, pattern.strip())
        for package, line in setup_cfg()["options.package_data"].items()
        for pattern in line.split(",")
    ]
    assert [pair for pair in patterns if not list((ROOT / pair[0]).glob(pair[1]))] == []
