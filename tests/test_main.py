"""The front door: what it answers before anything heavy is imported, and how plain functions become commands."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ornament_lit import __main__ as front_door
from ornament_lit import __version__
from ornament_lit.__main__ import COMMANDS, TRAINER_COMMANDS, Command, main

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "lightning", "diffusers", "jsonargparse")


def measure(count: int, unit: str = "mm") -> None:
    """Measure something.

    Args:
        count: How many.
        unit: Of what.
    """
    print(f"{count} {unit}")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("a_module_of_commands")
    monkeypatch.setattr(module, "measure", measure, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    table = {name: Command("a_module_of_commands:measure", "measure something") for name in ("measure", "data check")}
    monkeypatch.setattr(front_door, "COMMANDS", table)


@pytest.mark.parametrize("args", [["--help"], ["-h"], []])
def test_overview_lists_the_commands(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in ("fit", "validate", "test", "predict"))


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from ornament_lit.__main__ import main; main(['--help']); "
        f"print('loaded:', [name for name in {HEAVY} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.endswith("loaded: []\n")


def test_importing_the_package_loads_no_torch() -> None:
    script = "import sys, ornament_lit; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"ornament_lit {__version__}\n"


def test_no_command_is_promised_that_cannot_be_imported() -> None:
    for command in front_door.COMMANDS.values():
        module, _, function = command.function.partition(":")
        assert callable(getattr(__import__(module, fromlist=[function]), function))


@pytest.mark.parametrize(
    ("word", "hint"),
    [("fti", "did you mean 'fit'?"), ("xyz", f"the commands are {', '.join([*TRAINER_COMMANDS, *COMMANDS])}")],
)
def test_unknown_command(word: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"error: there is no command {word!r}; {hint}\n"
    assert captured.out == ""


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize("name", ["measure", "data check"])
def test_function_becomes_a_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*name.split(), "--count=3", "--unit=cm"]) == 0
    assert capsys.readouterr().out == "3 cm\n"


def test_an_argument_by_its_place(commands: None, capsys: pytest.CaptureFixture[str]) -> None:
    command = Command("a_module_of_commands:measure", "measure something", positional=True)
    front_door.COMMANDS["measure"] = command
    assert main(["measure", "3", "--unit=cm"]) == 0
    assert capsys.readouterr().out == "3 cm\n"


@pytest.mark.usefixtures("commands")
def test_function_command_is_listed_and_has_its_docstring_as_help(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert "data check  measure something" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["data", "check", "--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0
    assert "usage: python -m ornament_lit data check" in out
    assert "How many." in out


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--count=x"], "count: expected int, got 'x'"),
        (["--coumt=3"], "there is no option --coumt; did you mean --count?"),
        ([], "missing: count"),
    ],
)
def test_mistake_in_a_function_command(args: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", *args]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.usefixtures("commands")
def test_bug_in_a_function_command_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(sys.modules["a_module_of_commands"], "measure", broken)
    with pytest.raises(ValueError, match="a bug"):
        main(["measure"])


def test_threads_that_wait_do_not_spin_unless_the_user_says_so() -> None:
    code = "import os, sys, ornament_lit; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    for given, expected in (({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")):
        environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | given
        output = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True, cwd=ROOT)
        assert output == f"{expected} False\n"
