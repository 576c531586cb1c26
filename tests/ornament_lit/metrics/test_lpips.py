"""LPIPS against torchmetrics' own copy of it, on shared weights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torchmetrics.functional.image.lpips import _LPIPS

from ornament_lit.metrics import LPIPS, GeneratedBatch
from ornament_lit.utils.files import file_hash


def second_implementation(net: str, path: str) -> _LPIPS:
    network = _LPIPS(net=net, pnet_rand=True)  # type: ignore[arg-type]
    published = torch.load(path, weights_only=True)
    names = {name: name.partition(".")[2] for name in network.net.state_dict()}
    network.net.load_state_dict({name: published[f"features.{layer}"] for name, layer in names.items()})
    return network


def check_against_the_second(metric: LPIPS, batch: GeneratedBatch) -> None:
    metric.update(batch)
    with torch.no_grad():
        expected = second_implementation(metric.net, str(metric.path))(
            batch["generated_image"], batch["person_image"]
        ).flatten()
    assert expected.min() > 0.001
    assert metric.compute().values["lpips"] == pytest.approx(expected.numpy(), abs=1e-4)


def test_as_torchmetrics_has_it(lpips: LPIPS, build_generated: Callable[..., GeneratedBatch]) -> None:
    check_against_the_second(lpips, build_generated())


@pytest.mark.slow
def test_vgg_as_torchmetrics_has_it(tmp_path: Path, build_generated: Callable[..., GeneratedBatch]) -> None:
    import torchvision

    features = torchvision.models.vgg16(weights=None).features.state_dict()
    path = tmp_path / "vgg.pth"
    torch.save({f"features.{name}": value for name, value in features.items()}, path)
    check_against_the_second(LPIPS("vgg", str(path)), build_generated(2))


def test_regions_and_sizes(lpips: LPIPS, build_generated: Callable[..., GeneratedBatch]) -> None:
    box = torch.zeros(5, 1, 64, 64)
    box[:, :, 10:50, 12:52] = 1
    box[0, :, 10:54, 12:52] = 1  # another size than the others
    batch = build_generated(box_mask=box)
    batch["generated_image"] = box * batch["person_image"] + (1 - box) * batch["generated_image"]
    values = {}
    for region, size in (("crop", None), ("crop", 48), ("box", None), ("box", 48)):
        lpips.region, lpips.image_size = region, size  # type: ignore[assignment]
        lpips.reset()
        lpips.update(batch)
        values[region, size] = lpips.compute().values["lpips"]
    assert values["crop", None].min() > 0.001
    assert not np.allclose(values["crop", None], values["crop", 48], rtol=0.01)
    for size in (None, 48):
        assert values["box", size][1:] == pytest.approx(0.0, abs=1e-6)
        assert values["box", size][0] > 1e-5  # the square around 44 x 40 pixels reaches beyond the box


def test_protocol_names_the_weights(alexnet_path: str) -> None:
    protocol = LPIPS(path=alexnet_path, region="box", image_size=64).protocol()
    assert protocol["sha256"] == file_hash(Path(alexnet_path))
    assert (protocol["net"], protocol["region"], protocol["resize"]) == (
        "alex",
        "box",
        "bicubic, antialiased, to 64 px",
    )


def test_small_pictures_need_a_size(alexnet_path: str, build_generated: Callable[..., GeneratedBatch]) -> None:
    batch = build_generated(1, box_mask=torch.zeros(1, 1, 64, 64))
    batch["box_mask"][:, :, 4:20, 4:20] = 1
    with pytest.raises(ValueError, match="16 x 16; set image_size"):
        LPIPS(path=alexnet_path, region="box").update(batch)
    with pytest.raises(ValueError, match="image_size must be 32 or more"):
        LPIPS(image_size=16)
