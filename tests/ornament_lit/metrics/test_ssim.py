"""SSIM against scikit-image, and by hand."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from ornament_lit.metrics import SSIM, GeneratedBatch


def blurred(batch: GeneratedBatch) -> torch.Tensor:
    """Something between the ground truth and noise."""
    return 0.7 * batch["person_image"] + 0.3 * batch["generated_image"]


def test_as_scikit_image_has_it(build_generated: Callable[..., GeneratedBatch]) -> None:
    batch = build_generated()
    batch["generated_image"] = blurred(batch)
    metric = SSIM()
    metric.update(batch)
    values = metric.compute().values
    for row in range(5):
        drawn, truth, box = (
            batch[name][row].double().numpy() for name in ("generated_image", "person_image", "box_mask")
        )  # type: ignore[literal-required]
        for name, side in (("ssim_inside", box > 0.5), ("ssim_outside", box < 0.5)):
            _, similarities = structural_similarity(
                np.where(side, drawn, truth),
                truth,
                channel_axis=0,
                data_range=2.0,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                full=True,
            )
            expected = similarities.mean(0)[5:-5, 5:-5][side[0, 5:-5, 5:-5]].mean()
            assert 0.1 < expected < 0.99
            assert values[name][row] == pytest.approx(expected, abs=1e-5)


def test_sides_are_apart(build_generated: Callable[..., GeneratedBatch]) -> None:
    batch = build_generated()
    box = batch["box_mask"]
    batch["generated_image"] = box * batch["generated_image"] + (1 - box) * batch["person_image"]
    metric = SSIM()
    metric.update(batch)
    values = metric.compute().values
    assert np.all(values["ssim_inside"] < 0.3)
    assert values["ssim_outside"] == pytest.approx(1.0)


def test_a_constant_shift_by_hand(build_generated: Callable[..., GeneratedBatch]) -> None:
    """Without variance the similarity is (2 a b + c) / (a^2 + b^2 + c), c = (0.01 * 2)^2."""
    flat = [torch.full((5, 3, 64, 64), value) for value in (0.5, 0.3)]
    metric = SSIM()
    metric.update(build_generated(person_image=flat[0], generated_image=flat[1], box_mask=torch.ones(5, 1, 64, 64)))
    expected = (2 * 0.5 * 0.3 + 0.0004) / (0.25 + 0.09 + 0.0004)
    assert metric.compute().values["ssim_inside"] == pytest.approx(expected, abs=1e-4)


def test_a_box_of_the_whole_crop_leaves_no_outside(build_generated: Callable[..., GeneratedBatch]) -> None:
    metric = SSIM()
    metric.update(build_generated(box_mask=torch.ones(5, 1, 64, 64)))
    measured = metric.compute()
    assert np.isnan(measured.values["ssim_outside"]).all()
    assert measured.interval("ssim_outside", measured.rows()).n == 0
    assert measured.interval("ssim_inside", measured.rows()).n == 5


def test_too_small_pictures_say_so(build_generated: Callable[..., GeneratedBatch]) -> None:
    batch = build_generated()
    batch.pop("generated_correspondence", None)  # type: ignore[misc]
    names = ("generated_image", "person_image", "ornament_image", "ornament_mask", "wearing_mask", "box_mask")
    small = {name: batch[name][..., :10, :10] for name in names}  # type: ignore[literal-required]
    with pytest.raises(ValueError, match="more than 10 px, got 10"):
        SSIM().update({**batch, **small, "mask_predictions": batch["mask_predictions"][..., :10, :10]})  # type: ignore[typeddict-item]
