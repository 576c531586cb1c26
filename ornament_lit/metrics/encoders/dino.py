"""DINOEncoder: the class token of DINO and DINOv2."""

from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ornament_lit.metrics.encoders.base import FeatureEncoder, Filter, normalize
from ornament_lit.metrics.weights import load_model, model_folder, model_weights

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class DINOEncoder(FeatureEncoder):
    """Class token of a vision transformer that was trained without labels.

    Args:
        path: A local folder in the transformers format, or the id of a hub repository, such as
            ``facebook/dino-vits16`` or ``facebook/dinov2-base``.
        image_size: Side that pictures are resized to; other sizes than the model's own interpolate its positions.
        resize: Filter of the resizing.
    """

    def __init__(self, path: str = "facebook/dino-vits16", image_size: int = 224, resize: Filter = "bicubic") -> None:
        super().__init__(image_size, resize)
        self.path = path

    @cached_property
    def folder(self) -> Path:
        """The local folder of the model."""
        return model_folder(self.path)

    @property
    def weights(self) -> Path:
        """The file of weights."""
        return model_weights(self.folder)

    def load(self) -> nn.Module:
        """Load the transformer that the folder's configuration names."""
        from transformers import AutoModel

        return load_model(AutoModel, self.folder)

    def features(self, network: nn.Module, pictures: Tensor) -> Tensor:
        """Embed pictures, (B, 3, image_size, image_size) in [-1, 1], to (B, D)."""
        options = {"interpolate_pos_encoding": True} if network.config.model_type == "vit" else {}  # type: ignore[union-attr]
        tokens: Tensor = network(pixel_values=normalize(pictures, MEAN, STD), **options).last_hidden_state
        return tokens[:, 0]

    def protocol(self) -> dict[str, Any]:
        """What somebody needs to know to get the same features."""
        return super().protocol() | {"path": self.path}
