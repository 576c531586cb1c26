"""Train and measure on one large GPU within minutes: ``benchmarks/gpu/run.sh``.

Only the standard library is imported here; what needs more runs in processes of its own, each with an end.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gpu import packages
from benchmarks.gpu.parts import Outcome, Part, bench_words, comparisons, fit_words, look_words, run_part

PARTS = ("train", "bench", "compare")
FILES, MIB_EACH = 8, 16
MIB = 2**20
LAST = 15.0
"""Seconds that are left at the end for writing."""
START = 45.0
"""Seconds that a training takes before its first step."""
AFTER = 75.0
"""Seconds for validation and images after the training."""
BENCH = 130.0
RESULTS = {
    "train": ("small.ckpt", "curve.json", "report.png"),
    "bench": ("bench.json",),
    "compare": ("comparisons.json",),
}
"""What the parts leave; the first one is there if a part has done anything."""


@dataclass
class Session:
    """A session and what it has found out so far.

    Attributes:
        options: Words of the command line.
        work: Folder for runs and logs, which is left behind nowhere.
        deadline: When all must be over, on the monotonic clock.
        environment: Variables of all parts.
        outcomes: How the parts ended.
    """

    options: argparse.Namespace
    work: Path
    deadline: float
    environment: dict[str, str]
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.deadline - time.monotonic()

    def run(self, name: str, words: list[str], seconds: float, **environment: str) -> Outcome:
        """Run a part within its time and that of the session, and keep how it ended."""
        limit = min(seconds, self.left)
        print(f"{name}: {max(limit, 0):.0f} s at most", flush=True)
        log = self.work / f"{len(self.outcomes):02d}.log"
        outcome = run_part(Part(name, words, limit, environment), log, self.environment)
        print(f"{name}: {outcome.status} after {outcome.seconds:.0f} s", flush=True)
        self.outcomes.append(outcome)
        return outcome

    def write(self, name: str, content: Any) -> None:  # noqa: ANN401
        """Write a JSON file of the results."""
        (self.options.out / name).write_text(json.dumps(content, indent=1) + "\n")


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    here, environment = Path(__file__).parent, os.environ
    parser = argparse.ArgumentParser(prog="benchmarks/gpu/run.sh", description=__doc__)
    parser.add_argument("--minutes", type=float, default=9.0, help="when all must be over")
    parser.add_argument("--out", type=Path, default=Path(environment.get("OUT", "gpu_results")))
    parser.add_argument("--wheels", type=Path, default=Path(environment.get("WHEELS", here / "wheels")))
    parser.add_argument("--parts", default=",".join(PARTS), help="some of train, bench, compare, with commas")
    parser.add_argument("--train_shards", help="other shards than the bundled ones, as data.train_shards takes them")
    parser.add_argument("--dry-run", action="store_true", help="all of it on a CPU, in tiny sizes")
    options = parser.parse_args(words)
    options.parts = options.parts.split(",")
    unknown = sorted(set(options.parts) - set(PARTS))
    if unknown:
        parser.error(f"--parts may name {', '.join(PARTS)}, got {', '.join(unknown)}")
    if options.minutes <= 0:
        parser.error(f"--minutes must be above 0, got {options.minutes}")
    return options


def main() -> int:
    """Run the session; 0 if all that was asked for has results."""
    started, options = time.monotonic(), parse()
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in (name for part in options.parts for name in RESULTS[part]):
        (options.out / name).unlink(missing_ok=True)  # of an earlier session
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        environment = prepare(options, work)
        session = Session(options, work, started + 60 * options.minutes - LAST, environment)
        machine(session)
        if "train" in options.parts:
            train(session)
        if "bench" in options.parts:
            limit = session.left / 2 if options.dry_run else BENCH
            session.run("bench", bench_words(options.out / "bench.json", options.dry_run), limit)
        if "compare" in options.parts:
            compare(session)
        report(session)
    return check(session)


def prepare(options: argparse.Namespace, work: Path) -> dict[str, str]:
    """Install the wheels that are missing.

    Returns:
        Variables of the environment for all parts.

    Raises:
        SystemExit: If something is missing still.
    """
    site = work / "site"
    installed = packages.install(options.wheels, site)
    print(f"installed {len(installed)} wheels: {', '.join(installed) or 'nothing was missing'}", flush=True)
    sys.path.insert(0, str(site))
    missing = packages.unmet(packages.own_requirements())
    if missing:
        sys.exit(
            f"missing here: {', '.join(missing)}; carry their wheels in {options.wheels} (benchmarks/gpu/wheels.sh)"
        )
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "150"}
    return {**os.environ, **offline, "PYTHONPATH": path}


def machine(session: Session) -> None:
    """Write what the machine is; a session that is no dry run needs a GPU.

    Raises:
        SystemExit: If there is none.
    """
    outcome = session.run("machine", ["-m", "benchmarks.gpu.machine"], session.left if session.options.dry_run else 60)
    if outcome.status != "done":
        sys.exit(f"the machine cannot be described:\n{outcome.output}")
    found = json.loads(outcome.output.strip().splitlines()[-1])
    session.write("machine.json", found)
    if found["gpu"] is None and not session.options.dry_run:
        sys.exit("torch finds no CUDA device here; --dry-run does all of it on a CPU")


def train(session: Session) -> None:
    """Train, keep the averaged weights and the curves, validate and draw."""
    options, runs = session.options, session.work / "runs"
    run, out, after = runs / "small", options.out, session.left / 4 if options.dry_run else AFTER
    alone = options.parts == ["train"]
    seconds = (session.left - after) * (1.0 if alone else 0.5)
    words = fit_words(runs, options.dry_run, options.train_shards, seconds - START)
    outcome = session.run("train", words, seconds)
    last = run / "checkpoints" / "last.ckpt"
    rest = seconds - outcome.seconds
    if outcome.status == "failed" and not last.exists() and rest > 2 * START and not options.dry_run:
        words = fit_words(runs, False, options.train_shards, rest - START)
        session.run("train without compiling", words, rest, TORCH_COMPILE_DISABLE="1")
    if not last.exists():
        return
    collected = session.run("collect", ["-m", "benchmarks.gpu.collect", str(run), str(out)], after / 2)
    if collected.status != "done":
        return
    looked = session.work / "look"
    words = look_words(looked, options.dry_run, options.train_shards, out / "small.ckpt")
    session.run("validate", words, after)
    image, result = looked / "small" / "grid.png", looked / "small" / "result.json"
    if image.exists():
        shutil.copy(image, out / "report.png")
    if result.exists():
        curves = json.loads((out / "curve.json").read_text())
        session.write("curve.json", {"result": json.loads(result.read_text()), "curves": curves})


def compare(session: Session) -> None:
    """Run the comparisons while there is time, and write each as soon as it is there."""
    found = []
    for name, words, seconds in comparisons(session.options.dry_run):
        found.append(session.run(name, words, seconds).to_dict())
        session.write("comparisons.json", found)


def report(session: Session) -> None:
    """Write what was run, how it ended, and what it printed last."""
    lines = ["# Session on a GPU" if not session.options.dry_run else "# Dry run: the figures mean nothing", ""]
    lines += ["| part | seconds | how it ended | exit status |", "|---|---|---|---|"]
    lines += [f"| {one.name} | {one.seconds:.0f} | {one.status} | {one.returncode} |" for one in session.outcomes]
    for one in session.outcomes:
        lines += ["", f"## {one.name}", f"`{one.command}`", "```", one.output.strip()[-4000:], "```"]
    (session.options.out / "report.md").write_text("\n".join(lines) + "\n")


def check(session: Session) -> int:
    """Check that the results can be carried away; 1 if not, or if a part has no result."""
    files = sorted(path for path in session.options.out.iterdir() if path.is_file())
    large = [path.name for path in files if path.stat().st_size > MIB_EACH * MIB]
    for path in files:
        print(f"{path.stat().st_size / MIB:7.2f} MiB  {path}")
    if large or len(files) > FILES:
        print(f"results must be {FILES} files of {MIB_EACH} MiB each at most, got {len(files)}, too large: {large}")
        return 1
    absent = [part for part in session.options.parts if not (session.options.out / RESULTS[part][0]).exists()]
    if absent:
        print(f"no result of {', '.join(absent)}: report.md says why")
    return 1 if absent else 0


if __name__ == "__main__":
    sys.exit(main())
