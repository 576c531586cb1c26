"""WrongReferenceGap: paired differences of other metrics."""

from collections.abc import Callable

import numpy as np
import pytest

from ornament_lit.metrics import FID, LPIPS, PSNR, CLIPSimilarity, GeneratedBatch, WrongReferenceGap
from ornament_lit.metrics.encoders import CLIPEncoder


def test_it_is_the_difference_for_each_sample(
    lpips: LPIPS, clip_path: str, build_generated: Callable[..., GeneratedBatch]
) -> None:
    batch = build_generated()
    batch["generated_image"] = 0.5 * (batch["person_image"] + batch["generated_image"])
    wrong: GeneratedBatch = {**batch, **batch["wrong_reference"]}  # type: ignore[typeddict-item]
    others = [PSNR(), lpips, CLIPSimilarity(clip_path, image_size=32)]
    gap = WrongReferenceGap(others)
    gap.update(batch)
    values = gap.compute().values
    for metric, sign in zip(others, (1, -1, 1), strict=True):
        right_values, wrong_values = [], []
        for one, kept in ((batch, right_values), (wrong, wrong_values)):
            metric.reset()
            metric.update(one)
            kept.append(metric.compute().values)
        for name in right_values[0]:
            expected = sign * (right_values[0][name] - wrong_values[0][name])
            assert values[f"{name}_gap"] == pytest.approx(expected, abs=1e-4)
    assert np.all(values["psnr_inside_gap"] > 1)
    assert np.all(values["lpips_gap"] > 0)


def test_an_ignored_reference_has_no_gap(build_generated: Callable[..., GeneratedBatch]) -> None:
    batch = build_generated()
    same = {name: batch[name] for name in ("generated_image", "mask_predictions")}  # type: ignore[literal-required]
    gap = WrongReferenceGap([PSNR()])
    gap.update({**batch, "wrong_reference": same})  # type: ignore[typeddict-item]
    measured = gap.compute()
    assert measured.interval("psnr_inside_gap", measured.rows()) == (0.0, 0.0, 0.0, 5)


def test_without_a_second_drawing_it_says_so(build_generated: Callable[..., GeneratedBatch]) -> None:
    batch = build_generated()
    del batch["wrong_reference"]
    with pytest.raises(ValueError, match="make the batch a second time"):
        WrongReferenceGap([PSNR()]).update(batch)


def test_only_metrics_with_a_value_for_each_sample(clip_path: str) -> None:
    with pytest.raises(ValueError, match="got FID"):
        WrongReferenceGap([FID(CLIPEncoder(clip_path))])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="got none"):
        WrongReferenceGap([])


def test_the_second_drawing_is_checked(clip_path: str, build_generated: Callable[..., GeneratedBatch]) -> None:
    """The first drawing's photograph must not be taken for the second's."""
    batch = build_generated()
    photographs = list(batch["person_image"])
    whole = CLIPSimilarity(clip_path, region="full", image_size=32)
    with pytest.raises(ValueError, match="no generated_photograph"):
        WrongReferenceGap([whole]).update(
            {**batch, "person_photograph": photographs, "generated_photograph": photographs}
        )
    other = {**batch["wrong_reference"], "generated_image": batch["generated_image"][:2]}
    with pytest.raises(ValueError, match=r"generated_image must be \(5, 3, 64, 64\)"):
        WrongReferenceGap([PSNR()]).update({**batch, "wrong_reference": other})  # type: ignore[typeddict-item]
