"""Every YAML of configs/: its header's command parses, and what needs no pretrained weights can be built."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonargparse import ArgumentParser, capture_parser

from ornament_lit.cli.trainer import TryOnCLI, build

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "configs").rglob("*.yaml"))
CONFIGS = [
    name for name in FILES if not name.startswith("configs/studies/")
]  # tests/ornament_lit/cli/commands/test_study.py
FAMILIES = ("autoencoder", "image_encoder", "prompt_encoder", "reference_net", "mask_head", "attention_loss")
ABLATIONS = [name for name in CONFIGS if name.startswith("configs/ablations/")]
BASELINES = [name for name in CONFIGS if Path(name).parent == Path("configs/baselines")]
TINY_BASELINES = [name for name in CONFIGS if name.startswith("configs/baselines/tiny/")]
STRATEGIES = [name for name in CONFIGS if name.startswith("configs/strategies/")]


@pytest.fixture(scope="module")
def parser() -> ArgumentParser:
    parser = capture_parser(TryOnCLI)
    assert isinstance(parser, ArgumentParser)
    return parser


@pytest.fixture(autouse=True)
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def header(name: str) -> list[str]:
    """The comment lines at the top of a file, without the sign."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    count = next(n for n, line in enumerate(lines) if not line.startswith("#"))
    return [line.removeprefix("# ") for line in lines[:count]]


def load(name: str) -> dict[str, Any]:
    """The content of a file."""
    content: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return content


def class_names(tree: object) -> Iterator[str]:
    """Short names of the classes that a configuration names."""
    if isinstance(tree, dict):
        if "class_path" in tree:
            yield tree["class_path"].rpartition(".")[2]
        tree = list(tree.values())
    for branch in tree if isinstance(tree, list) else ():
        yield from class_names(branch)


def command(name: str) -> list[str]:
    """The words after ``python -m ornament_lit`` in the header of a file."""
    commands = [line for line in header(name) if line.startswith("python -m ornament_lit ")]
    assert len(commands) == 1, f"the header of {name} must hold one command"
    return shlex.split(commands[0])[3:]


@pytest.mark.parametrize("name", CONFIGS)
def test_header_says_purpose_command_and_hardware(name: str) -> None:
    lines = header(name)
    assert len(lines) >= 3
    assert lines[0].endswith((".", ":"))
    assert command(name)[0] == ("test" if name.startswith("configs/evaluation/") else "fit")
    assert name in command(name)
    assert re.search(r"CPU|GPU|[Hh]ardware", " ".join(lines[2:]))


@pytest.mark.parametrize("name", CONFIGS)
def test_command_of_the_header_parses_and_every_class_arrives(name: str, parser: ArgumentParser) -> None:
    config = parser.parse_args(command(name))
    config = config[config.subcommand].as_dict()
    assert set(class_names(load(name))) <= set(class_names(config))


@pytest.mark.parametrize("name", [*ABLATIONS, *BASELINES, *TINY_BASELINES, *STRATEGIES])
def test_what_is_laid_over_a_config_holds_differences_only(name: str) -> None:
    base = load("configs/quickstart.yaml" if name in TINY_BASELINES else "configs/ornament.yaml")
    for group, values in load(name).items():
        assert all(base.get(group, {}).get(key) != value for key, value in values.items())


def test_what_changes_the_method_changes_the_run_folder() -> None:
    """Else a run would go into the folder of the one that it is compared with."""
    configs = ["configs/quickstart.yaml", "configs/ornament.yaml", *ABLATIONS, *BASELINES, *TINY_BASELINES]
    folders = [load(name)["trainer"]["logger"]["init_args"]["name"] for name in configs]
    assert len(set(folders)) == len(configs)


def test_every_baseline_has_a_small_one() -> None:
    small = {Path(name).stem for name in TINY_BASELINES}
    assert len(small) == 4 and {Path(name).stem for name in BASELINES} == {*small, "anydoor_sd21"}


@pytest.mark.parametrize("extra", [None, "configs/rendered.yaml", *ABLATIONS, *TINY_BASELINES])
def test_quickstart_and_its_ablations_can_be_built(extra: str | None) -> None:
    files = ["configs/quickstart.yaml", *([extra] if extra else [])]
    model = build([word for name in files for word in ("--config", name)]).model
    given = load(files[-1])["model"]
    expected = {key: value["class_path"] for key, value in given.items() if key in FAMILIES}
    parts = {key: getattr(model, key, None) or getattr(model.model, key) for key in expected}
    assert {key: type(part).__name__ for key, part in parts.items()} == expected


@pytest.mark.parametrize("name", STRATEGIES)
def test_quickstart_can_be_built_with_every_strategy(name: str) -> None:
    given = load(name)["trainer"]
    trainer = build(["--config", "configs/quickstart.yaml", "--config", name, "--trainer.devices=1"]).trainer
    if "strategy" in given:
        assert type(trainer.strategy).__name__ == given["strategy"]["class_path"].rpartition(".")[2]
    assert trainer.accumulate_grad_batches == given.get("accumulate_grad_batches", 1)


def test_fewer_gpus_take_steps_of_the_same_size() -> None:
    base, fewer = load("configs/ornament.yaml"), load("configs/strategies/four_gpus.yaml")["trainer"]
    assert fewer["devices"] * fewer["accumulate_grad_batches"] == base["trainer"]["devices"]
    assert load("configs/strategies/fsdp2.yaml")["trainer"]["strategy"]["init_args"]["data_parallel_size"] == 8
