"""From a folder of shards to findings, index, tables and pictures."""

import csv
import io
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.progress import track

from datamodules.checking.comparing import compare_index, find_repetitions
from datamodules.checking.examining import Examined, examine_shard
from datamodules.checking.findings import Finding
from datamodules.checking.histograms import draw_histograms
from datamodules.checking.statistics import QUANTITIES, summarize
from datamodules.checking.tables import counts_table, findings_table, quantiles_table
from datamodules.contact_sheet import sheet_of_shards
from datamodules.index import INDEX, read_index, write_index
from datamodules.processes import available_cores, map_in_order
from ornament_lit.files import write_file
from ornament_lit.pictures import save_picture

REPORT = "check_report.csv"
SHEET = "contact_sheet.png"
LISTED = 50


def run_check(folder: Path, renew_index: bool, workers: int | None, sheet: Path | None) -> None:
    """Check a folder and print what is wrong.

    Raises:
        SystemExit: With 1, if anything is wrong.
        FileNotFoundError: If there is no shard.
    """
    examined = examine_folder(folder, workers)
    findings = [finding for shard in examined for finding in shard.findings]
    samples = [sample for shard in examined for sample in shard.samples]
    findings += find_repetitions(samples)
    console = Console(soft_wrap=True, highlight=False)
    console.print(counts_table(summarize(samples)))
    findings += _index(folder, examined, renew_index, console)
    if samples:
        path = sheet or folder / SHEET
        sheet_of_shards(folder, [shard.entry for shard in examined], 24).save(path)
        console.print(f"contact sheet: {path}")
    report = folder / REPORT
    if not findings:
        report.unlink(missing_ok=True)
        console.print(f"{len(samples)} samples in {len(examined)} shards: all good")
        return
    write_file(report, _as_csv(findings).encode())
    console.print(findings_table(findings))
    console.print("\n".join(map(str, findings[:LISTED])), markup=False)
    console.print(f"{len(findings)} findings in {len(examined)} shards, all listed in {report}", markup=False)
    raise SystemExit(1)


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
    save_picture(draw_histograms(summary["quantities"], QUANTITIES), out / "stats.png", {})
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


def _index(folder: Path, examined: Sequence[Examined], renew: bool, console: Console) -> list[Finding]:
    """Compare the index, or write it where there is none and every shard can be read."""
    entries = {shard.entry.name: shard.entry for shard in examined}
    if (folder / INDEX).exists() and not renew:
        try:
            return list(compare_index(read_index(folder), entries))
        except ValueError as error:
            return [Finding(INDEX, "", "index", str(error))]
    damaged = [shard.entry.name for shard in examined if any(f.rule == "unreadable_shard" for f in shard.findings)]
    if damaged:
        return [Finding(INDEX, "", "index", f"is not written, because {damaged[0]} cannot be read to its end")]
    console.print(f"index written: {write_index(folder, entries.values())}", markup=False)
    return []


def _as_csv(findings: Sequence[Finding]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Finding._fields)
    writer.writerows(findings)
    return text.getvalue()
