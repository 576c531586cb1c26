"""The page in a real browser: mouse, touch and keys, files, progress, stop, download.

Needs a Chromium on PATH, or its path in ORNAMENT_LIT_CHROMIUM. Without one these tests are skipped, or fail where
ORNAMENT_LIT_BROWSER_TESTS is "required", as in CI.
"""

import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Locator, sync_playwright
from playwright.sync_api import Page as Tab

from ornament_lit.__main__ import main
from ornament_lit.demo.generating import Generator, NamedFile, StepCallback, Worn, warnings_by_thread
from ornament_lit.demo.page import NO_ORNAMENT, Page
from ornament_lit.demo.serving import address_of, guarded, listen, workspace
from ornament_lit.pipeline import OrnamentTryOnPipeline

NAMES = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")
CHROMIUM = os.environ.get("ORNAMENT_LIT_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
REQUIRED = os.environ.get("ORNAMENT_LIT_BROWSER_TESTS") == "required"
pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None and not REQUIRED,
        reason="needs a Chromium: apt-get install chromium, or ORNAMENT_LIT_CHROMIUM=/path/to/it",
    ),
    pytest.mark.timeout(240),
]
WAIT = 60_000
SHOWN = "#person .preview:not([hidden])"


@contextmanager
def served(generator: Generator) -> Iterator[str]:
    """A page's address."""
    page = Page(generator)
    server = uvicorn.Server(
        uvicorn.Config(page.mounted(guarded(any_address=False)), log_level="critical", timeout_graceful_shutdown=1)
    )
    with listen("127.0.0.1", 0) as listening, warnings_by_thread():
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield address_of(listening)
        finally:
            page.jobs.stop_all()
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where uploads and results lie."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", "")  # what it was comes back
        with workspace() as path:
            yield path


@pytest.fixture(scope="module")
def address(shipped: OrnamentTryOnPipeline, folder: Path) -> Iterator[str]:
    """The page of the weights that ship."""
    with served(Generator(shipped, folder / "worn")) as url:
        yield url


class Slow(Generator):
    """A generator that takes its time at each step."""

    def generate(self, order: object, on_step: StepCallback, session: str) -> Worn:
        """Wait before each step is told."""

        def later(step: int, total: int) -> None:
            time.sleep(0.4)
            on_step(step, total)

        return super().generate(order, later, session)  # type: ignore[arg-type]


@pytest.fixture
def slow_address(denoising: Generator, folder: Path) -> Iterator[str]:
    """The page of a model of twelve slow steps."""
    denoising.pipeline.settings = type(denoising.pipeline.settings)(
        **{**vars(denoising.pipeline.settings), "num_inference_steps": 12}
    )
    with served(Slow(denoising.pipeline, folder / "slow")) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    assert CHROMIUM is not None, "ORNAMENT_LIT_BROWSER_TESTS=required, and there is no Chromium; install one"
    with sync_playwright() as driver:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        shown = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield shown
        shown.close()


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Open a page; at the end of the test it has asked nobody else, and no script has failed."""
    asked: list[str] = []
    failed: list[str] = []
    tabs: list[Tab] = []

    def open_(url: str, width: int = 1280, touch: bool = False) -> Tab:
        context = browser.new_context(viewport={"width": width, "height": 900}, has_touch=touch)
        tab = context.new_page()
        tab.set_default_timeout(WAIT)
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: failed.append(str(error)))
        tab.on("dialog", lambda dialog: failed.append(dialog.message) or dialog.dismiss())
        tab.goto(url)
        tab.wait_for_selector("#go")
        tabs.append(tab)
        return tab

    yield open_
    for tab in tabs:
        tab.context.close()
    assert [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))] == []
    assert failed == []


def photograph(path: Path, size: tuple[int, int], orientation: int = 1) -> Path:
    """A photograph that a viewer shows in this size, stored as cameras do."""
    small = np.random.default_rng(0).integers(60, 200, (16, 16, 3), dtype=np.uint8)
    stored = size if orientation < 5 else size[::-1]
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(small).resize(stored).save(path, exif=exif)
    return path


def choose_person(tab: Tab, path: Path, size: tuple[int, int]) -> None:
    """Choose a photograph, and wait until it is shown upright."""
    tab.locator("#person input[type=file]").set_input_files(path)
    tab.wait_for_function(
        "([w, h]) => [...document.querySelectorAll('#person .photo')]"
        ".some((image) => image.naturalWidth == w && image.naturalHeight == h)",
        arg=size,
    )
    tab.locator("#person .stage").scroll_into_view_if_needed()
    tab.wait_for_function("() => document.querySelector('#person .photo').getBoundingClientRect().width > 20")
    tab.wait_for_timeout(300)


def choose_ornament(tab: Tab, path: Path) -> None:
    """Choose an ornament, and wait until it is shown."""
    tab.locator("#ornament input[type=file]").first.set_input_files(path)
    tab.wait_for_selector("#ornament img")


def drag(tab: Tab, *points: tuple[float, float], touch: bool = False) -> None:
    """Drag through points of the screen."""
    if touch:
        client = tab.context.new_cdp_session(tab)
        for number, (x, y) in enumerate(points):
            kind = "touchMove" if number else "touchStart"
            client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        return
    tab.mouse.move(*points[0])
    tab.mouse.down()
    for point in points[1:]:
        tab.mouse.move(*point, steps=3)
    tab.mouse.up()


def on_photograph(tab: Tab, *shares: tuple[float, float]) -> list[tuple[float, float]]:
    """Points of the screen, from shares of the photograph's width and height."""
    r = tab.locator("#person .photo").bounding_box()
    assert r is not None
    return [(r["x"] + r["width"] * x, r["y"] + r["height"] * y) for x, y in shares]


def middle_of(locator: Locator) -> tuple[float, float]:
    r = locator.bounding_box()
    assert r is not None
    return r["x"] + r["width"] / 2, r["y"] + r["height"] / 2


def box_of(tab: Tab) -> list[int]:
    """The four numbers that the page tells."""
    said = tab.locator("#person .say").inner_text()
    return [int(number) for number in re.findall(r"-?\d+", said.split("of")[0])]


def angle_of(tab: Tab) -> int:
    return int(tab.locator("#person .angle output").inner_text().removesuffix("°"))


SIZES = [((900, 1200), 6), ((1200, 700), 3), ((700, 1200), 8), ((640, 480), 1), ((16, 16), 1)]
MORE_SIZES = [((600, 800), orientation) for orientation in range(1, 9)] + [((8944, 6708), 1), ((6708, 8944), 6)]


def check_box(tab: Tab, path: Path, size: tuple[int, int], orientation: int, touch: bool) -> None:
    choose_person(tab, photograph(path, size, orientation), size)
    drag(tab, *on_photograph(tab, (0.4, 0.3), (0.5, 0.4), (0.6, 0.5)), touch=touch)
    r = tab.locator("#person .photo").bounding_box()
    assert r is not None and abs(r["width"] / r["height"] - size[0] / size[1]) < 0.02
    pixel = max(1.0, size[0] / r["width"])
    wanted = [0.4 * size[0], 0.3 * size[1], 0.6 * size[0], 0.5 * size[1]]
    assert np.allclose(box_of(tab), wanted, atol=pixel + 0.5), (size, orientation)


@pytest.mark.parametrize("touch", [False, True], ids=["mouse", "touch"])
def test_a_box_is_in_pixels_of_the_upright_photograph(
    address: str, open_tab: Callable[..., Tab], tmp_path: Path, touch: bool
) -> None:
    tab = open_tab(address, 390 if touch else 1280, touch)
    for number, (size, orientation) in enumerate(SIZES):
        check_box(tab, tmp_path / f"{number}.png", size, orientation, touch)
        tab.click("#person .clear")
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the screen"


@pytest.mark.slow
def test_all_orientations_and_sixty_megapixels(address: str, open_tab: Callable[..., Tab], tmp_path: Path) -> None:
    tab = open_tab(address)
    for number, (size, orientation) in enumerate(MORE_SIZES):
        check_box(tab, tmp_path / f"{number}.jpg", size, orientation, touch=False)
        tab.click("#person .clear")


def test_a_box_is_moved_sized_turned_and_clipped(address: str, open_tab: Callable[..., Tab], tmp_path: Path) -> None:
    tab = open_tab(address)
    choose_person(tab, photograph(tmp_path / "a.png", (400, 400)), (400, 400))
    drag(tab, *on_photograph(tab, (0.5, 0.5), (0.8, 0.7), (1.4, 1.2)))
    assert box_of(tab) == [200, 200, 400, 400], "past the edge it is clipped"
    drag(tab, *on_photograph(tab, (0.2, 0.2), (0.3, 0.3), (0.4, 0.35)))
    first = box_of(tab)
    assert np.allclose(first, [80, 80, 160, 140], atol=2), "beside the box a new one is drawn"
    tab.mouse.click(*on_photograph(tab, (0.9, 0.9))[0])
    x, y = on_photograph(tab, (0.9, 0.9))[0]
    drag(tab, (x, y), (x + 2, y + 2))
    assert box_of(tab) == first, "a tap keeps the box, even of a hand that shakes"
    drag(tab, *on_photograph(tab, (0.3, 0.27), (0.4, 0.3), (0.5, 0.37)))
    moved = box_of(tab)
    assert np.allclose(moved, np.add(first, [80, 40, 80, 40]), atol=2) and moved[2] - moved[0] == first[2] - first[0]
    drag(tab, middle_of(tab.locator("#person .se")), *on_photograph(tab, (0.6, 0.5), (0.7, 0.6)))
    sized = box_of(tab)
    assert sized[:2] == moved[:2] and np.allclose(sized[2:], [280, 240], atol=2)
    x, y = (sized[0] + sized[2]) / 800, (sized[1] + sized[3]) / 800
    drag(tab, middle_of(tab.locator("#person .turn")), *on_photograph(tab, (x + 0.1, y - 0.2), (x + 0.2, y - 0.2)))
    assert angle_of(tab) == 45 and box_of(tab) == sized, "the handle is upper right of the centre"
    corner = middle_of(tab.locator("#person .nw"))
    drag(tab, middle_of(tab.locator("#person .se")), *on_photograph(tab, (0.5, 0.6), (0.5, 0.7)))
    assert np.allclose(middle_of(tab.locator("#person .nw")), corner, atol=2), "the opposite corner stays"
    assert angle_of(tab) == 45
    tab.locator("#person .angle input").focus()
    tab.keyboard.press("ArrowLeft")
    assert angle_of(tab) == 44


def test_keys_move_and_size_the_box(address: str, open_tab: Callable[..., Tab], tmp_path: Path) -> None:
    tab = open_tab(address)
    choose_person(tab, photograph(tmp_path / "a.png", (400, 300)), (400, 300))
    tab.locator("#person .stage").focus()
    tab.keyboard.press("ArrowRight")
    assert box_of(tab) == [162, 120, 242, 180], "the first key makes a box in the middle; a step is a 200th"
    for _ in range(3):
        tab.keyboard.press("ArrowDown")
    assert box_of(tab) == [162, 126, 242, 186]
    tab.keyboard.press("Shift+ArrowRight")
    tab.keyboard.press("Shift+ArrowUp")
    assert box_of(tab) == [162, 126, 244, 184]
    for _ in range(120):
        tab.keyboard.press("ArrowLeft")
    assert box_of(tab)[0] == 0, "it stays in the photograph"


def test_the_png_of_the_page_is_that_of_try_on(
    address: str, open_tab: Callable[..., Tab], ring: NamedFile, tmp_path: Path
) -> None:
    tab = open_tab(address)
    person = photograph(tmp_path / "person.png", (900, 1200), 6)
    choose_ornament(tab, Path(ring.path))
    choose_person(tab, person, (900, 1200))
    drag(tab, *on_photograph(tab, (0.4, 0.3), (0.5, 0.4), (0.6, 0.5)))
    begun = time.monotonic()
    tab.wait_for_selector(SHOWN)
    previewed = time.monotonic() - begun
    drag(tab, middle_of(tab.locator("#person .turn")), *on_photograph(tab, (0.6, 0.3), (0.6, 0.28)))
    angle = angle_of(tab)
    assert angle > 10
    tab.wait_for_selector(SHOWN)
    tab.locator("#kind").get_by_text("ring", exact=True).click()
    tab.click("#go")
    tab.wait_for_selector("#result img")
    tab.wait_for_selector("#download:not([disabled])")
    with tab.expect_download() as download:
        tab.click("#download")
    box = box_of(tab)
    words = f"--box={','.join(map(str, [*box, angle]))}"
    files = ["--ornament", ring.path, "--person", str(person), "--output", str(tmp_path / "out.png")]
    assert main(["try-on", *files, words, "--type=ring"]) == 0
    ours, theirs = Image.open(download.value.path()), Image.open(tmp_path / "out.png")
    assert download.value.suggested_filename == "person-ring.png"
    assert ours.size == (900, 1200) and np.array_equal(np.asarray(ours), np.asarray(theirs))
    assert ours.text == theirs.text and json.loads(ours.text["ornament_lit"])["ornaments"][0]["box"] == [*box, angle]
    upright = Image.open(person).transpose(Image.Transpose.ROTATE_270)
    assert not np.array_equal(np.asarray(ours), np.asarray(upright)), "something was put on"
    assert tab.locator("#inside img").count() == 3 and "900 x 1200 pixels" in tab.locator("#note").inner_text()
    assert previewed < 10, "seconds; how long it takes on a free machine stands in the documentation"
    tab.click("#person .clear")
    tab.wait_for_selector("#result img", state="detached")
    assert tab.locator("#download").is_disabled(), "a result does not stay beside another photograph"


def test_an_example_is_generated_in_two_clicks(address: str, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(address, 390)
    tab.locator("#shelf .gallery-item").nth(3).click()
    tab.wait_for_selector(SHOWN)
    tab.click("#go")
    tab.wait_for_selector("#result img")
    assert tab.locator("#kind input:checked").get_attribute("value") == "bracelet"


def test_what_is_missing_is_said(address: str, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(address)
    tab.click("#go")
    tab.get_by_text(NO_ORNAMENT).wait_for(timeout=10_000)


@pytest.mark.slow
def test_odd_files_are_refused_and_the_page_goes_on(
    address: str, open_tab: Callable[..., Tab], bad_files: list[NamedFile], ring: NamedFile, tmp_path: Path
) -> None:
    tab = open_tab(address)
    odd = tmp_path / "<img src=x onerror=alert(1)>.png"
    odd.write_bytes(b"not an image")
    for path in [Path(file.path) for file in bad_files] + [odd]:
        tab.locator("#person input[type=file]").set_input_files(path)
        told = tab.locator(".toast-body").last
        told.get_by_text(path.name[:20]).wait_for()
        text = told.inner_text()
        assert "/tmp" not in text and "Traceback" not in text and "Error" not in text.split("\n")[0]
        tab.wait_for_selector("#person:not(:has(.full))")
        for close in tab.locator(".toast-close").all()[::-1]:
            close.click()
        tab.wait_for_selector(".toast-body", state="detached")
    tab.locator("#ornament input[type=file]").first.set_input_files(bad_files[2].path)
    tab.locator(".toast-body").get_by_text("2.jpg cannot be read").wait_for()
    tab.wait_for_selector("#ornament img", state="detached")
    choose_ornament(tab, Path(ring.path))
    choose_person(tab, photograph(tmp_path / "a.png", (200, 200)), (200, 200))


@pytest.mark.slow
def test_steps_are_shown_and_stop_ends_them_and_two_take_turns(slow_address: str, open_tab: Callable[..., Tab]) -> None:
    one, other = open_tab(slow_address), open_tab(slow_address)
    for tab in (one, other):
        tab.locator("#shelf .gallery-item").first.click()
        tab.wait_for_selector("#person .box:not([hidden])")
        assert tab.locator("#stop").is_disabled(), "there is nothing to stop"
    one.click("#go")
    one.locator("#result").get_by_text(re.compile(r"[1-9]/12 steps")).wait_for()
    other.click("#go")
    other.locator("#result").get_by_text(re.compile("queue: 1/1")).wait_for()
    one.click("#stop")
    one.locator("#note").get_by_text("Stopped; nothing was changed.").wait_for()
    assert one.locator("#stop").is_disabled() and one.locator("#result img").count() == 0
    other.locator("#result").get_by_text(re.compile(r"[1-9]/12 steps")).wait_for(timeout=5_000)
    one.click("#go")
    one.locator("#result").get_by_text(re.compile("queue: 1/1")).wait_for()
    other.context.close()
    one.locator("#result").get_by_text(re.compile(r"[1-3]/12 steps")).wait_for(timeout=5_000)
    one.wait_for_selector("#result img")
    assert one.locator("#inside img").count() == 3
