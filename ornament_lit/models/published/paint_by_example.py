"""Published weights of Paint-by-Example: a folder in the format of diffusers."""

from pathlib import Path

from torch import Tensor

from ornament_lit.models.published.files import read_model, read_vae, under
from ornament_lit.models.published.image_encoders import class_token_weights
from ornament_lit.models.try_on import TryOnModel

WAY_OUT = "; the hub has them for all parts as revision refs/pr/3 of Fantasy-Studio/Paint-by-Example"


def weights(path: Path, model: TryOnModel) -> dict[str, Tensor]:
    """Weights of Paint-by-Example, by their names in `TryOnModel`.

    The UNet is taken as it is: what it looks at, and in which order, is an option of the denoiser. The frozen CLIP is
    in the image encoder's file and takes the place of the configuration's.

    Args:
        path: The folder with ``unet/``, ``image_encoder/`` and, if there is one, ``vae/``.
        model: The model that they are for.

    Raises:
        FileNotFoundError: If a folder or its weights are absent.
        ValueError: If weights are pickled, or not those of the method.
    """
    encoder = class_token_weights(read_model(path / "image_encoder", WAY_OUT))
    unet = under("denoiser.unet.", read_model(path / "unet", WAY_OUT))
    return unet | under("image_encoder.", encoder) | read_vae(path)
