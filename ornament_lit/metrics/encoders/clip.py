"""CLIPEncoder: the image embedding of CLIP."""

from torch import Tensor, nn

from ornament_lit.metrics.encoders.base import Filter, PretrainedEncoder, normalize
from ornament_lit.metrics.weights import load_model

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
MODEL_TYPES = ("clip", "clip_vision_model")


class CLIPEncoder(PretrainedEncoder):
    """Projected image embedding of a CLIP model.

    Args:
        path: A local folder in the transformers format (of the whole model or of its vision part), or the id of a hub
            repository, such as ``openai/clip-vit-base-patch32`` or ``openai/clip-vit-large-patch14``.
        image_size: Side that images are resized to; other sizes than the model's own interpolate its positions.
        resize: Filter of the resizing.
    """

    def __init__(
        self, path: str = "openai/clip-vit-base-patch32", image_size: int = 224, resize: Filter = "bicubic"
    ) -> None:
        super().__init__(path, image_size, resize)

    def load(self) -> nn.Module:
        """Load the vision part with its projection."""
        from transformers import AutoConfig, CLIPVisionModelWithProjection

        config = AutoConfig.from_pretrained(self.folder, local_files_only=True)
        if config.model_type not in MODEL_TYPES:
            raise ValueError(f"a CLIP model is of type {' or '.join(MODEL_TYPES)}; {self.path} is {config.model_type}")
        if config.model_type == "clip":  # the whole model has the right width beside its vision part, not always in it
            config.vision_config.projection_dim = config.projection_dim
            config = config.vision_config
        return load_model(CLIPVisionModelWithProjection, self.folder, config=config)

    def features(self, network: nn.Module, images: Tensor) -> Tensor:
        """Embed images, (B, 3, image_size, image_size) in [-1, 1], to (B, D)."""
        pixels = normalize(images, MEAN, STD)
        embeddings: Tensor = network(pixel_values=pixels, interpolate_pos_encoding=True).image_embeds
        return embeddings
