"""Steps are those of the trainer: as many as asked for, clipped, accumulated, and the weights change."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback

from ornament_lit.profiling.batches import draw_batch, with_size, without_values
from ornament_lit.profiling.memory import free_memory, peak_memory, used_memory
from ornament_lit.profiling.peak import compute_dtype, measure_peak
from ornament_lit.profiling.steps import Recipe, take_steps

CPU = torch.device("cpu")


class Gradients(Callback):
    """Notes the norm of the gradients that the optimizer sees."""

    def __init__(self) -> None:
        self.norms: list[float] = []

    def on_before_zero_grad(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        squares = [parameter.grad.square().sum() for parameter in pl_module.parameters() if parameter.grad is not None]
        if squares:
            self.norms.append(float(torch.stack(squares).sum().sqrt()))


def test_steps_are_counted_and_the_weights_change(build_module: Any) -> None:
    module, calls = build_module(), []
    before = module.model.denoiser.unet.conv_in.weight.clone()
    took = take_steps(module, draw_batch(32, 2), Recipe(), CPU, counted=2, warm_up=1, advance=lambda: calls.append(1))
    assert len(took.seconds) == 2 and min(took.seconds) > 0
    assert len(took.losses) == len(calls) == 3
    assert took.samples_per_second == pytest.approx(2 / (sum(took.seconds) / 2))
    assert took.peak > 2**26
    assert not torch.equal(module.model.denoiser.unet.conv_in.weight, before)


def test_accumulated_batches_are_one_step(build_module: Any) -> None:
    took = take_steps(build_module(), draw_batch(32, 2), Recipe(accumulate=3), CPU, counted=2, warm_up=0)
    assert took.samples == 6
    assert len(took.seconds) == len(took.losses) == 2


def test_gradients_are_clipped(build_module: Any) -> None:
    gradients = Gradients()
    take_steps(build_module(), draw_batch(32, 1), Recipe(clip=1e-3), CPU, 2, 0, [gradients])
    assert gradients.norms and max(gradients.norms) <= 1.001e-3


def test_batches_get_another_size_and_lose_their_values() -> None:
    batch = draw_batch(32, 2)
    larger = with_size(batch, 5)
    assert larger["key"] == ["0", "1", "0", "1", "0"]
    assert torch.equal(larger["person_image"][4], batch["person_image"][0])
    assert with_size(batch, 2) is batch
    stripped = without_values(with_size(batch, 1))
    assert stripped["person_image"].device.type == "meta"
    assert stripped["sample_seed"].tolist() == [0]


def test_memory_is_told() -> None:
    used, free = used_memory(CPU), free_memory(CPU)
    assert used is not None and free is not None
    assert 2**25 < used < 1.05 * peak_memory(CPU) and free > 0  # the peak is told a little later


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process is told its parent's peak, too")
def test_a_new_process_does_not_count_what_its_parent_has() -> None:
    held = torch.ones(2**28)  # a GiB
    code = (
        "import torch; from ornament_lit.profiling.memory import peak_memory; print(peak_memory(torch.device('cpu')))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 2**25 < int(told) < held.nbytes


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [
        ("bf16-mixed", "bfloat16"),
        ("bf16-true", "bfloat16"),
        ("16-mixed", "float16"),
        (32, "float32"),
        (None, "float32"),
    ],
)
def test_type_of_a_precision(precision: Any, dtype: str) -> None:
    assert compute_dtype(precision) is getattr(torch, dtype)


def test_peak_is_of_the_order_of_a_processor() -> None:
    assert 1e8 < measure_peak(CPU, torch.float32, seconds=0, side=256) < 1e14
