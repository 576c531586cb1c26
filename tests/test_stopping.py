"""Commands of the trainer that get SIGTERM or Ctrl-C: they stop at once, say so, and leave no process behind."""

import signal
from pathlib import Path
from typing import Any

import pytest
from tiny_run import ROOT, end_group, run_and_stop, words_of, write_plugin

SAID = {signal.SIGTERM: (143, "terminated"), signal.SIGINT: (130, "interrupted")}
CASES = [
    ("fit", signal.SIGTERM, False, 1),
    ("fit", signal.SIGTERM, True, 2),
    ("fit", signal.SIGINT, False, 2),
    ("validate", signal.SIGTERM, True, 1),
    ("test", signal.SIGTERM, False, 1),
    ("predict", signal.SIGTERM, True, 1),
    ("predict", signal.SIGTERM, True, 2),
    ("predict", signal.SIGINT, False, 1),
]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "number", "alone", "processes"), CASES)
def test_a_command_stops_at_once(
    command: str, number: signal.Signals, alone: bool, processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plugin(tmp_path / "plugins")
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(tmp_path / "plugins")
    monkeypatch.setenv("ORNAMENT_LIT_PLUGINS", "watching")
    several: dict[str, Any] = {"devices": 2, "strategy": "ddp_fork"} if processes > 1 else {}
    words = words_of(tmp_path, preemption=False, max_steps=10**6, max_epochs=-1, limit_val_batches=0, **several)
    if command != "fit":
        small = ["--data.val_batch_size=1", "--trainer.limit_val_batches=500"]
        words = [
            command,
            *words[1:-2],
            *small,
            *([f"--prediction_writer.folder={tmp_path}/out"] * (command == "predict")),
        ]
    code = run_and_stop(words, tmp_path, 0.5, number, alone)
    left, output = end_group(tmp_path), (tmp_path / "output").read_text()
    expected, said = SAID[number]
    assert code == expected, output[-3000:]
    assert said in output and "Traceback" not in output
    assert left == 0, "no process is left"
