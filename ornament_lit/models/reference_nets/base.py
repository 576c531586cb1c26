"""ReferenceNet: the contract of the family."""

from abc import ABC, abstractmethod

from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from ornament_lit.models.reference_features import ReferenceFeatures


class ReferenceNet(nn.Module, ABC):
    """Look at the ornament and at the masked person, and hand features to the denoiser and to the mask head.

    To add one: subclass, implement ``attach`` and ``forward``, name the class in the YAML.

    Attributes:
        feature_channels: C of the feature maps for the mask head, known after ``attach``; 0 for no maps.
    """

    feature_channels: int = 0

    @abstractmethod
    def attach(self, unet: UNet2DConditionModel) -> None:
        """Build the layers that fit a denoiser; called once, before training, by :class:`TryOnModule`.

        Args:
            unet: The denoiser's UNet; it gives the shape and the starting weights and is not changed.
        """

    @abstractmethod
    def forward(
        self, ornament_latents: Tensor, ornament_mask: Tensor, masked_person_latents: Tensor, input_mask: Tensor
    ) -> ReferenceFeatures:
        """Compute the features.

        Args:
            ornament_latents: Latents of the ornament's image, (B, c, h, w).
            ornament_mask: Where the ornament is in it, (B, 1, h, w) in [0, 1].
            masked_person_latents: Latents of the person with the box masked out, (B, c, h, w).
            input_mask: Current wearing mask, (B, 1, h, w) in [0, 1].

        Returns:
            Features; differentiable in all inputs.
        """
