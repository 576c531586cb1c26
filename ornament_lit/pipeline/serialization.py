"""The folder of a pipeline: stock models in the formats of diffusers and transformers, and our parts beside them.

=========================  ====================================================================================
``model_index.json``       class, versions, settings, and for each part its class path and arguments
``unet``                   ``UNet2DConditionModel`` with stock layers
``scheduler``              the settings of a scheduler of diffusers
``vae``                    ``AutoencoderKL``, where the autoencoder loads one
``image_encoder``          ``CLIPVisionModel``, where the image encoder loads one
``try_on.safetensors``     weights of the reference net, of the mask head, of the denoiser beside its UNet, of what
                           else trains, and the tokens of prompts
=========================  ====================================================================================

Nothing in it is pickled. A UNet without image tokens has constants in the place of its cross-attention; it is written
with stock layers that compute the same.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from uuid import uuid4

import diffusers
import torch
from diffusers import SchedulerMixin, UNet2DConditionModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ornament_lit.checkpointing.serialization import build, describe, describe_pretrained, own_weights, pretrained_child
from ornament_lit.diffusion.refresh_policies import RefreshOnce, RefreshPolicy
from ornament_lit.models.autoencoders import Autoencoder
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import ImageEncoder
from ornament_lit.models.mask_heads import MaskHead
from ornament_lit.models.no_denoiser import NoDenoiser
from ornament_lit.models.pretrained import load_pretrained
from ornament_lit.models.prompt_encoders import NoPrompt, PromptEncoder
from ornament_lit.models.reference_matching import NoReferenceMatching, ReferenceMatching
from ornament_lit.models.reference_nets import ReferenceNet
from ornament_lit.models.try_on import TryOnModel
from ornament_lit.models.unet import unfolded
from ornament_lit.models.warps import NoWarp, Warp
from ornament_lit.utils.files import check_folder
from ornament_lit.utils.versions import VERSION

INDEX = "model_index.json"
WEIGHTS = "try_on.safetensors"
PIPELINE = "OrnamentTryOnPipeline"
FORMAT = 2
"""Of a folder; those before had other names of parts."""
PRETRAINED = {"autoencoder": "vae", "image_encoder": "image_encoder"}
FAMILIES = {
    "autoencoder": Autoencoder,
    "image_encoder": ImageEncoder,
    "reference_net": ReferenceNet,
    "mask_head": MaskHead,
    "warp": Warp,
    "prompt_encoder": PromptEncoder,
}
DENOISER_OPTIONS: Mapping[str, Any] = {
    "direct_masking": False,
    "known_pixels": False,
    "input_skip": False,
    "warp_condition": False,
    "warp_residual": False,
    "inputs": ["noisy", "mask", "erased"],
    "trained": "all",
    "decoupled_tokens": False,
    "absent_reference": "dropped",
}
"""Options of the denoiser that are kept beside ``reference_matching``, and what they are in a folder without them."""


@dataclass(frozen=True)
class Settings:
    """What the parts were trained with, and how images are generated where nothing else is said.

    Attributes:
        resolution: Side of the crops that the networks see, in pixels.
        crop_factor: Side of the person's crop over the longer side of the box.
        mask_threshold: Probability above which a pixel of a mask counts.
        steps_taken: Training steps, for what is scheduled by them.
        condition_dropout: Share of the training samples without the ornament; 0 for a model that cannot be guided.
        num_inference_steps: Denoising steps.
        guidance_scale: Guidance; 1 for none.
        refresh: When mask and reference features are computed anew.
        wide_view: Side of the wider view over that of the person's crop; None for no wider view.
        detail: Resolution of the ornament's image for the warp, over ``resolution``.
        bare: Whether the person is shown as they are, because they do not wear the ornament yet; else the box is masked
            out.
        strength: Share of the steps that are taken, beginning at the warp's composite; 1 begins at noise.
        source: Where the weights come from: file, SHA-256, and whatever else is worth knowing.
    """

    resolution: int
    crop_factor: float = 1.5
    mask_threshold: float = 0.5
    steps_taken: int = 0
    condition_dropout: float = 0.0
    num_inference_steps: int = 30
    guidance_scale: float = 1.0
    refresh: RefreshPolicy = field(default_factory=RefreshOnce)
    wide_view: float | None = None
    detail: int = 1
    bare: bool = False
    strength: float = 1.0
    source: Mapping[str, str] = field(default_factory=dict)


def save_folder(
    folder: Path,
    model: TryOnModel,
    scheduler: SchedulerMixin,
    settings: Settings,
    half: bool = False,
    variant: str | None = None,
) -> None:
    """Write a pipeline; the folder appears complete or not at all.

    Args:
        folder: A folder that does not exist, is empty, or has a pipeline, which is replaced.
        model: The trained networks.
        scheduler: The scheduler to sample with.
        settings: What they were trained with.
        half: Write the weights as float16, in half the space; :func:`load_folder` reads them as float32.
        variant: Word in the names of all files with weights; None for none.

    Raises:
        FileExistsError: If there is something else.
        OSError: If the folder cannot be written.
        ValueError: If a part cannot be written down, or the variant is no word.
    """
    _weights_name(variant)
    check_replaceable(folder)
    index = _index(model, scheduler, settings)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f"{folder.name}.{uuid4().hex[:8]}.part")
    try:
        _write(aside, index, model, scheduler, variant)
        if half:
            _halve(aside)
        _let_read(aside)
        _replace(aside, folder)
    except SafetensorError as error:
        raise OSError(f"{folder} cannot be written: {error}; make room, or write elsewhere") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def check_replaceable(folder: Path) -> None:
    """Check that a pipeline may be written to a folder.

    Raises:
        FileExistsError: If it is a file, or holds something else than a pipeline.
        OSError: If nothing can be written beside it.
    """
    if folder.is_dir() and not (folder / INDEX).is_file() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} holds something else than a pipeline; choose a new folder")
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; choose a new folder")
    check_folder(folder.parent)


def load_folder(folder: Path, variant: str | None = None) -> dict[str, Any]:
    """Load networks, scheduler and settings of a pipeline: the arguments of its class.

    Args:
        folder: What :func:`save_folder` wrote.
        variant: What it was told.

    Raises:
        FileNotFoundError: If the folder or a file of it is absent.
        ValueError: If it is no pipeline of this package, or cannot be built here.
    """
    index = read_index(folder)
    path = folder / _weights_name(variant)
    if not path.is_file():
        remedy = "export it again" if variant is None else "leave the variant out, or write it by save_pretrained"
        raise FileNotFoundError(f"the pipeline in {folder} lacks {path.name}; {remedy}")
    refresh = build(index["settings"], {"refresh": RefreshPolicy}, folder)["refresh"]
    known = {entry.name for entry in fields(Settings)}
    settings = Settings(**{**{k: v for k, v in index["settings"].items() if k in known}, "refresh": refresh})
    newer = {"warp": describe(NoWarp()), "prompt_encoder": describe(NoPrompt())}
    parts = build({**newer, **index["parts"]}, FAMILIES, folder, variant)
    denoiser = _load_denoiser(index["denoiser"], folder, variant) if index["denoiser"] else NoDenoiser()
    model = TryOnModel(denoiser=denoiser, **parts, neutral_background=index.get("neutral_background", False))
    _load_weights(path, _own_parts(model))
    return {"model": model, "scheduler": _load_scheduler(folder), "settings": settings}


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All weights of a pipeline by their names in :class:`ornament_lit.module.TryOnModule`; see load_folder."""
    loaded = load_folder(folder)
    weights = {f"model.{name}": value for name, value in loaded["model"].state_dict().items()}
    return {**weights, "mask_threshold": torch.tensor(loaded["settings"].mask_threshold)}


def read_index(folder: Path) -> dict[str, Any]:
    """Read what a pipeline's folder says of itself.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it is not of this package.
    """
    path = folder / INDEX
    if not path.is_file():
        raise FileNotFoundError(
            f"no pipeline at {folder}: {path} does not exist; write one by python -m ornament_lit export"
        )
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); export the pipeline again") from error
    if not isinstance(index, dict) or index.get("_class_name") != PIPELINE:
        name = index.get("_class_name") if isinstance(index, dict) else None
        raise ValueError(f"{folder} must hold an {PIPELINE}, got {name}; write one by python -m ornament_lit export")
    if index.get("_format") != FORMAT:
        raise ValueError(
            f"the pipeline in {folder} has format {index.get('_format', 1)}, with other names of parts; this release "
            f"reads format {FORMAT}: export it again from a checkpoint of this release"
        )
    return index


def _index(model: TryOnModel, scheduler: SchedulerMixin, settings: Settings) -> dict[str, Any]:
    described = {
        name: describe(part) if pretrained_child(part) is None else describe_pretrained(part, PRETRAINED[name])
        for name, part in _families(model).items()
    }
    plain = {entry.name: getattr(settings, entry.name) for entry in fields(settings)}
    plain |= {"refresh": describe(settings.refresh), "source": dict(settings.source)}
    return {
        "_class_name": PIPELINE,
        "_diffusers_version": diffusers.__version__,
        "_ornament_lit_version": VERSION,
        "_format": FORMAT,
        "unet": ["diffusers", "UNet2DConditionModel"],
        "scheduler": ["diffusers", type(scheduler).__name__],
        "denoiser": _describe_denoiser(model.denoiser),
        "parts": described,
        "neutral_background": model.neutral_background,
        "settings": plain,
    }


def _families(model: TryOnModel) -> dict[str, nn.Module]:
    """The parts that are described by class path and arguments."""
    return {name: getattr(model, name) for name in FAMILIES}


def _describe_denoiser(denoiser: Denoiser) -> dict[str, Any] | None:
    """Options of a denoiser; None where there is none."""
    if isinstance(denoiser, NoDenoiser):
        return None
    options = {name: getattr(denoiser, name) for name in DENOISER_OPTIONS}
    return {**options, "reference_matching": describe(denoiser.reference_matching)}


def _weights_name(variant: str | None) -> str:
    """Name of the file that holds the weights of our own parts."""
    if variant is None:
        return WEIGHTS
    if not re.fullmatch(r"\w[\w-]*", variant):
        raise ValueError(f"a variant must be a word, such as fp16, got {variant!r}")
    return f"{Path(WEIGHTS).stem}.{variant}{Path(WEIGHTS).suffix}"


def _write(
    folder: Path, index: Mapping[str, Any], model: TryOnModel, scheduler: SchedulerMixin, variant: str | None
) -> None:
    folder.mkdir()
    if index["denoiser"] is not None:
        unfolded(model.denoiser.unet).save_pretrained(folder / "unet", variant=variant)
    scheduler.save_pretrained(folder / "scheduler")
    for name, part in _families(model).items():
        child = pretrained_child(part)
        if child is not None:
            getattr(part, child).save_pretrained(folder / PRETRAINED[name], variant=variant)
    own = _own_parts(model).items()
    weights = {f"{name}.{key}": tensor for name, part in own for key, tensor in own_weights(part)}
    save_file(weights, folder / _weights_name(variant), metadata={"format": "pt"})
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _halve(folder: Path) -> None:
    """Write the weights of a folder anew as float16."""
    for path in folder.rglob("*.safetensors"):
        stored = load_file(path)
        halved = {name: value.half() if value.is_floating_point() else value.clone() for name, value in stored.items()}
        save_file(halved, path, metadata={"format": "pt"})


def _let_read(folder: Path) -> None:
    """Let whoever may read the index read the weights, too; safetensors lets only the owner."""
    for path in folder.rglob("*.safetensors"):
        path.chmod((folder / INDEX).stat().st_mode)


def _own_parts(model: TryOnModel) -> dict[str, nn.Module]:
    """The parts whose weights are written together: the families, and what of the denoiser stands beside its UNet."""
    parts, denoiser = _families(model), model.denoiser
    if isinstance(denoiser, NoDenoiser):
        return parts
    beside = {"reference_matching": denoiser.reference_matching, "skip": denoiser.skip, "decoupled": denoiser.decoupled}
    return {**parts, **{f"denoiser.{name}": part for name, part in beside.items() if part is not None}}


def _load_denoiser(index: Mapping[str, Any], folder: Path, variant: str | None) -> Denoiser:
    """Build the denoiser around its UNet; what else trains in it is loaded with the other parts."""
    unet = load_pretrained(UNet2DConditionModel, str(folder), "unet", variant=variant)
    described = {"reference_matching": index.get("reference_matching", describe(NoReferenceMatching()))}
    options = {name: type(usual)(index.get(name, usual)) for name, usual in DENOISER_OPTIONS.items()}
    options |= build(described, {"reference_matching": ReferenceMatching}, folder)
    return Denoiser(unet, **options)


def _replace(aside: Path, folder: Path) -> None:
    """Put a complete folder into the place of another one."""
    if not folder.exists():
        os.replace(aside, folder)
        return
    old = aside.with_suffix(".old")
    os.replace(folder, old)
    os.replace(aside, folder)
    shutil.rmtree(old)


def _load_weights(path: Path, parts: Mapping[str, nn.Module]) -> None:
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}); export the pipeline again") from error
    expected = {f"{name}.{key}": value.shape for name, part in parts.items() for key, value in own_weights(part)}
    differing = sorted(set(expected.items()) ^ {(key, value.shape) for key, value in weights.items()})
    if differing:
        raise ValueError(
            f"{path} does not fit {INDEX}: {len(differing)} weights, {differing[0][0]} first; export again"
        )
    for name, part in parts.items():
        own = {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(f"{name}.")}
        part.load_state_dict(own, strict=False)


def _load_scheduler(folder: Path) -> SchedulerMixin:
    path = folder / "scheduler" / "scheduler_config.json"
    if not path.is_file():
        raise FileNotFoundError(f"the pipeline in {folder} lacks {path}; export it again")
    name = str(json.loads(path.read_text(encoding="utf-8")).get("_class_name"))
    cls = getattr(diffusers, name, None)
    if not isinstance(cls, type) or not issubclass(cls, SchedulerMixin):
        raise ValueError(f"{path} must name a scheduler of diffusers, got {name!r}; export the pipeline again")
    return cls.from_pretrained(folder, subfolder="scheduler")  # type: ignore[attr-defined]
