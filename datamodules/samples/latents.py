"""Latents that were computed beforehand: what they are of, and how training takes them.

Shards with latents have, beside each sample's images, ``latents_0.safetensors`` and so on: what the frozen encoders
make of copy 0, 1, ... of the sample, each with a crop and a flip of its own. ``latents.json`` in their folder says how
they were made. A copy's crop is drawn from a seed, so that its masks are made from the images when they are needed.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import torch
from lightning.pytorch.utilities import rank_zero_warn
from safetensors import SafetensorError
from safetensors.torch import load

from datamodules.samples.decoding import Triplet
from datamodules.samples.schema import is_latents
from datamodules.samples.seeding import hash_seed
from datamodules.samples.transforms import VERSION, TripletTransform, TryOnSample
from datamodules.storage.remote import is_remote, read_url
from datamodules.storage.sample_errors import SampleError
from ornament_lit.batch import EncodedImages
from ornament_lit.utils.files import write_file

CARD = "latents.json"
FORMAT = "ornament_lit-latents/2"
TIMEOUT = 60.0

Mode = Literal["auto", "never", "require"]
Dtype = Literal["float16", "bfloat16", "float32"]
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


@dataclass(frozen=True)
class LatentsCard:
    """How the latents of a folder were made.

    Attributes:
        copies: Copies of each sample.
        seed: Seed of their crops and flips.
        dtype: Type of the numbers in the shards.
        transform: Crops and flips.
        shapes: Shape of each entry of :class:`ornament_lit.batch.EncodedImages`, without the batch.
        encoders: Fingerprint of each encoder, see :func:`ornament_lit.models.fingerprints.fingerprint`.
        version: What a seed drew in the transform, see :data:`datamodules.samples.transforms.VERSION`.
    """

    copies: int
    seed: int
    dtype: Dtype
    transform: TripletTransform
    shapes: dict[str, tuple[int, ...]]
    encoders: dict[str, str]
    version: int = VERSION

    def copy_seed(self, key: str, copy: int) -> int:
        """Seed of the crop and flip of a copy of a sample."""
        return hash_seed(self.seed, "latents", key, copy)


@dataclass(frozen=True)
class PrecomputedTransform:
    """Make a sample of a triplet and of one of its copies in latents.

    Args:
        card: How the latents were made.
    """

    card: LatentsCard

    def __call__(self, triplet: Triplet, seed: int) -> TryOnSample:
        """Transform one triplet; the result depends on nothing but the arguments.

        Args:
            triplet: The decoded sample with its latents.
            seed: Its ``sample_seed``, which chooses the copy; noise and timestep are drawn from it, too.

        Returns:
            One row of a batch, with ``encoded``.

        Raises:
            SampleError: ``missing_entry`` or ``undecodable``.
        """
        copy = hash_seed(seed, "copy") % self.card.copies
        if copy >= len(triplet.latents):
            raise SampleError(f"{triplet.key}: there are no latents of copy {copy}", "missing_entry")
        try:
            encoded = read_latents(triplet.latents[copy], self.card)
        except (ValueError, SafetensorError) as error:
            raise SampleError(f"{triplet.key}: latents of copy {copy}: {error}", "undecodable") from error
        sample = self.card.transform(triplet, self.card.copy_seed(triplet.key, copy))
        return {**sample, "sample_seed": seed, "encoded": encoded}

    def wants(self, entry: str) -> bool:
        """Whether an entry of a sample is looked at."""
        return self.card.transform.wants(entry) or is_latents(entry)


def read_latents(content: bytes, card: LatentsCard) -> EncodedImages:
    """Read the latents of a copy.

    Args:
        content: A file of safetensors.
        card: What must be in it.

    Returns:
        Tensors of one sample, float32.

    Raises:
        ValueError: If other tensors are in it.
        SafetensorError: If it is no such file.
    """
    tensors = load(content)
    found = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
    expected = {name: (shape, DTYPES[card.dtype]) for name, shape in card.shapes.items()}
    if found != expected:
        raise ValueError(f"expected {expected}, got {found}")
    return cast(EncodedImages, {name: tensor.float() for name, tensor in tensors.items()})


def write_card(folder: Path, card: LatentsCard) -> None:
    """Write ``latents.json``; a reader sees the old one or the new one."""
    write_file(folder / CARD, (json.dumps({"format": FORMAT, **asdict(card)}, indent=1) + "\n").encode())


def read_card(folder: str | Path, timeout: float = TIMEOUT) -> LatentsCard | None:
    """Read the card of a folder.

    Args:
        folder: A path or a URL.
        timeout: Seconds after which a remote that sends nothing is given up.

    Returns:
        The card; None for a path without one.

    Raises:
        ValueError: If it is no card.
        OSError: If a URL cannot be read.
    """
    source = f"{folder}/{CARD}"
    if not is_remote(source) and not Path(source).exists():
        return None
    content = read_url(source, timeout) if is_remote(source) else Path(source).read_bytes()
    try:
        return _parse(json.loads(content))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{source} does not say how latents were made ({type(error).__name__}: {error}); make them anew with "
            "python -m ornament_lit data latents"
        ) from error


def _parse(document: dict[str, Any]) -> LatentsCard:
    if document["format"] != FORMAT or document["dtype"] not in DTYPES or document["copies"] < 1:
        got = [document[name] for name in ("format", "dtype", "copies")]
        raise ValueError(f"expected {FORMAT!r}, a type of {', '.join(DTYPES)} and at least one copy, got {got}")
    transform = document["transform"]
    lists = {name: tuple(value) for name, value in transform.items() if isinstance(value, list)}
    pairs = {name: lists[name] for name in ("box_growth", "reference_scale") if name in transform}
    if any(len(pair) != 2 for pair in pairs.values()):
        raise ValueError(f"expected a least and a greatest number, got {pairs}")
    return LatentsCard(
        copies=int(document["copies"]),
        seed=int(document["seed"]),
        dtype=document["dtype"],
        transform=TripletTransform(**{**transform, **lists}),
        shapes={name: tuple(shape) for name, shape in document["shapes"].items()},
        encoders=dict(document["encoders"]),
        version=int(document["version"]),
    )


def differences(first: LatentsCard, second: LatentsCard) -> list[str]:
    """Say what differs between two cards, such as ``copies 2 and 4``."""
    one, other = _flat(first), _flat(second)
    return [f"{name} {one.get(name)} and {other.get(name)}" for name in one | other if one.get(name) != other.get(name)]


def with_extras_of(transform: TripletTransform, other: TripletTransform) -> TripletTransform:
    """A transform of the same images that adds what another one adds: latents know nothing of it."""
    return replace(transform, correspondence=other.correspondence, wide_view=other.wide_view, detail=other.detail)


def _flat(card: LatentsCard) -> dict[str, Any]:
    values = json.loads(json.dumps(asdict(card)))
    weights = {f"weights of {name}": digest[:12] for name, digest in values.pop("encoders").items()}
    return {**values.pop("transform"), **values, **weights}


def choose_transform(
    shards: Iterable[str], transform: TripletTransform, mode: Mode
) -> TripletTransform | PrecomputedTransform:
    """Choose whether training takes images or latents.

    Args:
        shards: Paths and URLs that are trained on.
        transform: What training does with images: latents must be of the same crops.
        mode: ``never`` takes images, ``require`` latents, ``auto`` latents where they can be used; beside URLs it
            does not look for them.

    Returns:
        The transform of either. If ``auto`` cannot use latents that there are, there is a warning.

    Raises:
        ValueError: If latents are required and cannot be used, or a ``latents.json`` cannot be read.
    """
    if mode == "never":
        return transform
    folders = sorted({shard.rpartition("/")[0] for shard in shards})
    cards = {folder: read_card(folder) if mode == "require" or not is_remote(folder) else None for folder in folders}
    try:
        return PrecomputedTransform(_agreed(cards, transform))
    except ValueError as error:
        if mode == "require":
            raise
        if any(cards.values()):
            rank_zero_warn(f"precomputed latents are not used, images are encoded in each step: {error}")
        return transform


def _agreed(cards: dict[str, LatentsCard | None], transform: TripletTransform) -> LatentsCard:
    """The one card of all folders, which must be of the transform's crops."""
    first, *_ = cards.values()
    for folder, card in cards.items():
        if first is None or card is None:
            absent = folder if card is None else next(iter(cards))
            raise ValueError(f"there is no {CARD} in {absent}; make it with python -m ornament_lit data latents")
        if differing := differences(first, card):
            raise ValueError(f"{folder} and {next(iter(cards))} have latents of {', '.join(differing)}")
    assert first is not None
    first = replace(first, transform=with_extras_of(first.transform, transform))
    if differing := differences(first, replace(first, transform=transform, version=VERSION)):
        raise ValueError(f"the latents are of other crops than data asks for: {', '.join(differing)}")
    return first
