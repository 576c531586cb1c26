"""Fits and predictions that are killed at random times, again and again, end as those that nobody has disturbed.

Two kills a setting by default; ``ORNAMENT_LIT_KILLS=200`` in the environment for as many as that in each setting.
"""

import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import ROOT, end_group, log_of, run_and_stop, words_of, write_plugin

KILLS = int(os.environ.get("ORNAMENT_LIT_KILLS", "2"))
STEPS = 24


def weights(folder: Path) -> dict[str, Any]:
    """What a run has learned: weights, averages, the optimizer's state, and its position in the data."""
    content = torch.load(folder / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["global_step"] == STEPS
    ema = next(state for name, state in content["callbacks"].items() if "TrainableEMA" in name)
    optimizer = content["optimizer_states"][0]["state"]
    flat = {f"optimizer.{index}.{name}": value for index, state in optimizer.items() for name, value in state.items()}
    raw = {f"raw.{name}": value for name, value in ema["raw_parameters"].items()}
    return {**content["state_dict"], **raw, **flat, **content["OrnamentDataModule"]}


def same(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(one == other)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands from the root of the repository, with the callback that watches them."""
    write_plugin(tmp_path / "plugins")
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(tmp_path / "plugins")
    for name, value in {"ORNAMENT_LIT_PLUGINS": "watching", "ORNAMENT_LIT_DEBUG": "1"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.slow
@pytest.mark.timeout(900 if KILLS <= 20 else 0)
@pytest.mark.parametrize(("save_every", "processes"), [(3, 1), (4, 1), (4, 2)])
@pytest.mark.usefixtures("plugin")
def test_random_kills_of_fit_change_nothing(tmp_path: Path, save_every: int, processes: int) -> None:
    several = {"devices": 2, "strategy": "ddp_fork"} if processes > 1 else {}
    options = {"save_every": save_every, "max_steps": STEPS, "limit_val_batches": 1, **several}
    straight = tmp_path / "straight"
    assert run_and_stop(words_of(straight, **options), straight, None, signal.SIGKILL) == 0
    logs, learned = [log_of(straight, rank) for rank in range(processes)], weights(straight)
    rng, kills, runs = random.Random(save_every + processes), 0, 0
    while kills < KILLS:
        folder, ended, runs = tmp_path / f"run-{runs}", False, runs + 1
        words = words_of(folder, **options)
        while not ended:
            seconds, steps = rng.choice([0.03, 0.3]) * rng.random(), rng.randint(0, 9)
            code = run_and_stop(words, folder, seconds, signal.SIGKILL, steps=steps)
            end_group(folder)
            ended, kills = code == 0, kills + (code != 0)
            assert code in (0, -signal.SIGKILL), (folder / "output").read_text()[-3000:]
        for rank, log in enumerate(logs):
            assert {tuple(map(str, step)) for step in log_of(folder, rank)} == {tuple(map(str, step)) for step in log}
        found = weights(folder)
        assert found.keys() == learned.keys() and all(same(found[name], learned[name]) for name in learned)
        assert len(list((folder / "run" / "checkpoints").glob("*.ckpt"))) <= 2
    print(f"{kills} kills of {runs} runs, all of which ended as the undisturbed one")


def files_of(folder: Path) -> dict[str, bytes]:
    """The images of a prediction."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def keys_of(folder: Path) -> list[str]:
    """The samples that a prediction tells of."""
    return [json.loads(line)["key"] for line in (folder / "results.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(900 if KILLS <= 20 else 0)
@pytest.mark.usefixtures("plugin")
def test_random_kills_of_predict_lose_and_repeat_nothing(tmp_path: Path) -> None:
    trained = tmp_path / "trained"
    words = words_of(trained, max_steps=3)
    assert run_and_stop(words, trained, None, signal.SIGKILL) == 0
    checkpoint = trained / "run" / "checkpoints" / "last.ckpt"

    def predict(folder: Path, seconds: float | None) -> int:
        folder.mkdir(exist_ok=True)
        small = ["--data.val_batch_size=4", f"--prediction_writer.folder={folder / 'out'}"]
        line = ["predict", *words[1:-2], "--ckpt_path", str(checkpoint), *small]
        return run_and_stop(line, trained, seconds, signal.SIGKILL, steps=10**6)

    assert predict(tmp_path / "straight", None) == 0
    expected, keys = files_of(tmp_path / "straight" / "out"), keys_of(tmp_path / "straight" / "out")
    assert len(keys) == len(set(keys)) == len(expected) / 2
    rng, kills, runs = random.Random(0), 0, 0
    while kills < KILLS:
        folder, code, runs = tmp_path / f"run-{runs}", 1, runs + 1
        while code:
            code = predict(folder, rng.random() * 2)
            end_group(trained)
            kills += code != 0
            assert code in (0, -signal.SIGKILL), (trained / "output").read_text()[-3000:]
        assert files_of(folder / "out") == expected
        assert keys_of(folder / "out") == keys
    print(f"{kills} kills of {runs} predictions, all of which ended as the undisturbed one")
