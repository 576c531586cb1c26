"""What the page generates is what try-on generates, and mistakes are told without a path."""

import io
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ornament_lit.__main__ import main
from ornament_lit.demo import generating
from ornament_lit.demo.examples import examples
from ornament_lit.demo.generating import (
    Generator,
    NamedFile,
    Order,
    Stopped,
    check_ornament,
    check_person,
    collected_warnings,
    warnings_by_thread,
)

BOX = (40.0, 30.0, 100.0, 90.0)


def nothing(step: int, total: int) -> None:
    """Go on."""


@pytest.mark.parametrize("box", [BOX, (40.0, 30.0, 100.0, 90.0, -25.0)])
@pytest.mark.parametrize(("region", "erase"), [("mask", False), ("box", True)])
def test_the_png_is_that_of_try_on(
    warping: Generator,
    ring: NamedFile,
    hand: NamedFile,
    tmp_path: Path,
    box: tuple[float, ...],
    region: str,
    erase: bool,
) -> None:
    ring = ring._replace(name="ring.png")
    worn = warping.generate(Order(ring, hand, box, "ring", 30, 7, region, erase), nothing, "tab")  # type: ignore[arg-type]
    words = ["--ornament", ring.path, "--person", hand.path, "--box=" + ",".join(map(str, box)), "--type=ring"]
    words += ["--seed=7", "--steps=30", f"--region={region}", "--output", str(tmp_path / "out.png")]
    assert main(["try-on", *words, *(["--erase"] if erase else [])]) == 0
    ours, theirs = Image.open(worn.path), Image.open(tmp_path / "out.png")
    assert np.array_equal(np.asarray(ours), np.asarray(theirs)) and ours.mode == theirs.mode
    assert ours.text == theirs.text and ours.text["ornament_lit"]
    assert not np.array_equal(np.asarray(ours), np.asarray(Image.open(hand.path))), "something was put on"


def test_what_is_in_the_folder_of_a_tab_is_replaced(warping: Generator, ring: NamedFile, hand: NamedFile) -> None:
    first = warping.generate(Order(ring, hand, BOX), nothing, "tab").path
    second = warping.generate(Order(ring, hand._replace(name="other.jpg"), BOX), nothing, "tab").path
    assert first.name == "hand-my ring.png" and second.name == "other-my ring.png"
    assert list(second.parent.iterdir()) == [second]


@pytest.mark.parametrize(
    ("name", "kept"), [("n" * 250, "n" * 100), ("\N{RING}" * 62, "\N{RING}" * 25), ("../up", "up")]
)
def test_names_of_files_are_cut(warping: Generator, ring: NamedFile, hand: NamedFile, name: str, kept: str) -> None:
    files = [file._replace(name=f"{name}.png") for file in (ring, hand)]
    assert warping.generate(Order(*files, BOX), nothing, "tab").path.name == f"{kept}-{kept}.png"


def test_steps_are_counted_and_can_be_stopped(denoising: Generator, ring: NamedFile, hand: NamedFile) -> None:
    seen: list[tuple[int, int]] = []
    denoising.generate(Order(ring, hand, BOX), lambda *step: seen.append(step), "tab")
    assert seen == [(0, 0), (1, 3), (2, 3), (3, 3)]

    def stop(step: int, total: int) -> None:
        seen.append((step, total))
        if step == 2:
            raise Stopped

    seen.clear()
    with pytest.raises(Stopped):
        denoising.generate(Order(ring, hand, BOX), stop, "other")
    assert seen[-1] == (2, 3) and not (denoising.folder / "other").exists()
    denoising.generate(Order(ring, hand, BOX), nothing, "other")


def test_the_seed_is_that_of_the_order(denoising: Generator, ring: NamedFile, hand: NamedFile) -> None:
    photograph = Image.open(hand.path)
    for seed in (1, 2):
        worn = denoising.generate(Order(ring, hand, BOX, seed=seed, region="box"), nothing, "tab")
        wanted = denoising.pipeline(Image.open(ring.path), photograph, BOX, seed=seed, region="box").images[0]
        assert np.array_equal(np.asarray(Image.open(worn.path)), np.asarray(wanted))
    other = denoising.pipeline(Image.open(ring.path), photograph, BOX, seed=1, region="box").images[0]
    assert not np.array_equal(np.asarray(other), np.asarray(wanted)), "another seed, another image"


def test_orders_take_turns(warping: Generator, ring: NamedFile, hand: NamedFile) -> None:
    at_work, most = [], []
    pipeline = warping.pipeline

    class Watched:
        """The pipeline, which notes how many use it."""

        def __getattr__(self, name: str) -> Any:
            return getattr(pipeline, name)

        def __call__(self, *args: Any, **options: Any) -> Any:
            at_work.append(1)
            most.append(len(at_work))
            time.sleep(0.05)
            output = pipeline(*args, **options)
            at_work.pop()
            return output

    warping.pipeline = Watched()  # type: ignore[assignment]
    orders = [Order(ring, hand, BOX, seed=seed) for seed in range(3)]
    work = [threading.Thread(target=warping.generate, args=(order, nothing, f"{order.seed}")) for order in orders]
    work += [threading.Thread(target=warping.preview, args=(order,)) for order in orders]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert most == [1] * 6


def test_panels_say_what_there_is(warping: Generator, denoising: Generator, ring: NamedFile, hand: NamedFile) -> None:
    of_warp = warping.generate(Order(ring, hand, BOX), nothing, "tab").panels
    assert [panel.title.split(":")[0] for panel in of_warp] == [
        "What was generated",
        "Predicted mask",
        "Where it looked",
    ]
    of_denoiser = denoising.generate(Order(ring, hand, BOX), nothing, "tab").panels
    assert [panel.title for panel in of_denoiser][1:] == ["Predicted mask", "Where it looked at the ornament"]
    assert all(panel.image.mode == "RGB" and panel.image.height == 512 for panel in of_warp + of_denoiser)


def test_a_preview_is_the_warp_on_the_reduced_photograph(warping: Generator, ring: NamedFile, tmp_path: Path) -> None:
    photograph = Image.fromarray(np.random.default_rng(0).integers(60, 200, (1500, 3000, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[274] = 6
    photograph.save(tmp_path / "turned.jpg", exif=exif)
    turned = NamedFile(str(tmp_path / "turned.jpg"), "turned.jpg")
    box = (300.0, 1200.0, 900.0, 1800.0)
    preview = warping.preview(Order(ring, turned, box))
    shown = Image.open(io.BytesIO(preview.jpeg))
    side = 600 * warping.pipeline.settings.crop_factor
    assert np.allclose(
        preview.place,
        ((600 - side / 2) / 1500, 0.5 - side / 6000, (600 + side / 2) / 1500, 0.5 + side / 6000),
        atol=2e-3,
    )
    assert shown.size == (320, 320), "750 pixels of 3000 that are shown as 1280"
    before = Image.open(tmp_path / "turned.jpg").transpose(Image.Transpose.ROTATE_270).resize((640, 1280))
    bare = np.asarray(before.crop((96, 480, 416, 800)), dtype=float)
    change = np.abs(np.asarray(shown, dtype=float) - bare).mean(-1)
    assert change[32:-32, 32:-32].mean() > 5 > change[:20].mean(), (
        "the ornament is in the box, and the rest is as it was"
    )


def test_a_preview_needs_no_step_of_a_denoiser_and_is_refused_without_a_warp(
    denoising: Generator, ring: NamedFile, hand: NamedFile
) -> None:
    assert not denoising.has_warp and denoising.has_steps
    with pytest.raises(ValueError, match="needs a model with a warp"):
        denoising.preview(Order(ring, hand, BOX))


def test_odd_files_are_refused_in_a_sentence_without_a_path(bad_files: list[NamedFile]) -> None:
    assert len(bad_files) == 14
    for file in bad_files:
        for check in (check_ornament, check_person):
            with pytest.raises(ValueError) as error:
                check(file)
            told = str(error.value)
            assert told.startswith(file.name) and "\n" not in told and "/" not in told.replace(file.name, ""), told


def test_a_photograph_that_is_gone_is_to_be_chosen_again(warping: Generator, ring: NamedFile, hand: NamedFile) -> None:
    Path(hand.path).unlink()
    for work in (lambda: check_person(hand), lambda: warping.generate(Order(ring, hand, BOX), nothing, "tab")):
        with pytest.raises(ValueError, match=r"^hand.png is no longer here; choose it again$"):
            work()


@pytest.mark.parametrize("box", [(500, 500, 600, 600), (-90, -90, -1, -1)])
def test_a_box_outside_is_refused(warping: Generator, ring: NamedFile, hand: NamedFile, box: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="a box must have an area inside the image of 160x120 pixels"):
        warping.generate(Order(ring, hand, box), nothing, "tab")  # type: ignore[arg-type]


def test_warnings_reach_the_one_whose_work_it_is(
    warping: Generator, ring: NamedFile, hand: NamedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    worn = warping.generate(Order(ring, hand, (100, 60, 200, 110)), nothing, "tab")
    assert [told.split(":")[0] for told in worn.warnings] == ["the box [100, 60, 200, 110] leaves the image"]
    told_here, told_there = [], []
    with warnings_by_thread():

        def elsewhere() -> None:
            with collected_warnings() as told:
                warnings.warn("there", UserWarning, stacklevel=1)
                warnings.warn("there", UserWarning, stacklevel=1)
                warnings.warn("of a library", DeprecationWarning, stacklevel=1)
            told_there.extend(told)

        with collected_warnings() as told:
            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            warnings.warn("here", UserWarning, stacklevel=1)
        told_here.extend(told)
        warnings.warn("nobody's", UserWarning, stacklevel=1)
    assert (told_here, told_there) == (["here"], ["there"])


def test_examples_can_be_used_and_boxes_hold_the_ornaments(warping: Generator) -> None:
    assert {example.category for example in examples()} == {"ring", "earring", "necklace", "bracelet"}
    for example in examples():
        check_ornament(example.ornament)
        worn = warping.generate(Order(example.ornament, example.person, example.box, example.category), nothing, "tab")
        assert worn.size == (512, 512) and worn.warnings == []


def test_reduced_photographs_are_read_once(hand: NamedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    monkeypatch.setattr(generating, "_opened", lambda file: opened.append(file) or Image.new("RGB", (3000, 1000)))
    image, factor = generating._reduced(hand)
    assert generating._reduced(hand)[0] is image and len(opened) == 1
    assert image.size == (1280, 427) and factor == 1280 / 3000
