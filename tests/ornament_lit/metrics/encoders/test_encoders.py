"""CLIP-I and DINO-I against transformers' own ways to get the same embeddings, from tiny folders."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModel, CLIPImageProcessor, CLIPModel, CLIPVisionModelWithProjection, ViTImageProcessor

from ornament_lit.metrics import CLIPSimilarity, DINOSimilarity, EmbeddingSimilarity, GeneratedBatch
from ornament_lit.metrics.encoders import CLIPEncoder, DINOEncoder
from ornament_lit.utils.files import file_hash


def as_pillow(pictures: Tensor) -> list[Image.Image]:
    levels = ((pictures + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(picture) for picture in levels]


def rounded(batch: GeneratedBatch) -> GeneratedBatch:
    """The batch with images that 8 bits hold, so that others can read them as files."""
    names = ("generated_image", "person_image", "ornament_image")
    changed = {name: ((batch[name] + 1) * 127.5).round() / 127.5 - 1 for name in names}  # type: ignore[literal-required]
    return {**batch, **changed}  # type: ignore[typeddict-item]


@torch.no_grad()
def clip_second(path: str, pictures: Tensor) -> Tensor:
    processor = CLIPImageProcessor(size={"height": 32, "width": 32}, do_center_crop=False)
    pixels = processor(as_pillow(pictures), return_tensors="pt").pixel_values
    return CLIPModel.from_pretrained(path).get_image_features(pixel_values=pixels).pooler_output


@torch.no_grad()
def dino_second(path: str, pictures: Tensor) -> Tensor:
    statistics = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    processor = ViTImageProcessor(size={"height": 32, "width": 32}, resample=3, **statistics)
    pixels = processor(as_pillow(pictures), return_tensors="pt").pixel_values
    return AutoModel.from_pretrained(path)(pixel_values=pixels).last_hidden_state[:, 0]


def check(metric: EmbeddingSimilarity, second: Callable[[Tensor], Tensor], batch: GeneratedBatch) -> None:
    """Compare with a tolerance for the 8 bits that Pillow rounds to after resizing, which networks of noise magnify."""
    name = metric.name
    metric.update(batch)
    measured = metric.compute()
    drawn, truth, ornament = (second(batch[key]) for key in ("generated_image", "person_image", "ornament_image"))  # type: ignore[literal-required]
    expected = {name: (drawn, truth), f"{name}_reference": (drawn, ornament)}
    for column, pair in expected.items():
        assert measured.values[column] == pytest.approx(100 * F.cosine_similarity(*pair).numpy(), abs=0.5)
    against = 100 * F.cosine_similarity(truth, ornament).numpy()
    assert measured.ground_truth[f"{name}_reference"] == pytest.approx(against, abs=0.5)
    assert list(measured.ground_truth) == [f"{name}_reference"]
    assert np.std(measured.values[name]) > 0


def test_clip_as_transformers_has_it(clip_path: str, build_generated: Callable[..., GeneratedBatch]) -> None:
    check(CLIPSimilarity(clip_path, image_size=32), lambda x: clip_second(clip_path, x), rounded(build_generated()))


def test_dino_as_transformers_has_it(dino_path: str, build_generated: Callable[..., GeneratedBatch]) -> None:
    check(DINOSimilarity(dino_path, image_size=32), lambda x: dino_second(dino_path, x), rounded(build_generated()))


def test_without_resizing_equal_to_rounding(
    clip_path: str, dino_path: str, build_generated: Callable[..., GeneratedBatch]
) -> None:
    """Images of the encoder's own size: only the arithmetic is left to differ."""
    pictures = rounded(build_generated())["person_image"][..., 16:48, 16:48]
    ours = CLIPEncoder(clip_path, 32)(list(pictures))
    assert torch.allclose(ours, clip_second(clip_path, pictures), atol=1e-5)
    ours = DINOEncoder(dino_path, 32)(list(pictures))
    assert torch.allclose(ours, dino_second(dino_path, pictures), atol=1e-5)


def test_the_vision_part_alone_gives_the_same(clip_path: str, tmp_path: Path) -> None:
    pictures = [torch.rand(3, 32, 32) * 2 - 1]
    whole = CLIPEncoder(clip_path, 32)
    network = whole.load()
    assert isinstance(network, CLIPVisionModelWithProjection)
    network.save_pretrained(tmp_path)
    assert torch.allclose(CLIPEncoder(str(tmp_path), 32)(pictures), whole(pictures), atol=1e-6)


def test_older_folders_hold_the_weights_in_another_file(clip_path: str, tmp_path: Path) -> None:
    shutil.copy(Path(clip_path) / "config.json", tmp_path)
    torch.save(load_file(Path(clip_path) / "model.safetensors"), tmp_path / "pytorch_model.bin")
    pictures = [torch.rand(3, 32, 32) * 2 - 1]
    older, newer = CLIPEncoder(str(tmp_path), 32), CLIPEncoder(clip_path, 32)
    assert torch.allclose(older(pictures), newer(pictures), atol=1e-6)
    assert older.protocol()["sha256"] == file_hash(tmp_path / "pytorch_model.bin") != newer.protocol()["sha256"]


def test_other_sizes_interpolate_positions(clip_path: str, dino_path: str) -> None:
    picture = torch.rand(3, 40, 24) * 2 - 1
    for encoder in (CLIPEncoder(clip_path, 48), DINOEncoder(dino_path, 48)):
        assert encoder([picture, picture[:, :24]]).shape[0] == 2


def test_protocol_names_the_weights(clip_path: str) -> None:
    protocol = CLIPSimilarity(clip_path, region="box", reference_region="cutout", resize="bilinear").protocol()
    assert (protocol["region"], protocol["reference_region"]) == ("box", "cutout")
    assert protocol["encoder"] == {
        "encoder": "CLIPEncoder",
        "sha256": file_hash(Path(clip_path) / "model.safetensors"),
        "image_size": 224,
        "resize": "bilinear, antialiased, squeezed to a square",
        "path": clip_path,
    }


def test_a_folder_of_another_model_is_refused(clip_path: str, dino_path: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a CLIP model is of type clip or clip_vision_model"):
        CLIPSimilarity(dino_path).setup()
    shutil.copy(Path(clip_path) / "model.safetensors", tmp_path)
    shutil.copy(Path(dino_path) / "config.json", tmp_path)
    with pytest.raises(ValueError, match="do not fit"):
        DINOSimilarity(str(tmp_path)).setup()
