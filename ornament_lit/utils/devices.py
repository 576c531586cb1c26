"""Where and in which type of numbers a user may have the networks compute."""

from typing import Literal

Device = Literal["auto", "cpu", "cuda"]
"""``auto`` for a CUDA device where there is one."""
DType = Literal["float32", "bfloat16", "float16"]
