"""DINOEncoder: the class token of DINO and DINOv2."""

from torch import Tensor, nn

from ornament_lit.metrics.encoders.base import Filter, PretrainedEncoder, normalize
from ornament_lit.metrics.weights import load_model

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class DINOEncoder(PretrainedEncoder):
    """Class token of a vision transformer that was trained without labels.

    Args:
        path: A local folder in the transformers format, or the id of a hub repository, such as
            ``facebook/dino-vits16`` or ``facebook/dinov2-base``.
        image_size: Side that images are resized to; other sizes than the model's own interpolate its positions.
        resize: Filter of the resizing.
    """

    def __init__(self, path: str = "facebook/dino-vits16", image_size: int = 224, resize: Filter = "bicubic") -> None:
        super().__init__(path, image_size, resize)

    def load(self) -> nn.Module:
        """Load the transformer that the folder's configuration names."""
        from transformers import AutoModel

        return load_model(AutoModel, self.folder)

    def features(self, network: nn.Module, images: Tensor) -> Tensor:
        """Embed images, (B, 3, image_size, image_size) in [-1, 1], to (B, D)."""
        options = {"interpolate_pos_encoding": True} if network.config.model_type == "vit" else {}  # type: ignore[union-attr]
        tokens: Tensor = network(pixel_values=normalize(images, MEAN, STD), **options).last_hidden_state
        return tokens[:, 0]
