"""PSNR against scikit-image, and by hand."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from ornament_lit.metrics import PSNR, GeneratedBatch


def test_as_scikit_image_has_it(build_generated: Callable[..., GeneratedBatch]) -> None:
    batch, metric = build_generated(), PSNR()
    metric.update(batch)
    values = metric.compute().values
    for row in range(5):
        inside = batch["box_mask"][row, 0].numpy() > 0.5
        drawn, truth = (batch[name][row].numpy() for name in ("generated_image", "person_image"))  # type: ignore[literal-required]
        for name, side in (("psnr_inside", inside), ("psnr_outside", ~inside)):
            expected = peak_signal_noise_ratio(truth[:, side], drawn[:, side], data_range=2.0)
            assert values[name][row] == pytest.approx(expected, abs=1e-4)


def test_by_hand(build_generated: Callable[..., GeneratedBatch]) -> None:
    """A tenth of the range off inside the box: 20 dB. Equal outside: the ceiling."""
    truth, metric = torch.zeros(5, 3, 64, 64), PSNR()
    batch = build_generated(person_image=truth)
    batch["generated_image"] = 0.2 * batch["box_mask"].expand_as(truth)
    metric.update(batch)
    values = metric.compute().values
    assert values["psnr_inside"] == pytest.approx(20.0, abs=1e-4)
    assert values["psnr_outside"].tolist() == [100.0] * 5


def test_what_is_out_of_range_is_clamped(build_generated: Callable[..., GeneratedBatch]) -> None:
    metric = PSNR()
    metric.update(
        build_generated(person_image=torch.ones(5, 3, 64, 64), generated_image=torch.full((5, 3, 64, 64), 7.0))
    )
    assert np.all(metric.compute().values["psnr_inside"] == 100.0)
