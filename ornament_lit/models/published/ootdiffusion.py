"""Published weights of OOTDiffusion: two UNets by the names of diffusers."""

from pathlib import Path

from torch import Tensor

from ornament_lit.models.autoencoders import KLAutoencoder
from ornament_lit.models.published.files import read_model, read_vae, under
from ornament_lit.models.published.unet_tail import without_tail
from ornament_lit.models.try_on import TryOnModel

FIRST = "conv_in.weight"


def weights(path: Path, model: TryOnModel) -> dict[str, Tensor]:
    """Weights of OOTDiffusion, by their names in `TryOnModel`.

    Its latents of person and garment are not scaled, and ours are: the weights that look at them are divided by the
    VAE's factor instead, which is exact. Image and text encoder are those of the configuration.

    Args:
        path: The folder with ``unet_vton/``, ``unet_garm/`` and, if there is one, ``vae/``.
        model: The model that they are for.

    Raises:
        FileNotFoundError: If a folder or its weights are absent.
        ValueError: If weights are pickled.
    """
    unet, reference = read_model(path / "unet_vton"), without_tail(read_model(path / "unet_garm"), keep_norm=False)
    autoencoder, noisy = model.autoencoder, model.denoiser.latent_channels
    factor = autoencoder.scaling_factor if isinstance(autoencoder, KLAutoencoder) else 1.0
    if FIRST in unet:
        unet[FIRST] = _divided(unet[FIRST], factor, begin=noisy)
    if FIRST in reference:
        reference[FIRST] = _divided(reference[FIRST], factor, begin=0)
    return {**under("denoiser.unet.", unet), **under("reference_net.unet.", reference), **read_vae(path)}


def _divided(weight: Tensor, factor: float, begin: int) -> Tensor:
    """A convolution whose input channels from ``begin`` on see values that are ``factor`` times as large."""
    divided = weight.float().clone()
    divided[:, begin:] /= factor
    return divided
