"""ornament_lit: virtual try-on of ornaments with diffusion models, on PyTorch Lightning."""

import os

from ornament_lit.utils.versions import VERSION

# Before torch is loaded: threads that wait shall not spin against whoever else wants the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = VERSION
