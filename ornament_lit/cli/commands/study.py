"""The command ``study``: train and test the variants of a study, and put their figures into one table."""

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ornament_lit.cli.commands.study_file import Study, read_study, slug

DONE = "trained.json"


@dataclass(frozen=True)
class Run:
    """One training of a study, or one test of it.

    Attributes:
        folder: Where its files go.
        words: The command, after ``python -m ornament_lit``.
        finished: What is there when it is done.
    """

    folder: Path
    words: list[str]
    finished: Path


def study(
    file: Path,
    out: Path = Path("runs/studies"),
    base: str = "configs/quickstart.yaml",
    args: str = "",
    seeds: str | None = None,
    checkpoint: Path | None = None,
    dry_run: bool = False,
) -> None:
    """Train and test the variants of a study: study configs/studies/ablation.yaml.

    What is done is left out, and a training that was interrupted is resumed from its last checkpoint; so it can be
    stopped at any time and started again. It ends in study.md, study.json and study.tex in its folder.

    Args:
        file: The study: title, variants, args, seeds, figures.
        out: Each study gets a folder of its own in it.
        base: The configuration that the variants differ from.
        args: More words for all runs, such as --args="--trainer.max_epochs=4 --data.batch_size=8".
        seeds: Others than those of the file, such as 0,1.
        checkpoint: Test this checkpoint instead of training; for studies whose variants differ in the test alone.
        dry_run: Print the commands only.
    """
    from ornament_lit.utils.files import check_folder

    plan = read_study(file)
    chosen = plan.seeds if seeds is None else parse_seeds(seeds)
    shared = ["--config", base, *plan.args, *shlex.split(args)]
    folder = out / file.stem
    if checkpoint is not None:
        check_untrained(plan)
        chosen = chosen[:1]
    tests = {name: [prepare(folder, plan, name, seed, shared, checkpoint) for seed in chosen] for name in plan.variants}
    if dry_run:
        for line in dict.fromkeys(shlex.join(run.words) for runs in tests.values() for pair in runs for run in pair):
            print(f"python -m ornament_lit {line}")
        return
    check_folder(folder)
    total = sum(len(runs) for runs in tests.values())
    number = 0
    for name, runs in tests.items():
        for pair in runs:
            number += 1
            print(f"[{number}/{total}] {name}: {pair[-1].folder}", flush=True)
            for run in pair:
                execute(run)
    summarise(folder, plan, {name: [pair[-1].folder for pair in runs] for name, runs in tests.items()})


def parse_seeds(text: str) -> tuple[int, ...]:
    """Numbers separated by commas."""
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise ValueError(f"--seeds must be numbers from 0, separated by commas, such as 0,1,2, got {text!r}")
    return tuple(map(int, words))


def check_untrained(plan: Study) -> None:
    """Check that variants differ in the test alone.

    Raises:
        ValueError: If one is trained otherwise.
    """
    trained = [name for name, variant in plan.variants.items() if variant.train]
    if trained:
        raise ValueError(f"--checkpoint is for studies without training, but {trained[0]!r} is trained in its own way")


def prepare(
    folder: Path, plan: Study, name: str, seed: int, shared: Sequence[str], checkpoint: Path | None
) -> list[Run]:
    """The training (if there is one) and the test of a variant with a seed."""
    variant = plan.variants[name]
    trained_as = next(other for other, entry in plan.variants.items() if entry.train == variant.train)
    trained = folder / slug(trained_as) / f"seed-{seed}"
    words = [*shared, *variant.train]
    runs = []
    if checkpoint is None:
        fit = ["fit", *words, f"--seed_everything={seed}", f"--data.init_args.seed={seed}", *logging_to(trained)]
        runs.append(Run(trained, fit, trained / DONE))
        checkpoint = trained / "checkpoints" / "last.ckpt"
    tested = folder / slug(name) / f"seed-{seed}"
    report = tested / "test"
    test = ["test", *words, *plan.test_args, *variant.test, f"--ckpt_path={checkpoint}", f"--report.folder={report}"]
    runs.append(Run(report, [*test, *logging_to(tested)], report / "report.json"))
    return runs


def logging_to(folder: Path) -> list[str]:
    """Words that make a folder the folder of a run."""
    logger = "--trainer.logger=lightning.pytorch.loggers.TensorBoardLogger"
    options = {"save_dir": folder.parent, "name": folder.name, "version": ""}
    return [logger, *(f"--trainer.logger.init_args.{name}={value}" for name, value in options.items())]


def execute(run: Run) -> None:
    """Run a command, or resume it, unless it is done.

    Raises:
        ValueError: If it fails, or the folder is of a run with other words.
    """
    from ornament_lit.utils.files import write_file

    note = run.folder / f"{run.words[0]}_words.json"
    if note.is_file() and json.loads(note.read_text(encoding="utf-8")) != run.words:
        raise ValueError(f"{run.folder} was made with other options; delete it, or choose another --out")
    if run.finished.is_file():
        return
    write_file(note, json.dumps(run.words).encode())
    last = run.folder / "checkpoints" / "last.ckpt"
    resumed = [f"--ckpt_path={last}"] if run.words[0] == "fit" and last.exists() else []
    command = [sys.executable, "-m", "ornament_lit", *run.words, *resumed]
    code = subprocess.run(command, check=False).returncode
    if code == 130:
        raise KeyboardInterrupt
    if code:
        raise ValueError(f"{run.words[0]} ended with {code}; see above, and start the study again to resume it")
    if run.words[0] == "fit":
        write_file(run.finished, json.dumps(run.words).encode())


def summarise(folder: Path, plan: Study, tested: dict[str, list[Path]]) -> None:
    """Write the table of a study."""
    from ornament_lit.reports import read_report
    from ornament_lit.reports.report import finite
    from ornament_lit.reports.study import latex_study, markdown_study, tabulate_study
    from ornament_lit.utils.files import write_file

    reports = {name: [read_report(path) for path in paths] for name, paths in tested.items()}
    table = tabulate_study(reports, plan.figures)
    write_file(folder / "study.md", markdown_study(plan.title, table, plan.figures).encode())
    write_file(folder / "study.tex", latex_study(table, plan.figures).encode())
    write_file(folder / "study.json", f"{json.dumps(finite(table), indent=1)}\n".encode())
    print(f"study: {folder / 'study.md'}")
