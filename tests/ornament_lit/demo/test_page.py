"""What the page sends and shows, without a browser."""

import html
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.data_classes import FileData, ImageData

from ornament_lit.demo import page as on_page
from ornament_lit.demo.components import BoxOnImage, BoxPicker, ImageFile
from ornament_lit.demo.generating import Generator, NamedFile
from ornament_lit.demo.page import NO_BOX, NO_ORNAMENT, NO_PERSON, Page, about, order_of, what_is_missing

ROOT = Path(__file__).resolve().parents[3]
BOX = [40.0, 30.0, 100.0, 90.0]


class Request:
    """A browser's."""

    session_hash = "tab"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the page warns of."""
    texts: list[str] = []
    monkeypatch.setattr(gr, "Warning", lambda text, **_: texts.append(text))
    return texts


def test_what_is_missing_is_told_and_nothing_is_done(warping: Generator, ring: NamedFile, told: list[str]) -> None:
    hand = NamedFile("hand.png", "hand.png")
    cases = {NO_ORNAMENT: (None, None), NO_PERSON: (ring, None), NO_BOX: (ring, (hand, None))}
    for text, given in cases.items():
        assert what_is_missing((*given, "ring", 30, 0, "mask", False)) == text
        made = Page(warping)._run(*given, "ring", 30, 0, "mask", False, Request(), lambda *_, **__: None)
        assert told.pop() == text and all("value" not in update for update in made)
    assert what_is_missing((ring, (hand, BOX), "ring", 30, 0, "mask", False)) is None


def test_an_order_is_what_the_page_says(ring: NamedFile) -> None:
    order = order_of((ring, (ring, [*BOX, -30]), "ring", 20.0, 5.0, "box", True))
    assert order.box == (*BOX, -30.0) and (order.steps, order.seed, order.category) == (20, 5, "ring")
    assert type(order.steps) is int and type(order.seed) is int and order.region == "box" and order.erase
    for wrong in ({"kind": "tiara"}, {"seed": None}, {"seed": -1}, {"seed": 2**60}, {"box": [9, 9, 3, 3]}):
        given: dict[str, Any] = {"kind": "ring", "seed": 0, "box": BOX, **wrong}
        with pytest.raises(ValueError):
            order_of((ring, (ring, given["box"]), given["kind"], 20, given["seed"], "mask", False))


def test_a_result_replaces_what_was_there(
    warping: Generator, ring: NamedFile, hand: NamedFile, told: list[str]
) -> None:
    page = Page(warping)
    seen: list[Any] = []
    worn, download, note, *panels = page._run(
        ring, (hand, BOX), "ring", 30, 3, "mask", False, Request(), lambda *step, **_: seen.append(step)
    )
    assert Path(worn).is_file() and download["value"] == worn and download["interactive"] and not told
    assert note == "160 x 120 pixels, seed 3" and [panel["visible"] for panel in panels] == [True] * 3
    cleared = page._cleared()
    assert cleared[0] is None and not cleared[1]["interactive"] and not any(each["visible"] for each in cleared[3:])
    page._leave(Request())
    assert not Path(worn).exists(), "a closed tab leaves nothing"


def test_a_mistake_is_told_as_text_and_a_fault_goes_to_the_terminal(
    warping: Generator,
    ring: NamedFile,
    hand: NamedFile,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = Page(warping)
    run = ("ring", 30, 0, "mask", False, Request(), lambda *_, **__: None)
    page._run(ring._replace(path="gone", name="<img onerror>"), (hand, BOX), *run)
    assert told == ["&lt;img onerror&gt; is no longer here; choose it again"]
    monkeypatch.setattr(warping, "generate", lambda *_: 1 / 0)
    with pytest.raises(gr.Error) as error:
        page._run(ring, (hand, BOX), *run)
    assert error.value.message == on_page.FAULT and "ZeroDivisionError" in capsys.readouterr().err


def test_odd_files_are_taken_away_again(warping: Generator, bad_files: list[NamedFile], told: list[str]) -> None:
    page = Page(warping)
    for file in bad_files:
        assert page._check_person((file, None)) is None
        assert on_page._checked(on_page.check_ornament)(file) is None
        assert len(told) == 2 and all(text.startswith(html.escape(file.name)) for text in told)
        assert not any("<img" in text for text in told)
        told.clear()
    assert page._check_person(None)["__type__"] == "update"


def test_a_preview_belongs_to_its_box(warping: Generator, ring: NamedFile, hand: NamedFile) -> None:
    page = Page(warping)
    given = (ring, (hand, [40.0, 30.0, 100.5, 90.0]), "ring", 30, 0, "mask", False)
    preview = page._preview(*given)["preview"]
    assert preview["box"] == [40, 30, 100.5, 90] and type(preview["box"][0]) is int and preview["path"] == hand.path
    assert preview["src"].startswith("data:image/jpeg;base64,")
    for nothing in ((None, *given[1:]), (ring, (hand, None), *given[2:]), (ring, (hand, [1, 1, 0, 0]), *given[2:])):
        assert page._preview(*nothing)["preview"] is None


def test_files_come_with_the_name_that_the_person_knows(
    ring: NamedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    picker, image = BoxPicker(), ImageFile()
    data = FileData(path=ring.path, orig_name="my ring.png")
    assert picker.preprocess(BoxOnImage(image=data, box=BOX)) == (ring, BOX)
    assert picker.preprocess(BoxOnImage()) is None and picker.preprocess(None) is None
    assert (
        image.preprocess(ImageData(path=ring.path, orig_name="my ring.png")) == ring and image.preprocess(None) is None
    )
    assert picker.postprocess((ring, BOX)).image.path == ring.path and picker.postprocess(None).image is None
    assert image.postprocess(ring).path == ring.path and image.postprocess(None) is None


@pytest.mark.parametrize(
    "data",
    [
        {"path": "http://example.org/a.png"},
        {"path": "x", "url": "data:image/png;base64,AA"},
        {"path": ""},
        {"path": str(ROOT / "examples" / "earring.jpg")},
        {"path": "uploads/../ring.png"},
    ],
)
def test_what_was_not_uploaded_is_refused(
    data: dict[str, str], ring: NamedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRADIO_TEMP_DIR", "uploads")
    with pytest.raises(gr.Error, match="Choose a file"):
        ImageFile().preprocess(ImageData(**data))
    with pytest.raises(gr.Error, match="Choose a file"):
        BoxPicker().preprocess(BoxOnImage(image=FileData(**data)))


def test_the_page_says_what_the_model_is(warping: Generator, denoising: Generator) -> None:
    assert "lays the ornament's own photograph" in about(warping)
    assert "32 x 32 pixels" in about(denoising) and "blurred ornaments" in about(denoising)


def test_no_stubs_are_written_beside_the_code() -> None:
    assert not list((ROOT / "ornament_lit").rglob("*.pyi"))
