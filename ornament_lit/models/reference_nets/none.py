"""NoReferenceNet: no reference features."""

from diffusers import UNet2DConditionModel
from torch import Tensor

from ornament_lit.models.conditioning import Conditioning
from ornament_lit.models.reference_features import ReferenceFeatures
from ornament_lit.models.reference_nets.base import ReferenceNet


class NoReferenceNet(ReferenceNet):
    """No reference features: plain self-attention, and the ornament is seen through its image tokens alone."""

    needs = frozenset()

    def attach(self, unet: UNet2DConditionModel) -> None:
        """Need nothing from the denoiser."""

    def forward(self, conditioning: Conditioning, input_mask: Tensor) -> ReferenceFeatures:
        """Return features without tokens and with maps of no channels, (B, 0, h, w)."""
        empty = input_mask[:, :0]
        return ReferenceFeatures(ornament_map=empty, person_map=empty)
