"""The course of ``bench``: what is measured in which order, and what is said of what cannot be."""

import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ornament_lit.cli.commands.bench_options import BenchOptions
from ornament_lit.cli.commands.bench_parts import BenchCLI, probe, quieten
from ornament_lit.profiling.batches import with_size
from ornament_lit.profiling.memory import GIB, clear, free_memory
from ornament_lit.profiling.report import to_json, to_text
from ornament_lit.profiling.session import Session
from ornament_lit.profiling.steps import take_steps
from ornament_lit.utils.files import check_file, write_file

SHARE_OF_FREE = 0.9
Say = Callable[[str], None]


def run(options: BenchOptions, words: Sequence[str]) -> None:
    """Measure a configuration, print the figures and write them.

    Args:
        options: See :class:`BenchOptions`.
        words: Words of a training run.

    Raises:
        ValueError: If the configuration is wrong or there is no CUDA device.
        OSError: If the figures cannot be written.
    """
    if options.output is not None:
        check_file(options.output)
    device = choose_device(options.device)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    cli = BenchCLI(words, options.random_weights)
    quieten()
    with progress() as say:
        session = measure(cli, options, words, device, say)
    about = describe(cli, words, device)
    print(to_text(session.figures, about))
    if options.output is not None:
        write_file(options.output, to_json(session.figures, about))
        print(f"written: {options.output}")


def measure(cli: BenchCLI, options: BenchOptions, words: Sequence[str], device: torch.device, say: Say) -> Session:
    """Measure figure by figure."""
    data, epoch_samples, missing = (None, None, "--no_data") if options.no_data else open_data(cli)
    if epoch_samples is None:
        epoch_samples = cli.config.data.init_args.get("samples_per_epoch")
    session = Session(cli.subject(epoch_samples), device)
    if data is None:
        session.note("loader", None, note=f"not measured: {missing}")
    else:
        say("data loader alone")
        session.loader(data, cli.config.data.init_args.get("num_workers", 0), options.seconds)
    say("counting FLOPs")
    session.flops()
    say("matrix products")
    session.peak(options.seconds)
    if options.steps:
        time_steps(session, options, say)
    session.share_of_peak()
    session.margin()
    find_largest(session, cli, options, words, say)
    session.estimate()
    return session


def open_data(cli: BenchCLI) -> tuple[Any, int | None, str]:
    """The training loader and the samples of its epoch; or None, and why there is none."""
    try:
        data = cli.build_data()
        data.prepare_data()
        data.setup("fit")
        loader = data.train_dataloader()
        return loader, len(loader) * cli.config.data.init_args.batch_size, ""
    except OSError as error:
        return None, None, str(error).partition("\n")[0]


def time_steps(session: Session, options: BenchOptions, say: Say) -> None:
    """Take steps, and tell how far they are."""
    done, total = 0, options.steps + options.warm_up

    def advance() -> None:
        nonlocal done
        done += 1
        say(f"training steps {done}/{total}")

    say(f"training steps 0/{total}")
    took = session.steps(options.steps, options.warm_up, advance)
    session.note("loss", took.losses[-1], note=f"after {len(took.losses)} steps; {took.losses[0]:.4g} in the first one")


def find_largest(session: Session, cli: BenchCLI, options: BenchOptions, words: Sequence[str], say: Say) -> None:
    """Look for the largest batch where that is wanted."""
    on_gpu = session.device.type == "cuda"
    if not (on_gpu if options.largest_batch is None else options.largest_batch):
        note = "on a CPU it is looked for with --largest_batch=true only" if not on_gpu else "--largest_batch=false"
        return session.note("largest_batch", None, note=note)
    clear(session.device)
    free = free_memory(session.device)
    if options.memory_limit is None and free is None:
        return session.note("largest_batch", None, note="this system does not tell its free memory; set --memory_limit")
    limit = options.memory_limit * GIB if options.memory_limit is not None else SHARE_OF_FREE * (free or 0)

    def try_size(size: int) -> int | None:
        say(f"largest batch: {size}")
        return on_device(session, size) if on_gpu else in_process(words, options.random_weights, size)

    try:
        session.largest(try_size, int(limit), 1 if on_gpu else session.subject.batch_size)
    except ValueError as error:
        session.note("largest_batch", None, note=str(error))


def on_device(session: Session, size: int) -> int | None:
    """Peak memory of two steps on the GPU; None where it is too little."""
    subject = session.subject
    clear(session.device)
    try:
        module = subject.build(session.device)
        batch = with_size(session.batch, size)
        return take_steps(module, batch, subject.recipe, session.device, 1, 1, subject.callbacks()).peak
    except torch.cuda.OutOfMemoryError:
        return None


def in_process(words: Sequence[str], random_weights: bool, size: int) -> int | None:
    """Peak memory of two steps in a process of its own; None where the system has killed it."""
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(probe, list(words), random_weights, size, torch.get_num_threads()).result()
    except BrokenProcessPool:
        return None


def choose_device(name: str) -> torch.device:
    """The device that is asked for.

    Raises:
        ValueError: If there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is cuda, but torch finds no CUDA device here; give --device cpu")
    return torch.device("cuda" if name == "auto" and torch.cuda.is_available() else name.replace("auto", "cpu"))


def describe(cli: BenchCLI, words: Sequence[str], device: torch.device) -> dict[str, Any]:
    """What was measured, and where."""
    on_gpu = device.type == "cuda"
    where = torch.cuda.get_device_name(device) if on_gpu else f"CPU, {torch.get_num_threads()} threads"
    data = cli.config.data.init_args
    return {
        "configuration": " ".join(words),
        "device": f"{where} ({platform.machine()}, torch {torch.__version__})",
        "training": f"{data.resolution} px, {data.batch_size} a batch, {cli.recipe().precision}",
        "weights": "random" if cli.random_weights else "as configured",
    }


@contextmanager
def progress() -> Iterator[Say]:
    """A line on stderr that tells what is being measured."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("building", total=None)
        yield lambda text: bar.update(task, description=text)
