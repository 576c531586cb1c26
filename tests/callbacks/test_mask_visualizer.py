"""MaskVisualizer: which samples are drawn, in which columns, and where the image goes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from callbacks import MaskVisualizer, TrainableEMA
from callbacks.grid import GREEN, HEADER, LEFT, MARGIN, draw_grid, enlarge, outline, overlay

Build = Callable[..., Trainer]


def test_writes_a_grid_of_the_expected_size(
    make_trainer: Build, module: LightningModule, data: LightningDataModule, tmp_path: Path
) -> None:
    make_trainer(MaskVisualizer(num_samples=6)).fit(module, data)
    with Image.open(tmp_path / "grid.png") as grid:
        columns, rows, cell = 8, 6, 128 + MARGIN
        assert grid.size == (LEFT + columns * cell, HEADER + rows * cell)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grid.png"]


def test_takes_the_first_samples_of_each_type(
    make_trainer: Build, module: LightningModule, data: LightningDataModule
) -> None:
    visualizer = MaskVisualizer(num_samples=6)
    make_trainer(visualizer, max_epochs=1).fit(module, data)
    assert [category for category, _ in visualizer._samples] == [
        "ring",
        "ring",
        "bracelet",
        "necklace",
        "earring",
        "bracelet",
    ]


def test_columns_and_notes_of_a_sample() -> None:
    truth = torch.zeros(1, 8, 8)
    truth[:, :4] = 1
    sample = {
        "ornament": torch.zeros(3, 8, 8),
        "masked_person": torch.full((3, 8, 8), 0.5),
        "person": torch.ones(3, 8, 8),
        "box": torch.ones(1, 8, 8),
        "ground_truth": truth,
        "masks": torch.stack([torch.full((1, 8, 8), 0.6), 0.9 * truth]),
        "attention": 0.25 * truth,
    }
    cells = MaskVisualizer(cell_size=20).cells(sample, 0.5)
    assert {name: note for name, (_, note) in cells.items()} == {
        "ornament": "",
        "person + box": "",
        "mask 1": "IoU 0.50",
        "mask 2": "IoU 1.00",
        "attention": "max 0.25",
        "true mask": "",
        "true person": "",
    }
    assert all(picture.shape == (3, 24, 24) for picture, _ in cells.values())
    sample["generated"] = torch.full((3, 8, 8), 0.25)
    assert MaskVisualizer(sampling_steps=7).cells(sample, 0.5)["try-on"][1] == "7 steps"
    sample["masks"] = torch.zeros(0, 1, 8, 8)
    assert not any(name.startswith("mask") for name in MaskVisualizer().cells(sample, 0.5))


def test_draws_the_samples_that_it_shows_with_few_steps_and_averaged_weights(
    make_trainer: Build, module: LightningModule, data: LightningDataModule, tmp_path: Path
) -> None:
    make_trainer(TrainableEMA(0.5), MaskVisualizer(num_samples=4, sampling_steps=3), max_epochs=1).fit(module, data)
    assert [(keys, steps) for keys, steps, _ in module.drawn] == [
        (["sample-0", "sample-3"], 3),
        (["sample-4", "sample-5"], 3),
    ]
    assert module.sampler.num_steps == 6
    assert {gain for *_, gain in module.drawn} == {module.gains[-1]} != {module.gain.item()}
    with Image.open(tmp_path / "grid.png") as grid:
        column = LEFT + 6 * (128 + MARGIN)
        assert grid.getpixel((column + 40, HEADER + 40)) == (255, 0, 0), "what was drawn, in the box"
        assert grid.getpixel((column + 100, HEADER + 20)) != (255, 0, 0), "the masked person elsewhere"


def test_drawings_can_be_left_out(
    make_trainer: Build, module: LightningModule, data: LightningDataModule, tmp_path: Path
) -> None:
    make_trainer(MaskVisualizer(num_samples=4, sampling_steps=0), max_epochs=1).fit(module, data)
    assert module.drawn == []
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.width == LEFT + 7 * (128 + MARGIN)
    with pytest.raises(ValueError, match="sampling_steps must not be negative"):
        MaskVisualizer(sampling_steps=-1)


def test_keeps_copies_on_request(
    make_trainer: Build, module: LightningModule, data: LightningDataModule, tmp_path: Path
) -> None:
    make_trainer(MaskVisualizer(keep=True)).fit(module, data)
    assert sorted(path.name for path in (tmp_path / "grids").iterdir()) == ["step-000002.png", "step-000004.png"]


def test_is_shown_in_tensorboard(
    make_trainer: Build, module: LightningModule, data: LightningDataModule, tmp_path: Path
) -> None:
    logger = TensorBoardLogger(tmp_path, name="", version="")
    make_trainer(MaskVisualizer(num_samples=4), logger=logger).fit(module, data)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [image.step for image in events.Images("val/masks")] == [2, 4]
    with Image.open(tmp_path / "grid.png") as grid:
        assert (events.Images("val/masks")[-1].width, events.Images("val/masks")[-1].height) == grid.size


def test_box_alone_and_zero_attention(
    make_trainer: Build, build_module: type[LightningModule], data: LightningDataModule, tmp_path: Path
) -> None:
    make_trainer(MaskVisualizer()).fit(build_module(num_iterations=0, mass=0.0), data)
    assert (tmp_path / "grid.png").exists()


def test_sanity_check_draws_nothing(
    make_trainer: Build, module: LightningModule, data: LightningDataModule, tmp_path: Path
) -> None:
    make_trainer(MaskVisualizer(), limit_train_batches=0).fit(module, data)
    assert not (tmp_path / "grid.png").exists()


def test_two_ranks_write_one_grid(
    make_trainer: Build, module: LightningModule, data: LightningDataModule, tmp_path: Path
) -> None:
    make_trainer(MaskVisualizer(), strategy="ddp_fork", devices=2, max_epochs=1).fit(module, data)
    assert (tmp_path / "grid.png").exists()


def test_outline_is_the_inner_edge() -> None:
    mask = torch.zeros(1, 5, 5, dtype=torch.bool)
    mask[:, 1:4, 1:4] = True
    drawn = outline(torch.zeros(3, 5, 5), mask, GREEN)
    edge = mask.clone()
    edge[:, 2, 2] = False
    assert torch.equal(drawn[1] > 0, edge[0])
    assert outline(torch.zeros(3, 5, 5), torch.ones(1, 5, 5, dtype=torch.bool), GREEN)[1, 0, 0] > 0


def test_overlay_is_colour_where_the_mask_is_one() -> None:
    picture, mask = torch.ones(3, 1, 2), torch.tensor([[[0.0, 1.0]]])
    assert overlay(picture, mask, GREEN)[:, 0].T.tolist() == [[0.5, 0.5, 0.5], pytest.approx(GREEN)]


@pytest.mark.parametrize(("size", "expected"), [(64, 128), (100, 200), (128, 128), (512, 512)])
def test_enlarges_by_whole_numbers(size: int, expected: int) -> None:
    assert enlarge(torch.rand(3, size, size), 128).shape == (3, expected, expected)


def test_grid_puts_pictures_in_place() -> None:
    red, blue = torch.zeros(2, 3, 10, 20)
    red[0], blue[2] = 1, 1
    grid = draw_grid([("first", {"a": (red, ""), "b": (blue, "")}), ("second", {"a": (blue, ""), "b": (red, "")})])
    left, right = LEFT + 10, LEFT + 20 + MARGIN + 10
    top, bottom = HEADER + 5, HEADER + 10 + MARGIN + 5
    assert grid.getpixel((left, top)) == grid.getpixel((right, bottom)) == (255, 0, 0)
    assert grid.getpixel((right, top)) == grid.getpixel((left, bottom)) == (0, 0, 255)


@pytest.mark.parametrize("options", [{"num_samples": 0}, {"cell_size": 0}])
def test_wrong_sizes_say_the_rule(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        MaskVisualizer(**options)
