"""ornament_lit: virtual try-on of ornaments with diffusion models, on PyTorch Lightning."""

__version__ = "0.1.0"
