"""From a folder of shards to findings, index, tables and images."""

import csv
import io
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import track

from datamodules.checking.comparing import compare_index, find_repetitions
from datamodules.checking.examining import Examined, Measured, examine_shard
from datamodules.checking.findings import Finding
from datamodules.checking.histograms import draw_histograms
from datamodules.checking.statistics import QUANTITIES, summarize
from datamodules.checking.tables import counts_table, findings_table, quantiles_table
from datamodules.shards.contact_sheet import sheet_of_shards
from datamodules.shards.index import INDEX, read_index, write_index
from datamodules.storage.process_pool import available_cores, map_in_order
from ornament_lit.imaging.writing import save_image
from ornament_lit.utils.files import check_folder, write_file

REPORT = "check_report.csv"
SHEET = "contact_sheet.png"
LISTED = 50


def run_check(folder: Path, renew_index: bool, workers: int | None, sheet: Path | None) -> None:
    """Check a folder, write index, contact sheet and report where it can be written, and then print what is wrong.

    Raises:
        SystemExit: With 1, if anything is wrong.
        FileNotFoundError: If there is no shard.
        ValueError: If the index is to be renewed in a folder that cannot be written.
    """
    writable = is_writable(folder)
    if renew_index and not writable:
        raise ValueError(f"{folder} must be writable for a new {INDEX}; copy the shards, or leave --write-index out")
    examined = examine_folder(folder, workers)
    findings = [finding for shard in examined for finding in shard.findings]
    samples = [sample for shard in examined for sample in shard.samples]
    findings += find_repetitions(samples)
    wrong, written = _index(folder, examined, renew_index, writable)
    findings += wrong
    if samples and (sheet or writable):
        written.append(f"contact sheet: {_draw_sheet(folder, examined, sheet or folder / SHEET)}")
    if writable:
        _report(folder / REPORT, findings)
    else:
        written.append(f"{folder} cannot be written: what is new of {INDEX}, {SHEET} and {REPORT} is not there")
    _print(samples, len(examined), findings, written, folder / REPORT if writable else None)
    if findings:
        raise SystemExit(1)


def is_writable(folder: Path) -> bool:
    """Whether files can be made in a folder."""
    try:
        check_folder(folder)
    except OSError:
        return False
    return True


def run_stats(folder: Path, out: Path, workers: int | None) -> None:
    """Measure a folder, print tables, and write ``stats.json`` and ``stats.png``.

    Raises:
        FileNotFoundError: If there is no shard.
        ValueError: If not one sample can be read.
    """
    samples = [sample for shard in examine_folder(folder, workers) for sample in shard.samples]
    if not samples:
        raise ValueError(f"{folder} must hold at least one sample that can be read, got none; run data check")
    summary = summarize(samples)
    console = Console(soft_wrap=True, highlight=False)
    console.print(counts_table(summary))
    for name, title in QUANTITIES.items():
        console.print(quantiles_table(summary, name, title))
    console.print(f"{summary['correspondence']:.0%} of the samples have a correspondence")
    out.mkdir(parents=True, exist_ok=True)
    write_file(out / "stats.json", (json.dumps(summary, indent=1) + "\n").encode())
    save_image(draw_histograms(summary["quantities"], QUANTITIES), out / "stats.png", {})
    console.print(f"{out / 'stats.json'}\n{out / 'stats.png'}", markup=False)


def examine_folder(folder: Path, workers: int | None = None) -> list[Examined]:
    """Examine all shards of a folder, in the order of their names.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If there are less than 1 workers.
    """
    paths = sorted(folder.glob("*.tar"))
    if not paths:
        raise FileNotFoundError(f"{folder} must be a folder with shards (*.tar), there is none")
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    console = Console(stderr=True)
    with closing(map_in_order(examine_shard, paths, min(workers or available_cores(), len(paths)))) as results:
        return list(track(results, "reading shards", len(paths), console=console, disable=not console.is_terminal))


def _index(folder: Path, examined: Sequence[Examined], renew: bool, writable: bool) -> tuple[list[Finding], list[str]]:
    """Compare the index, or write it where there is none, it can be written and every shard can be read.

    Returns:
        What is wrong, and what was written.
    """
    entries = {shard.entry.name: shard.entry for shard in examined}
    if (folder / INDEX).exists() and not renew:
        try:
            return list(compare_index(read_index(folder), entries)), []
        except ValueError as error:
            return [Finding(INDEX, "", "index", str(error))], []
    damaged = [shard.entry.name for shard in examined if any(f.rule == "unreadable_shard" for f in shard.findings)]
    if damaged:
        value = f"is not written, because {damaged[0]} cannot be read to its end"
        return [Finding(INDEX, "", "index", value)], []
    return [], [f"index written: {write_index(folder, entries.values())}"] if writable else []


def _draw_sheet(folder: Path, examined: Sequence[Examined], path: Path) -> Path:
    """Draw some of the good samples."""
    entries = []
    for shard in examined:
        good = {sample.key for sample in shard.samples}
        rows = tuple(row for row in shard.entry.samples if row.key in good)
        entries.append(replace(shard.entry, samples=rows))
    save_image(sheet_of_shards(folder, entries, 24), path, {})
    return path


def _report(path: Path, findings: Sequence[Finding]) -> None:
    """Write the report, or take an old one away where nothing is wrong."""
    if findings:
        write_file(path, _as_csv(findings).encode(errors="backslashreplace"))
    else:
        path.unlink(missing_ok=True)


def _print(
    samples: Sequence[Measured], shards: int, findings: Sequence[Finding], written: Sequence[str], report: Path | None
) -> None:
    console = Console(soft_wrap=True, highlight=False)
    if samples:
        console.print(counts_table(summarize(samples)))
    console.print(*written, sep="\n", end="\n" if written else "", markup=False)
    if not findings:
        console.print(f"{len(samples)} samples in {shards} shards: all good")
        return
    console.print(findings_table(findings))
    console.print("\n".join(map(str, findings[: LISTED if report else None])), markup=False)
    listed = f", all listed in {report}" if report else ""
    console.print(f"{len(findings)} findings in {shards} shards{listed}", markup=False)


def _as_csv(findings: Sequence[Finding]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Finding._fields)
    writer.writerows(findings)
    return text.getvalue()
