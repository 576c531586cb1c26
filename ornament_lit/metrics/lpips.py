"""LPIPS: perceptual distance to the ground truth."""

import warnings
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ornament_lit.metrics.base import GeneratedBatch
from ornament_lit.metrics.encoders.base import resize
from ornament_lit.metrics.per_sample import PerSampleMetric, Scores
from ornament_lit.metrics.regions import Region, person_views
from ornament_lit.metrics.weights import LazyNetwork, weights_file
from ornament_lit.utils.files import file_hash

URLS = {
    "alex": "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "vgg": "https://download.pytorch.org/models/vgg16-397923af.pth",
}
SMALLEST = 32


class LPIPS(PerSampleMetric):
    """Learned perceptual distance of generated image and ground truth (LPIPS 0.1); 0 where they are equal.

    Args:
        net: Backbone; ``alex`` is what most tables use.
        path: A local file of the backbone's ImageNet weights as torchvision publishes them; None for torch's cache,
            filled from the network. The calibration on top of it is part of the package ``lpips``.
        name: Name of the column.
        region: Part of generated image and ground truth that is measured.
        image_size: Side, in pixels, that both are resized to first (bicubic, antialiased); None for their own size.

    Raises:
        ValueError: If ``image_size`` is too small for the backbone.
    """

    higher_is_better = False

    def __init__(
        self,
        net: Literal["alex", "vgg"] = "alex",
        path: str | None = None,
        name: str = "lpips",
        region: Region = "crop",
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        if image_size is not None and image_size < SMALLEST:
            raise ValueError(f"image_size must be {SMALLEST} or more for LPIPS, got {image_size}")
        self.net, self.path, self.name, self.image_size = net, path, name, image_size
        self.region: Region = region
        self.has_bounds = region != "full"
        self._network = LazyNetwork(self._load)

    @cached_property
    def weights(self) -> Path:
        """The file of the backbone's weights."""
        return weights_file(self.path, URLS[self.net])

    def setup(self) -> None:
        """Load the network."""
        self._network.on()

    def measure(self, batch: GeneratedBatch) -> Scores:
        """Measure the distances; images of one size go through the network together."""
        views = person_views(batch, self.region)
        generated, ground_truth = ([self._sized(image) for image in images] for images in views)
        network = self._network.on(generated[0].device)
        if len({image.shape for image in generated}) == 1:
            return Scores({self.name: network(torch.stack(generated), torch.stack(ground_truth)).flatten()})
        pairs = zip(generated, ground_truth, strict=True)
        return Scores({self.name: torch.cat([network(one[None], other[None]).flatten() for one, other in pairs])})

    def protocol(self) -> dict[str, Any]:
        """Backbone, its hash, region and resizing."""
        sizing = f"bicubic, antialiased, to {self.image_size} px" if self.image_size else "none"
        options = {"net": self.net, "version": "0.1", "sha256": file_hash(self.weights)}
        return super().protocol() | options | {"region": self.region, "resize": sizing}

    def _sized(self, image: Tensor) -> Tensor:
        if self.image_size:
            return resize(image, self.image_size, "bicubic")
        if min(image.shape[-2:]) < SMALLEST:
            raise ValueError(
                f"LPIPS needs images of {SMALLEST} px or more, and the region {self.region} has one of "
                f"{image.shape[-1]} x {image.shape[-2]}; set image_size"
            )
        return image

    def _load(self) -> nn.Module:
        import lpips

        published = torch.load(self.weights, map_location="cpu", weights_only=True, mmap=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*(pretrained|weight enum)", category=UserWarning)
            network = lpips.LPIPS(net=self.net, pnet_rand=True, verbose=False)
        backbone = network.net.state_dict()
        layers = {name: published[f"features.{name.partition('.')[2]}"] for name in backbone}
        network.net.load_state_dict(layers)
        return network  # type: ignore[no-any-return]
