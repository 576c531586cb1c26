"""Fingerprints of frozen encoders: whether encodings computed beforehand are those of the encoder at hand."""

import hashlib
import json
from collections.abc import Mapping

import torch
from torch import nn

from ornament_lit.utils.frozen import frozen_state


def fingerprint(part: nn.Module) -> str:
    """Identify a frozen encoder by its class, its public numbers and the bytes of its frozen weights.

    Args:
        part: An encoder. Its numbers are attributes such as a scaling factor, which is not among the weights. What
            trains does not count, nor where the weights came from.

    Returns:
        SHA-256 in hexadecimal digits, the same on every machine.
    """
    values = {name: value for name, value in sorted(vars(part).items()) if not name.startswith("_")}
    numbers = {name: value for name, value in values.items() if type(value) in (int, float)}
    digest = hashlib.sha256(json.dumps([type(part).__qualname__, numbers]).encode())
    for name, tensor in sorted(frozen_state(part).items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_fingerprints(expected: Mapping[str, str], parts: Mapping[str, nn.Module]) -> None:
    """Check that encodings computed beforehand are of these encoders.

    Args:
        expected: Fingerprint of each encoder that encodings come from, by the name of the part.
        parts: The encoders by name; those that are not expected are not looked at, nor an image encoder without
            tokens.

    Raises:
        ValueError: If an encoder is another one, or trains.
    """
    for name, digest in expected.items():
        part = parts[name]
        if getattr(part, "num_tokens", 1) == 0:
            continue
        if name == "autoencoder":
            check_frozen(part)
        if fingerprint(part) != digest:
            raise ValueError(
                f"the precomputed latents are not of this {name} ({type(part).__name__}): its weights or numbers "
                "differ from those that `data latents` used; compute them anew, or encode in each step by "
                "data.precomputed=never"
            )


def check_frozen(autoencoder: nn.Module) -> None:
    """Check that no parameter of an autoencoder trains.

    Raises:
        ValueError: If one does.
    """
    trained = [name for name, parameter in autoencoder.named_parameters() if parameter.requires_grad]
    if trained:
        raise ValueError(
            f"latents can be computed beforehand only by a frozen autoencoder, but {trained[0]} of "
            f"{type(autoencoder).__name__} trains; freeze it, or encode in each step by data.precomputed=never"
        )
