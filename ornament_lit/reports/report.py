"""Report: the figures of a test with its protocol, in a folder of files.

``report.json`` holds everything, the values of each sample included; ``report.md`` and ``report.tex`` are made from it.
Features that distances between distributions need (FID, KID) lie beside it as ``features_COLUMN.safetensors``.

Shape legend: n samples, D feature channels.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ornament_lit.metrics import FID, KID
from ornament_lit.metrics.bootstrap import DEFAULT, Floats, Resampling
from ornament_lit.metrics.measured import FeatureSets, Measured, SampleScores
from ornament_lit.metrics.table import Table, tabulate
from ornament_lit.reports.latex import latex_table
from ornament_lit.reports.markdown import markdown_report
from ornament_lit.utils.files import write_file

FORMAT = "ornament_lit-report/2"
NAME = "report.json"
DISTANCES: dict[str, Callable[[Floats, Floats], float]] = {"FID": FID.distance, "KID": KID.distance}


@dataclass(frozen=True)
class Report:
    """What was measured, and how.

    Attributes:
        protocol: What somebody needs to know to get the same numbers: sections of entries that JSON can hold.
        measured: What ``compute`` of each metric gave.
        resampling: How the intervals are made.
    """

    protocol: Mapping[str, Any]
    measured: Sequence[Measured]
    resampling: Resampling = DEFAULT

    def table(self) -> Table:
        """Figures for all samples and each type, with their intervals."""
        return tabulate(self.measured, self.resampling)


def write_report(folder: Path, report: Report, images: Mapping[str, str] | None = None) -> None:
    """Write the files of a report; each is written aside and renamed, ``report.json`` the last.

    Args:
        folder: Made if needed.
        report: The report.
        images: Titles by the names of images in the folder, shown in ``report.md``.
    """
    table = report.table()
    for one in report.measured:
        if isinstance(one, FeatureSets):
            tensors = {
                "generated": np.ascontiguousarray(one.generated),
                "ground_truth": np.ascontiguousarray(one.ground_truth),
            }
            write_file(folder / _features(one.columns[0]), save(tensors))
    write_file(folder / "report.md", markdown_report(report.protocol, table, images or {}).encode())
    write_file(folder / "report.tex", latex_table(table).encode())
    document = {
        "format": FORMAT,
        "protocol": report.protocol,
        "resampling": report.resampling._asdict(),
        "table": table,
        "measured": [_to_dict(one) for one in report.measured],
    }
    write_file(folder / NAME, f"{json.dumps(finite(document), indent=1)}\n".encode())


def read_report(path: str | Path) -> Report:
    """Read a report.

    Args:
        path: Its folder, or ``report.json`` in it.

    Raises:
        FileNotFoundError: If there is none, or a file of features is absent.
        ValueError: If it is not a report of this package, or damaged.
    """
    file = Path(path) / NAME if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no report in {path}; `python -m ornament_lit test` writes one")
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise ValueError(f"expected {FORMAT}, got {document['format']!r}")
        measured = [_from_dict(entry, file.parent) for entry in document["measured"]]
        return Report(document["protocol"], measured, Resampling(**document["resampling"]))
    except (ValueError, TypeError, KeyError, AttributeError, SafetensorError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{file} is not a report of this version, or damaged ({reason}); make it anew") from error


def _features(column: str) -> str:
    return f"features_{column}.safetensors"


def _to_dict(measured: Measured) -> dict[str, Any]:
    if isinstance(measured, SampleScores):
        return {"kind": "scores", **measured.to_dict()}
    assert isinstance(measured, FeatureSets)
    distance = next(name for name, function in DISTANCES.items() if function is measured.distance)
    identity = {"keys": list(measured.keys), "categories": list(measured.categories)}
    return {"kind": "features", "column": measured.columns[0], "distance": distance, **identity}


def _from_dict(entry: Mapping[str, Any], folder: Path) -> Measured:
    if entry["kind"] == "scores":
        return SampleScores.from_dict(entry)
    column = entry["column"]
    tensors = load_file(folder / _features(column))
    distance = DISTANCES[entry["distance"]]
    return FeatureSets(
        entry["keys"], entry["categories"], column, tensors["generated"], tensors["ground_truth"], distance
    )


def finite(value: Any) -> Any:  # noqa: ANN401
    """The same structure for JSON: named tuples as mappings, None for what is not a finite number."""
    if isinstance(value, Mapping):
        return {name: finite(entry) for name, entry in value.items()}
    if hasattr(value, "_asdict"):
        return finite(value._asdict())
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
