"""When, along the denoising, the reference net looks again with the newest mask."""

from ornament_lit.diffusion.refresh_policies.base import RefreshPolicy
from ornament_lit.diffusion.refresh_policies.every_steps import RefreshEverySteps
from ornament_lit.diffusion.refresh_policies.once import RefreshOnce
from ornament_lit.diffusion.refresh_policies.until_stable import RefreshUntilStable

__all__ = ["RefreshEverySteps", "RefreshOnce", "RefreshPolicy", "RefreshUntilStable"]
