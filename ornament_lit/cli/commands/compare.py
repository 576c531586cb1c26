"""The command ``compare``: two reports, sample by sample."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ornament_lit.reports.comparison import Difference


def compare(
    first: Path,
    second: Path,
    output: Path | None = None,
    resamples: int = 2000,
    halves: int = 0,
    confidence: float = 0.95,
) -> None:
    """Compare two reports of `test` by paired bootstrap: compare A B.

    Each figure that both have is compared over the samples that both have, overall and for each type. A report is
    called better where the interval of the difference leaves 0 out. Protocols that differ in more than the model are
    told: then the figures should not be compared.

    Args:
        first: Folder of a report, or its report.json.
        second: The other one.
        output: Write the comparison as Markdown, too.
        resamples: Resamples for the intervals of means.
        halves: Random halves for the intervals of FID and KID; 0 for none.
        confidence: Share of the resamples within the intervals.
    """
    from ornament_lit.metrics.bootstrap import Resampling, check_resampling
    from ornament_lit.reports import compare_reports, read_report
    from ornament_lit.reports.comparison import markdown_comparison, protocol_differences
    from ornament_lit.utils.files import check_file, write_file

    resampling = Resampling(resamples, halves, confidence)
    check_resampling(resampling)
    if output is not None:
        check_file(output)
    before, after = read_report(first), read_report(second)
    differences = compare_reports(before, after, resampling)
    differing = protocol_differences(before, after)
    for line in differing:
        print(f"the protocols differ in {line}", file=sys.stderr)
    print_comparison(differences, str(first), str(second))
    if output is not None:
        warnings = "".join(f"- the protocols differ in {line}\n" for line in differing)
        heading = f"# {first} (first) and {second} (second)\n"
        write_file(output, f"{heading}\n{warnings}\n{markdown_comparison(differences)}\n".encode())
        print(f"comparison: {output}")


def print_comparison(differences: list["Difference"], first: str, second: str) -> None:
    """Show a comparison as a table."""
    from rich.console import Console
    from rich.table import Table

    from ornament_lit.reports.comparison import HEADER, comparison_rows

    table = Table(title=f"first: {first}\nsecond: {second}")
    for number, column in enumerate(HEADER):
        table.add_column(column, justify="right" if 2 <= number < len(HEADER) - 1 else "left")
    for row in comparison_rows(differences):
        table.add_row(*row)
    Console().print(table)
