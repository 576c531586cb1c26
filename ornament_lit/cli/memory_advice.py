"""What to do when the memory of a GPU is too small."""

from typing import Any

import torch
from lightning.pytorch import Trainer

GIB = 2**30


def explain_out_of_memory(command: str, data: Any, trainer: Trainer) -> str:  # noqa: ANN401
    """Say what was asked of the GPU and how to ask for less.

    Args:
        command: ``fit``, ``validate``, ``test`` or ``predict``.
        data: The data module, with ``resolution``, ``batch_size`` and ``val_batch_size``.
        trainer: Tells the precision and how many batches make a step.

    Returns:
        One line.
    """
    name = "batch_size" if command == "fit" else "val_batch_size"
    size = int(getattr(data, name))
    asked = f"{name} {size} at {data.resolution} pixels, precision {trainer.precision}"
    ways = _ways_to_train(size, trainer) if command == "fit" else [f"--data.val_batch_size={max(1, size // 2)}"]
    if trainer.precision in ("32-true", "16-mixed"):
        ways.append("--trainer.precision=bf16-mixed")
    ways.append("fewer pixels (--data.resolution)")
    return f"the GPU has too little memory for {asked}{_memory()}; ways out: {', '.join(ways)}"


def _ways_to_train(size: int, trainer: Trainer) -> list[str]:
    ways = []
    if size > 1:
        batches = trainer.accumulate_grad_batches * 2
        smaller = f"--data.batch_size={size // 2} --trainer.accumulate_grad_batches={batches}"
        ways.append(f"{smaller}{' (the same step)' if size % 2 == 0 else ''}")
    ways.append("--model.denoiser.gradient_checkpointing=true (and of the reference net)")
    ways.append("python -m ornament_lit bench --config ... (finds what fits)")
    return ways


def _memory() -> str:
    """The most memory that this process has had, and what the GPU has."""
    if not torch.cuda.is_available():
        return ""
    total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    return f" ({torch.cuda.max_memory_allocated() / GIB:.1f} of {total / GIB:.1f} GiB were in use)"
