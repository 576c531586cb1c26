"""What a session keeps of a training: a slim checkpoint, and the curves.

``python -m benchmarks.gpu.collect RUN OUT`` with the folder of a run and the folder of the results.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ornament_lit.checkpointing.state import read_checkpoint

POINTS = 1000
KEPT = ("epoch", "global_step", "pytorch-lightning_version", "hyper_parameters", "crop_settings")


def slim(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint with its averaged weights in half precision and without the state of optimizer and callbacks.

    ``try-on``, ``export``, ``test`` and `InitialWeights` take it as they take the whole one; a training cannot resume
    from it.
    """
    weights: dict[str, Tensor] = checkpoint["state_dict"]
    halves = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
    kept = {name: checkpoint[name] for name in KEPT if name in checkpoint}
    return {**kept, "state_dict": halves, "callbacks": {}}


def curves(folder: Path) -> dict[str, dict[str, list[float]]]:
    """Steps and values of all scalars that a run has logged to TensorBoard, at most :data:`POINTS` of each."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 1})
    events.Reload()
    found = {}
    for tag in events.Tags()["scalars"]:
        points = events.Scalars(tag)
        points = points[:: -(-len(points) // POINTS)]
        found[tag] = {"step": [point.step for point in points], "value": [point.value for point in points]}
    return found


def main(run: Path, out: Path) -> None:
    """Write ``small.ckpt`` and ``curve.json``."""
    torch.save(slim(read_checkpoint(run / "checkpoints" / "last.ckpt")), out / "small.ckpt")
    (out / "curve.json").write_text(json.dumps(curves(run)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
