"""``validate``, ``test`` and ``predict`` with the weights of a pipeline: ``--ckpt_path bundled:small``, or a folder."""

from pathlib import Path
from typing import Any

from callbacks import InitialWeights
from ornament_lit.checkpointing.resume import AUTO
from ornament_lit.module import TryOnModule
from ornament_lit.pipeline.serialization import INDEX, WEIGHTS, read_index
from ornament_lit.utils.bundled import weights_path
from ornament_lit.utils.files import file_hash


def take_pipeline(command: str, module: TryOnModule, options: dict[str, Any]) -> None:
    """Where ``ckpt_path`` names a pipeline, put its weights into the module instead.

    Args:
        command: ``fit``, ``validate``, ``test`` or ``predict``.
        module: Has the same parts.
        options: With ``ckpt_path``, which becomes None then.

    Raises:
        FileNotFoundError: If no weights of that name ship.
        ValueError: If a training shall resume from it, or its parts are others.
    """
    named = options.get("ckpt_path")
    if named in (None, AUTO) or not (weights_path(named) / INDEX).is_file():
        return
    if command == "fit":
        raise ValueError(
            f"a training resumes from a checkpoint, got the pipeline {named}; to begin from its weights, give "
            f"--trainer.callbacks+=InitialWeights --trainer.callbacks.checkpoint={named}"
        )
    folder = weights_path(named)
    InitialWeights(folder).load(module)
    settings = read_index(folder)["settings"]
    module.steps_taken = settings["steps_taken"]
    module.weights_from = {
        "file": str(named) if folder != Path(named) else folder.name,
        "sha256": file_hash(folder / WEIGHTS),
        "step": settings["steps_taken"],
        "weights": settings["source"].get("weights", "unknown"),
        **{name: settings["source"][name] for name in ("published", "licence") if name in settings["source"]},
    }
    options["ckpt_path"] = None
