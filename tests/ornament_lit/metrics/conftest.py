"""Drawn batches with known answers, and tiny folders of weights."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor
from transformers import CLIPConfig, CLIPModel, Dinov2Config, Dinov2Model, ViTConfig, ViTModel

from ornament_lit.metrics import LPIPS, GeneratedBatch
from ornament_lit.metrics.measured import SampleScores
from ornament_lit.utils.categories import CATEGORIES

SIZE = 64


def strand(beads: int, radius: float = 2.6, size: int = SIZE) -> Tensor:
    """Mask of beads in a row, each touching the next, (1, size, size)."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    centres = size / 2 + (torch.arange(beads) - (beads - 1) / 2) * 2 * radius
    distances = (rows - size / 2).square() + (columns - centres[:, None, None]).square()
    return (distances < radius**2).any(0, keepdim=True).float()


def worn(mask: Tensor, generator: torch.Generator) -> Tensor:
    """A bright image with a dark ornament where the mask is, and some noise, (3, size, size)."""
    tint = torch.rand(3, 1, 1, generator=generator)
    picture = (1 - mask) * (0.7 - 0.3 * tint) + mask * (-0.5 - 0.3 * tint)
    return (picture + 0.05 * torch.randn(picture.shape, generator=generator)).clamp(-1, 1)


@pytest.fixture
def build_generated() -> Callable[..., GeneratedBatch]:
    """A batch of ornaments with 8 beads; entries can be replaced. The drawing is noise, the masks nearly right."""

    def build(size: int = 5, **replaced: Any) -> GeneratedBatch:
        generator = torch.Generator().manual_seed(0)
        mask = strand(8).expand(size, -1, -1, -1)
        pictures = [torch.stack([worn(one, generator) for one in mask]) for _ in range(2)]
        box = torch.zeros_like(mask)
        box[:, :, SIZE // 4 : -SIZE // 4, 8:-8] = 1.0
        points = torch.rand(size, 2, SIZE, SIZE, generator=generator) * 1.6 - 0.8
        shifted = torch.stack([mask.roll(shift, dims=-1) for shift in (21, 5)])
        noise = torch.rand(pictures[0].shape, generator=generator) * 2 - 1
        batch: dict[str, Any] = {
            "generated_image": noise,
            "mask_predictions": 0.8 * shifted,
            "person_image": pictures[0],
            "ornament_image": pictures[1],
            "ornament_mask": mask,
            "wearing_mask": mask,
            "box_mask": box,
            "category": [CATEGORIES[number % 2] for number in range(size)],
            "key": [f"sample-{number}" for number in range(size)],
            "components": torch.full((size,), 8),
            "wrong_reference": {"generated_image": noise.flip(0), "mask_predictions": 0.8 * shifted.flip(0)},
            "wrong_references": [
                {"generated_image": noise.roll(step, -1), "mask_predictions": shifted} for step in (1, 9)
            ],
            "correspondence": {"uv": points, "known": mask, "seen": mask},
            "generated_correspondence": points + 0.15,
        }
        return {**batch, **replaced}  # type: ignore[typeddict-item]

    return build


@pytest.fixture
def part() -> Callable[..., GeneratedBatch]:
    """Some samples of a batch."""

    def take(batch: GeneratedBatch, rows: slice) -> GeneratedBatch:
        def cut(name: str, value: Any) -> Any:
            if isinstance(value, dict):
                return {inner: cut(inner, entry) for inner, entry in value.items()}
            if name == "wrong_references":
                return [cut(name, entry) for entry in value]
            return value[:, rows] if name == "mask_predictions" else value[rows]

        return {name: cut(name, value) for name, value in batch.items()}  # type: ignore[return-value]

    return take


@pytest.fixture(scope="session")
def clip_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny random CLIP model, text part and all, of 32-pixel images."""
    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**small, "vocab_size": 50, "max_position_embeddings": 8, "eos_token_id": 1, "bos_token_id": 0}
    vision = {**small, "image_size": 32, "patch_size": 8}
    folder = tmp_path_factory.mktemp("clip")
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session", params=["vit", "dinov2"])
def dino_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny random DINO or DINOv2 model of 32-pixel images."""
    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "vit":
        ViTModel(ViTConfig(**small, intermediate_size=32), add_pooling_layer=False).save_pretrained(folder)
    else:
        Dinov2Model(Dinov2Config(**small)).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def alexnet_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Random weights of AlexNet's features as torchvision publishes them."""
    torch.manual_seed(0)
    features = torchvision.models.alexnet(weights=None).features.state_dict()
    file = tmp_path_factory.mktemp("alexnet") / "alexnet.pth"
    torch.save({f"features.{name}": value for name, value in features.items()}, file)
    return str(file)


@pytest.fixture(scope="session")
def loaded_lpips(alexnet_path: str) -> LPIPS:
    """LPIPS with its network: building AlexNet takes a second or two."""
    metric = LPIPS(path=alexnet_path)
    metric.setup()
    return metric


@pytest.fixture
def lpips(loaded_lpips: LPIPS) -> LPIPS:
    """A copy of LPIPS with its network."""
    return copy.deepcopy(loaded_lpips)


@pytest.fixture
def scores() -> Callable[..., SampleScores]:
    """Scores of one column by key; all rings unless said otherwise."""

    def build(values: dict[str, float], category: str = "ring", column: str = "x") -> SampleScores:
        return SampleScores(list(values), [category] * len(values), {column: list(values.values())}, {}, True)

    return build
