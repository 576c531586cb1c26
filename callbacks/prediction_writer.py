"""PredictionWriter: what ``predict`` generates, as files."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter

from callbacks.run_folder import run_folder
from ornament_lit.batch import TryOnBatch
from ornament_lit.imaging.crops import tensor_to_image, tensor_to_mask
from ornament_lit.imaging.writing import encode_png
from ornament_lit.utils.files import check_folder, write_file

if TYPE_CHECKING:
    from ornament_lit.module import TryOnModule

RESULTS = "results.jsonl"
CARD = "predict.json"
LONGEST_NAME = 120


class PredictionWriter(BasePredictionWriter):
    """Write what ``predict`` generates: ``images/KEY.png``, ``masks/KEY.png`` and a line of ``results.jsonl`` a sample.

    A run that is resumed in the same folder leaves out the samples whose files are there. Any number of processes can
    write; each notes its samples in a file of its own, and the first one puts them together at the end. The images
    are the crops as they were generated, not pasted back into the photographs.

    Args:
        folder: Where the files go; null for ``predictions`` in the run's folder.

    Raises:
        ValueError: When a run starts, if the folder cannot be written, or holds predictions of another checkpoint or
            sampler.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Write after each batch."""
        super().__init__(write_interval="batch")
        self.folder = folder
        self._folder = Path()
        self._rank = 0

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the folder, and tell the module what is done."""
        self._folder = self.folder or run_folder(trainer) / "predictions"
        self._rank = trainer.global_rank
        module = cast("TryOnModule", pl_module)
        fault = _begin(self._folder, _card(trainer, module)) if trainer.is_global_zero else ""
        fault = trainer.strategy.broadcast(fault)
        if fault:
            raise ValueError(fault)
        module.completed_keys = set(read_results(self._folder))
        trainer.strategy.barrier("predictions are read")

    def write_on_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        prediction: Mapping[str, Any],
        batch_indices: Sequence[int] | None,
        batch: TryOnBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the images and masks of a batch, and then its lines."""
        categories = dict(zip(batch["key"], batch["category"], strict=True))
        seeds = dict(zip(batch["key"], batch["sample_seed"].tolist(), strict=True))
        lines = []
        for key, image, mask in zip(prediction["key"], prediction["image"], prediction["mask"], strict=True):
            name = f"{safe_name(key)}.png"
            write_file(self._folder / "images" / name, encode_png(tensor_to_image(image)))
            write_file(self._folder / "masks" / name, encode_png(tensor_to_mask(mask)))
            files = {"image": f"images/{name}", "mask": f"masks/{name}"}
            lines.append({"key": key, "category": categories[key], "seed": seeds[key], **files})
        _append(self._folder / _part(self._rank), lines)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the lines of all processes together, sorted by key."""
        cast("TryOnModule", pl_module).completed_keys = set()
        trainer.strategy.barrier("predictions are written")
        if trainer.is_global_zero:
            results = read_results(self._folder)
            content = "".join(f"{json.dumps(results[key])}\n" for key in sorted(results))
            write_file(self._folder / RESULTS, content.encode())
            for path in self._folder.glob(_part("*")):
                path.unlink()
            print(f"{len(results)} predictions: {self._folder}")


def safe_name(key: str) -> str:
    """Name of a file for any key: letters, digits and ``_-~.`` stay, the rest is written as in URLs.

    A long name is cut, and gets the beginning of the key's SHA-256 instead.
    """
    name = quote(key, safe="")
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 17]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Lines by key of all samples whose files are there; a line that was cut off counts as not written."""
    results: dict[str, dict[str, Any]] = {}
    for path in (folder / RESULTS, *sorted(folder.glob(_part("*")))):
        if not path.is_file():
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = _parse(line)
            if entry and (folder / entry["image"]).is_file() and (folder / entry["mask"]).is_file():
                results[entry["key"]] = entry
    return results


def _part(rank: int | str) -> str:
    return f"results.rank-{rank}.jsonl"


def _parse(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and {"key", "image", "mask"} <= set(entry) else None


def _append(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Append lines; what an interrupted write has left is ended before."""
    content = "".join(f"{json.dumps(line)}\n" for line in lines)
    with path.open("a+b") as file:
        file.seek(0, os.SEEK_END)
        if file.tell():
            file.seek(-1, os.SEEK_END)
            content = content if file.read(1) == b"\n" else f"\n{content}"
        file.write(content.encode())


def _card(trainer: Trainer, module: "TryOnModule") -> dict[str, Any]:
    """What all predictions in a folder have in common."""
    from ornament_lit.checkpointing.serialization import describe
    from ornament_lit.utils.files import file_hash

    checkpoint, weights = trainer.ckpt_path, getattr(module, "weights_from", {})
    return {
        "checkpoint": Path(checkpoint).name if checkpoint else weights.get("file"),
        "sha256": file_hash(checkpoint) if checkpoint else weights.get("sha256"),
        "sampler": describe(module.sampler),
    }


def _begin(folder: Path, card: Mapping[str, Any]) -> str:
    """Begin a folder or resume in it; what is wrong with it, or nothing."""
    try:
        check_folder(folder)
    except OSError as error:
        return str(error)
    path = folder / CARD
    if path.is_file():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        differing = [name for name in card if name != "checkpoint" and earlier.get(name) != card[name]]
        if differing:
            return (
                f"the predictions in {folder} were made with another {' and '.join(differing)}; choose another "
                "folder by --prediction_writer.folder, or delete it"
            )
        return ""
    write_file(path, f"{json.dumps(card, indent=2)}\n".encode())
    return ""
