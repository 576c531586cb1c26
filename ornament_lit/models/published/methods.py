"""The methods whose published weights can be taken, and what is to be known of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Method = Literal["paint_by_example", "anydoor", "idm_vton", "ip_adapter_plus", "ootdiffusion"]


@dataclass(frozen=True)
class Published:
    """What is to be known of a method's weights.

    Attributes:
        repository: Where they are published.
        licence: Under which terms; they are the user's to bring.
        inputs: What the UNet must look at, in this order (``model.denoiser.inputs``).
        may_stay: What the files may lack, by the beginnings of names in the state dictionary of `TryOnModel`.
        size: Which configuration they fit.
    """

    repository: str
    licence: str
    inputs: tuple[str, ...]
    may_stay: tuple[str, ...]
    size: str


INPAINTING = ("noisy", "mask", "erased")
"""What Stable Diffusion's inpainting UNet looks at."""

METHODS: Mapping[Method, Published] = {
    "paint_by_example": Published(
        "Fantasy-Studio/Paint-by-Example",
        "CreativeML OpenRAIL-M",
        ("noisy", "erased", "keep"),
        ("autoencoder.",),
        "configs/baselines/paint_by_example.yaml is the size that Paint-by-Example's weights fit",
    ),
    "anydoor": Published(
        "ali-vilab/AnyDoor",
        "MIT for the code, none stated for the weights",
        ("noisy",),
        ("autoencoder.", "image_encoder.dino."),
        "configs/baselines/anydoor_sd21.yaml is the size that AnyDoor's weights fit",
    ),
    "idm_vton": Published(
        "yisol/IDM-VTON",
        "CC BY-NC-SA 4.0",
        INPAINTING,
        ("autoencoder.", "image_encoder.clip.", "prompt_encoder."),
        "configs/baselines/idm_vton.yaml with both UNets and the VAE of Stable Diffusion XL, tokens of 2048 and a "
        "resampler of width 1280 with 20 heads is the size that IDM-VTON's weights fit",
    ),
    "ip_adapter_plus": Published(
        "h94/IP-Adapter",
        "Apache-2.0",
        INPAINTING,
        (
            "autoencoder.",
            "denoiser.unet.",
            "image_encoder.clip.",
            "mask_head.",
            "prompt_encoder.",
            "reference_net.",
        ),
        "configs/baselines/idm_vton.yaml is the size that the weights of IP-Adapter-plus for Stable Diffusion 1.5 fit",
    ),
    "ootdiffusion": Published(
        "levihsu/OOTDiffusion",
        "CC BY-NC-SA 4.0",
        ("noisy", "erased"),
        ("autoencoder.", "image_encoder.", "prompt_encoder."),
        "configs/baselines/ootdiffusion.yaml is the size that OOTDiffusion's weights fit",
    ),
}
