"""Reference nets: features of the ornament and of the masked person for the denoiser and the mask head."""

from ornament_lit.models.reference_nets.base import ReferenceNet
from ornament_lit.models.reference_nets.control_net import ControlNetReference
from ornament_lit.models.reference_nets.none import NoReferenceNet
from ornament_lit.models.reference_nets.ornament_unet import OrnamentUNetReferenceNet
from ornament_lit.models.reference_nets.unet import UNetReferenceNet

__all__ = ["ControlNetReference", "NoReferenceNet", "OrnamentUNetReferenceNet", "ReferenceNet", "UNetReferenceNet"]
