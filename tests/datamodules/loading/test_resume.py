import random
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from resume_run import (
    Log,
    Run,
    SmallModule,
    Step,
    data_of,
    merge,
    newest_checkpoint,
    read_logs,
    run_and_kill,
    train,
)

from datamodules.loading.order import training_order
from datamodules.samples.seeding import sample_seed
from datamodules.shards.index import scan_shard, write_index

pytestmark = pytest.mark.filterwarnings("ignore:.*exists and is not empty", "ignore:.*LeafSpec")

HOOKS = (
    "on_train_start",
    "on_train_epoch_start",
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_train_batch_end",
    "on_validation_start",
    "on_validation_batch_end",
    "on_validation_end",
    "on_train_epoch_end",
    "on_train_end",
)
Row = tuple[int, str, int]


class SaveEverywhere(pl.Callback):
    """Writes a checkpoint in each hook, with the number of samples that came before it."""

    def __init__(self, folder: Path, hooks: tuple[str, ...]) -> None:
        folder.mkdir(parents=True)
        self.number = 0
        for hook in hooks:
            setattr(self, hook, self._saver(folder, hook))

    def _saver(self, folder: Path, hook: str) -> Any:
        def save(trainer: pl.Trainer, *_: object) -> None:
            self.number += 1
            trainer.save_checkpoint(folder / f"{self.number:03}-{hook}.ckpt")

        return save


def expected(run: Run) -> list[Row]:
    """Epoch, key and seed of each sample that a run must see, straight from the order."""
    data = data_of(run)
    catalogue = data._catalogue(data.train_shards, "training")
    step = run.ranks * run.batch_size * run.accumulate
    rows: list[Row] = []
    for epoch in range(run.epochs):
        order = training_order(catalogue, epoch, data.order)
        for sample, occurrence in list(zip(*(part.tolist() for part in order), strict=True))[
            : len(order[0]) // step * step
        ]:
            key = catalogue.keys[sample]
            rows.append((epoch, key, sample_seed(data.order.seed, epoch, key, occurrence)))
    return rows


def position(checkpoint: Path, rows: list[Row], global_batch: int = 8) -> int:
    """How many of the samples were done when a checkpoint was written, by the data module's state in it."""
    state = torch.load(checkpoint, weights_only=True)["OrnamentDataModule"]
    first = next((number for number, row in enumerate(rows) if row[0] == state["epoch"]), len(rows))
    return first + state["batches"] // state["accumulate"] * global_batch


def test_an_uninterrupted_run_sees_the_order(shard_dir: Path, tmp_path: Path) -> None:
    run = Run(shard_dir, tmp_path / "run", data={"samples_per_epoch": 44}, batch_size=4, accumulate=2)
    train(run)
    rows = merge(read_logs(run))
    assert rows == expected(run) and len(rows) == 80
    assert len({seed for _, _, seed in rows}) == 80


def check_resumes(run: Run, hooks: tuple[str, ...]) -> None:
    train(run, SaveEverywhere(run.folder / "saved", hooks))
    steps, rows = read_logs(run)[0], expected(run)
    limit = run.trainer.get("limit_train_batches")
    checkpoints = sorted((run.folder / "saved").iterdir())
    assert len(checkpoints) > 3
    for checkpoint in checkpoints:
        resumed = replace(run, folder=run.folder / checkpoint.stem, checkpoint=checkpoint)
        train(resumed)
        found = read_logs(resumed)[0]
        state = torch.load(checkpoint, weights_only=True)["OrnamentDataModule"]
        begun = (state["epoch"], state["batches"] // run.accumulate * run.accumulate)
        assert found == [step for step in steps if (step.epoch, step.batch) >= begun], checkpoint.name
        if not limit:
            assert merge([found]) == rows[position(checkpoint, rows) :][: len(merge([found]))]


def test_a_run_goes_on_from_every_place_to_the_last_bit(shard_dir: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*not resumable.*")
        run = Run(shard_dir, tmp_path / "run", data={"samples_per_epoch": 26})
        check_resumes(run, ("on_train_epoch_start", "on_train_batch_end", "on_validation_end", "on_train_epoch_end"))


def test_a_run_with_warped_pairs_goes_on_to_the_last_bit(shard_dir: Path, tmp_path: Path) -> None:
    options = {"samples_per_epoch": 26, "warped_pairs": 0.7, "warped_pairs_epochs": 2}
    check_resumes(Run(shard_dir, tmp_path / "run", data=options), ("on_train_batch_end", "on_train_epoch_end"))


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize(
    "trainer",
    [
        {},
        {"val_check_interval": 0.5},
        {"max_steps": 5, "max_epochs": -1},
        {"limit_train_batches": 3},
        {"check_val_every_n_epoch": 2},
        {"limit_val_batches": 0},
    ],
)
def test_a_run_goes_on_from_every_place(
    shard_dir: Path, tmp_path: Path, trainer: dict[str, Any], accumulate: int
) -> None:
    run = Run(shard_dir, tmp_path / "run", batch_size=8 // accumulate, accumulate=accumulate, epochs=3, trainer=trainer)
    check_resumes(replace(run, data={"samples_per_epoch": 26}), HOOKS)


LAYOUTS = [(1, 0, 8, 1), (1, 2, 4, 2), (2, 0, 4, 1), (2, 2, 2, 2), (1, 0, 1, 8)]


def laid_out(run: Run, layout: tuple[int, int, int, int]) -> Run:
    ranks, workers, batch_size, accumulate = layout
    return replace(run, ranks=ranks, workers=workers, batch_size=batch_size, accumulate=accumulate)


def check_layouts(run: Run, before: tuple[int, int, int, int], after: tuple[int, int, int, int], saves: slice) -> None:
    first = replace(laid_out(run, before), save_every=1, folder=run.folder / "first")
    train(first)
    rows = merge(read_logs(first))
    assert rows == expected(first) == expected(laid_out(run, after))
    checkpoints = sorted(first.folder.glob("*.ckpt"), key=lambda path: path.stat().st_mtime_ns)[saves]
    assert checkpoints
    for checkpoint in checkpoints:
        second = replace(laid_out(run, after), checkpoint=checkpoint, folder=run.folder / checkpoint.stem)
        train(second)
        done = position(checkpoint, rows)
        assert merge(read_logs(second)) == rows[done:], checkpoint.name


@pytest.mark.parametrize(("before", "after"), [(LAYOUTS[0], LAYOUTS[4]), (LAYOUTS[4], LAYOUTS[0])])
def test_a_run_goes_on_with_other_batches(shard_dir: Path, tmp_path: Path, before: Any, after: Any) -> None:
    check_layouts(Run(shard_dir, tmp_path, data={"samples_per_epoch": 26}), before, after, slice(None))


@pytest.mark.parametrize(("before", "after"), [(LAYOUTS[3], LAYOUTS[0]), (LAYOUTS[1], LAYOUTS[2])])
def test_a_run_goes_on_with_other_processes(shard_dir: Path, tmp_path: Path, before: Any, after: Any) -> None:
    weighted = {"type_weights": {"ring": 0.5}, "shuffle_block_size": 9}
    check_layouts(Run(shard_dir, tmp_path, data=weighted), before, after, slice(1, 3))


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(a, b) for a in LAYOUTS for b in LAYOUTS if a != b])
def test_a_run_goes_on_with_any_other_processes(shard_dir: Path, tmp_path: Path, before: Any, after: Any) -> None:
    check_layouts(Run(shard_dir, tmp_path, data={"samples_per_epoch": 44}), before, after, slice(None, None, 3))


def interrupted(run: Run, layouts: list[tuple[int, int, int, int]], seed: int) -> tuple[list[Row], list[Step]]:
    """Kill a run in each layout but the last.

    Returns:
        What its weights have seen in the end, and the first process's steps that led to them.
    """
    rng, checkpoint = random.Random(seed), None
    rows: list[Row] = []
    steps: list[Step] = []
    order = expected(laid_out(run, layouts[0]))
    for number, layout in enumerate(layouts):
        part = replace(laid_out(run, layout), folder=run.folder / str(number), checkpoint=checkpoint, save_every=2)
        if last := number == len(layouts) - 1:
            train(part)
        else:
            part.folder.mkdir(parents=True)
            assert run_and_kill(part, rng.randint(0, 5) * part.accumulate, rng)
        checkpoint = newest_checkpoint(part.folder) or checkpoint
        done = len(order) if last else position(checkpoint, order) if checkpoint else 0
        found, logs = merge(read_logs(part)), read_logs(part)[0]
        assert found == order[len(rows) :][: len(found)]
        steps += logs[: (done - len(rows)) // (part.ranks * part.batch_size)]
        rows += found[: done - len(rows)]
    return rows, steps


def test_a_killed_run_loses_and_repeats_nothing(shard_dir: Path, tmp_path: Path) -> None:
    run = Run(shard_dir, tmp_path, epochs=3, data={"samples_per_epoch": 44})
    rows, _ = interrupted(run, [LAYOUTS[3], LAYOUTS[0]], 0)
    assert rows == expected(laid_out(run, LAYOUTS[0]))


PLACES = [(1, 0, 8, 1), (1, 2, 4, 2), (2, 0, 4, 1), (2, 2, 2, 2)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_runs_killed_on_any_layout_lose_and_repeat_nothing(shard_dir: Path, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    chain = [PLACES[seed % 4]]
    while len(chain) < 5:
        chain.append(rng.choice([layout for layout in PLACES if layout != chain[-1]]))
    run = Run(shard_dir, tmp_path, epochs=4, data={"samples_per_epoch": 60})
    rows, _ = interrupted(run, chain, seed)
    assert rows == expected(laid_out(run, chain[0]))


@pytest.mark.slow
@pytest.mark.parametrize("layout", PLACES)
def test_a_killed_run_ends_with_the_losses_of_an_uninterrupted_one(
    shard_dir: Path, tmp_path: Path, layout: tuple[int, int, int, int]
) -> None:
    run = Run(shard_dir, tmp_path / "killed", epochs=3, data={"samples_per_epoch": 60})
    straight = replace(laid_out(run, layout), folder=tmp_path / "straight")
    train(straight)
    rows, steps = interrupted(run, [layout] * 4, 7)
    assert rows == expected(straight) and steps == read_logs(straight)[0]


@pytest.fixture
def middle_and_end(shard_dir: Path, tmp_path: Path) -> tuple[Run, Path, Path]:
    """A run of 2 epochs of 4 steps, its checkpoint after 2 steps, and the one after 4."""
    run = Run(shard_dir, tmp_path / "run", save_every=2)
    train(run)
    return run, run.folder / "step=2.ckpt", run.folder / "step=4.ckpt"


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"batch_size": 4}, r"global batch .* was 8, is 4"),
    ({"accumulate": 2}, r"global batch .* was 8, is 16"),
    ({"data": {"seed": 1}}, r"data\.seed was 0, is 1"),
    ({"data": {"type_weights": {"ring": 0.5}}}, r"data\.type_weights was .*'ring': 1\.0.*'ring': 0\.5"),
    ({"data": {"samples_per_epoch": 64}}, r"data\.samples_per_epoch was None, is 64"),
    ({"data": {"shuffle_block_size": 8}}, r"data\.shuffle_block_size was 8192, is 8"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_another_order_is_refused_in_the_middle_of_an_epoch_only(
    middle_and_end: tuple[Run, Path, Path], change: dict[str, Any], message: str
) -> None:
    run, middle, end = middle_and_end
    changed = replace(run, folder=run.folder / "changed", save_every=None, **change)
    with pytest.raises(ValueError, match=rf"middle of epoch 0 \(2 steps\).*{message}.*checkpoint of an epoch's end"):
        train(replace(changed, checkpoint=middle))
    train(replace(changed, checkpoint=end))
    assert merge(read_logs(changed)) == [row for row in expected(changed) if row[0] == 1]


def test_other_shards_are_refused_in_the_middle_of_an_epoch(middle_and_end: tuple[Run, Path, Path]) -> None:
    run, middle, end = middle_and_end
    (run.shards / "train-000001.tar").unlink()
    with pytest.raises(ValueError, match="changed: the training shards; set it back"):
        train(replace(run, checkpoint=middle))
    after = replace(run, checkpoint=end, folder=run.folder / "after", save_every=None)
    train(after)
    assert merge(read_logs(after)) == [row for row in expected(after) if row[0] == 1]


def test_shards_may_move_and_get_an_index(middle_and_end: tuple[Run, Path, Path], tmp_path: Path) -> None:
    run, middle, _ = middle_and_end
    rows = expected(run)
    moved = run.shards.rename(tmp_path / "moved")
    write_index(moved, [scan_shard(path, checksum=True) for path in sorted(moved.glob("*.tar"))])
    after = replace(run, shards=moved, checkpoint=middle, folder=tmp_path / "after", workers=2)
    train(after)
    assert merge(read_logs(after)) == rows[16:]


def test_a_checkpoint_is_validated_with_other_data(middle_and_end: tuple[Run, Path, Path]) -> None:
    run, middle, _ = middle_and_end
    changed = data_of(replace(run, batch_size=3, data={"seed": 5}))
    pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False).validate(
        SmallModule(), changed, ckpt_path=middle, weights_only=True, verbose=False
    )


def test_a_checkpoint_without_a_position_is_told(
    middle_and_end: tuple[Run, Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    run, middle, _ = middle_and_end
    content = torch.load(middle, weights_only=True)
    del content["OrnamentDataModule"]
    torch.save(content, middle)
    train(replace(run, checkpoint=middle, folder=run.folder / "after"))
    assert "the checkpoint holds no position in the training data" in caplog.text


def test_a_second_run_of_the_same_objects_starts_anew(shard_dir: Path, tmp_path: Path) -> None:
    run = Run(shard_dir, tmp_path, epochs=1)
    data = data_of(run)
    for epochs in (1, 2):
        options: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False}
        trainer = pl.Trainer(max_epochs=epochs, enable_progress_bar=False, callbacks=[Log(tmp_path)], **options)
        trainer.fit(SmallModule(), data)
    first = expected(run)
    assert merge(read_logs(run)) == first + expected(replace(run, epochs=2))
    assert [key for batch in data.train_dataloader() for key in batch["key"]] != []
