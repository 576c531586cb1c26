"""The protocol of a test: what somebody needs to know to get the same numbers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ornament_lit.checkpointing.serialization import describe
from ornament_lit.checkpointing.state import raw_weights, read_checkpoint
from ornament_lit.utils.files import file_hash
from ornament_lit.utils.frozen import count_parameters

if TYPE_CHECKING:
    from ornament_lit.module import TryOnModule

PACKAGES = "torch torchvision lightning diffusers transformers torchmetrics lpips numpy pillow".split()
DATA = "seed resolution crop_factor box_growth input_mask reference_rotation reference_scale bare".split()


def checkpoint_protocol(path: str | Path | None) -> dict[str, Any]:
    """Name and hash of a checkpoint, its step, and whether its weights are averaged; None for no checkpoint."""
    if path is None:
        return {"file": "none: the weights that the configuration starts with"}
    checkpoint = read_checkpoint(path)
    weights = "raw" if raw_weights(checkpoint) is None else "averaged"
    return {"file": Path(path).name, "sha256": file_hash(path), "step": checkpoint["global_step"], "weights": weights}


def data_protocol(data: object) -> dict[str, Any]:
    """Checksum of the test data, and how they are cropped, as far as a data module says it."""
    given = {name: _listed(getattr(data, name)) for name in DATA if hasattr(data, name)}
    checksum = {"checksum": data.test_checksum} if hasattr(data, "test_checksum") else {}
    return checksum | given | {"resize": "Pillow: bicubic for images, bilinear for masks, antialiased"}


def model_protocol(module: "TryOnModule") -> dict[str, Any]:
    """Parts of the model, its parameters, and the share of training samples without their ornament."""
    trained, frozen = count_parameters(module.model)
    return {
        "parts": {name: type(part).__name__ for name, part in module.model.named_children()},
        "trained_parameters": trained,
        "frozen_parameters": frozen,
        "condition_dropout": module.diffusion_loss.condition_dropout,
    }


def sampling_protocol(module: "TryOnModule") -> dict[str, Any]:
    """How the module generates: steps, guidance, scheduler, refreshes, and the threshold of its masks."""
    sampler = describe(module.sampler)["init_args"]
    scheduler = module.sampler.scheduler_for(module.noise_scheduler)
    return {
        **sampler,
        "scheduler": type(scheduler).__name__,
        "mask_threshold": round(float(module.mask_threshold), 6),
        "values": "rounded to 8 bits",
    }


def _listed(value: Any) -> Any:  # noqa: ANN401
    return list(value) if isinstance(value, tuple) else value
