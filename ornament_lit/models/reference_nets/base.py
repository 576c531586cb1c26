"""ReferenceNet: the contract of the family."""

from abc import ABC, abstractmethod
from typing import ClassVar

from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from ornament_lit.models.conditioning import Conditioning, Latents
from ornament_lit.models.reference_features import ReferenceFeatures


class ReferenceNet(nn.Module, ABC):
    """Look at the ornament and at the masked person, and hand features to the denoiser and to the mask head.

    To add one: subclass, implement ``attach`` and ``forward``, name the class in the YAML.

    Attributes:
        feature_channels: C of the feature maps for the mask head, known after ``attach``; 0 for no maps.
        needs: Latents that it looks at; what neither it nor the denoiser needs is not encoded.
        per_step: Features depend on the timestep, and are computed anew in every denoising step.
        own_null: Samples that are not given their ornament have features of their own.
    """

    needs: ClassVar[frozenset[Latents]] = frozenset(("erased", "ornament"))
    feature_channels: int = 0
    per_step: bool = False
    own_null: bool = False

    @abstractmethod
    def attach(self, unet: UNet2DConditionModel) -> None:
        """Build the layers that fit a denoiser; called once, before training, by :class:`TryOnModule`.

        Args:
            unet: The denoiser's UNet; it gives the shape and the starting weights and is not changed.
        """

    def check_factor(self, downsample_factor: int) -> None:
        """Check that it fits the autoencoder; any fits here.

        Args:
            downsample_factor: Pixels per latent along a side.

        Raises:
            ValueError: If it does not.
        """

    @abstractmethod
    def forward(self, conditioning: Conditioning, input_mask: Tensor) -> ReferenceFeatures:
        """Compute the features.

        Args:
            conditioning: What the networks are told: latents of ornament and masked person, their images, tokens, and
                for nets with ``per_step`` or ``own_null`` the timesteps and who is given the ornament.
            input_mask: Current wearing mask, (B, 1, h, w) in [0, 1].

        Returns:
            Features; differentiable in latents and mask.
        """
