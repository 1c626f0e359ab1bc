"""The page of `gym-hil crop` in a browser: regions are drawn, typed, refused and confirmed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("av", reason="needs the extra `data`")
pytest.importorskip("pyarrow", reason="needs the extra `data`")

from gym_hil.cli.crop_page import CropPage
from gym_hil.datasets.images import Region
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.datasets.transform import crop_dataset
from gym_hil.display import ConsoleOptions
from tests.console.browser import DESK, PHONE, Tab

FRONT, WRIST = "observation.images.front", "observation.images.wrist"
# Python 3.13 has another phrase for it than those before.
REFUSED = f"Failed to load resource: the server responded with a status of 422 ({HTTPStatus(422).phrase})"


class Chooser(Tab):
    """The page, with an operator at it."""

    def __init__(self, context: Any, url: str):
        super().__init__(context, url)
        self.wait(lambda: self.page.locator(".camera img[src]").count() == 2)

    def image(self, camera: str, y: float, x: float) -> tuple[float, float]:
        """Where a point of an image is on the page, in px."""
        image = self.page.locator(f"#camera-{camera} .image")
        image.scroll_into_view_if_needed()
        box = image.bounding_box()
        height, width = (32, 48) if camera == "front" else (48, 48)
        return box["x"] + box["width"] * x / width, box["y"] + box["height"] * y / height

    def drag(self, camera: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        """With the mouse; points are y and x in pixels of the image."""
        self.page.mouse.move(*self.image(camera, *start))
        self.page.mouse.down()
        self.page.mouse.move(*self.image(camera, *end), steps=3)
        self.page.mouse.up()

    def swipe(self, camera: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        """With a finger."""
        session = self.context.new_cdp_session(self.page)
        for kind, point in (("touchStart", start), ("touchMove", end), ("touchEnd", None)):
            x, y = self.image(camera, *(point or end))
            touches = [{"x": x, "y": y}] if point else []
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def numbers(self, camera: str) -> list[str]:
        return [field.input_value() for field in self.page.locator(f"#camera-{camera} input").all()]

    def type(self, camera: str, *numbers: str) -> None:
        for field, number in zip(self.page.locator(f"#camera-{camera} input").all(), numbers, strict=True):
            field.fill(number)

    def problem(self, camera: str) -> str:
        place = self.page.locator(f"#camera-{camera} .problem")
        return place.inner_text() if place.is_visible() else ""

    def confirm(self) -> None:
        self.page.click("#confirm")

    def refused(self) -> None:
        """The browser notes a refusal as an error; nothing else may be wrong."""
        assert set(self.problems) == {REFUSED}
        self.problems.clear()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> EpisodeDataset:
    """Two episodes; the front camera's images are 32 high and 48 wide, the wrist's 48 and 48."""
    source = Path(__file__).parents[1] / "data" / "lerobot_pick"
    out = tmp_path_factory.mktemp("datasets") / "pick"
    return crop_dataset(source, out, {FRONT: Region(8, 0, 32, 48)})


@pytest.fixture(scope="module")
def module_page(browser: Any, dataset: EpisodeDataset) -> Iterator[Chooser]:
    """One page for all tests that do not end it."""
    crop_page = CropPage(dataset, ConsoleOptions(port=0))
    made = Chooser(browser.new_context(**DESK), crop_page.url)
    yield made
    made.context.close()
    crop_page.close()


@pytest.fixture
def page(module_page: Chooser) -> Iterator[Chooser]:
    """The page as if it were new; at the end it may not have complained."""
    for camera in ("front", "wrist"):
        module_page.type(camera, "", "", "", "")
    yield module_page
    problems, module_page.problems = module_page.problems, []
    assert problems == []


@pytest.fixture
def crop_page(dataset: EpisodeDataset) -> Iterator[CropPage]:
    made = CropPage(dataset, ConsoleOptions(port=0))
    yield made
    made.close()


@pytest.fixture
def open_page(browser: Any, crop_page: CropPage) -> Iterator[Callable[..., Chooser]]:
    """Opens the page; at the end it may not have complained, nor sent a request to another host."""
    pages: list[Chooser] = []

    def open_page(**options: Any) -> Chooser:
        pages.append(Chooser(browser.new_context(**{**DESK, **options}), crop_page.url))
        return pages[-1]

    yield open_page
    problems = [problem for page in pages for problem in page.problems]
    hosts = {host for page in pages for host in page.hosts if host}
    for page in pages:
        page.context.close()
    assert problems == []
    assert hosts <= {f"127.0.0.1:{crop_page.port}"}


def test_regions_are_drawn_with_the_mouse_and_confirmed(open_page: Any, crop_page: CropPage) -> None:
    page = open_page()
    assert page.text("confirm") == "Leave all as they are"
    page.drag("front", (4, 10), (30, 40))
    assert page.numbers("front") == ["4", "10", "26", "30"]
    page.drag("wrist", (40, 44), (10, 4))
    assert page.text("confirm") == "Crop 2 of 2 cameras"
    page.confirm()
    assert crop_page.wait() == {FRONT: Region(4, 10, 26, 30), WRIST: Region(10, 4, 30, 40)}
    page.wait(lambda: "You can close this page" in page.page.locator("#notice").inner_text())


def test_rectangle_is_moved_by_its_inside_and_stays_in_the_image(page: Chooser) -> None:
    page.drag("front", (4, 10), (20, 30))
    page.drag("front", (12, 20), (14, 25))
    assert page.numbers("front") == ["6", "15", "16", "20"]
    page.drag("front", (12, 20), (31, 47))
    assert page.numbers("front") == ["16", "28", "16", "20"]
    page.page.mouse.click(*page.image("front", 3, 3))
    assert page.numbers("front") == ["16", "28", "16", "20"]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ((4, 20), (8, 20), ["8", "10", "12", "20"]),
        ((12, 30), (12, 40), ["4", "10", "16", "30"]),
        ((20, 30), (26, 34), ["4", "10", "22", "24"]),
        ((4, 10), (0, 0), ["0", "0", "20", "30"]),
        ((20, 10), (1, 47), ["4", "29", "1", "1"]),
    ],
    ids=["top", "right", "bottom right", "top left", "past the other corner"],
)
def test_a_rectangle_is_resized_by_its_sides_and_corners(
    page: Chooser, start: tuple[float, float], end: tuple[float, float], expected: list[str]
) -> None:
    page.drag("front", (4, 10), (20, 30))
    page.drag("front", start, end)
    assert page.numbers("front") == expected


def test_a_finger_draws_moves_and_resizes(open_page: Any, crop_page: CropPage) -> None:
    page = open_page(**PHONE)
    page.swipe("front", (6, 8), (26, 32))
    assert page.numbers("front") == ["6", "8", "20", "24"]
    page.swipe("front", (16, 20), (18, 24))
    assert page.numbers("front") == ["8", "12", "20", "24"]
    page.swipe("front", (28, 36), (31, 44))
    assert page.numbers("front") == ["8", "12", "23", "32"]
    assert page.page.evaluate("document.documentElement.scrollWidth") == 390
    page.confirm()
    assert crop_page.wait() == {FRONT: Region(8, 12, 23, 32)}


def test_a_camera_is_left_as_it_is_after_all(page: Chooser) -> None:
    page.drag("front", (4, 10), (30, 40))
    page.drag("wrist", (4, 10), (30, 40))
    page.page.click("#camera-front .clear")
    assert page.numbers("front") == [""] * 4
    assert page.page.locator("#camera-front .kept").inner_text() == "Left as it is"
    assert page.text("confirm") == "Crop 1 of 2 cameras"


def test_numbers_are_typed_and_what_the_server_refuses_is_reported_and_can_be_corrected(
    open_page: Any, crop_page: CropPage
) -> None:
    page = open_page()
    page.page.locator("#camera-wrist input").first.focus()
    for number in ("12", "0", "24", "48"):
        page.page.keyboard.type(number)
        page.page.keyboard.press("Tab")
    assert page.numbers("wrist") == ["12", "0", "24", "48"]
    image = page.page.locator("#camera-wrist .image").bounding_box()
    drawn = page.page.locator("#camera-wrist .region").bounding_box()
    assert drawn["y"] - image["y"] == pytest.approx(image["height"] / 4, abs=0.5)
    assert (drawn["width"], drawn["height"]) == pytest.approx((image["width"], image["height"] / 2), abs=0.5)
    for numbers, text in (
        (("10", "0", "30", "48"), "is not inside the images of front, which are 32 high and 48 wide"),
        (("0", "0", "8", ""), "all four or none"),
    ):
        page.type("front", *numbers)
        page.confirm()
        page.wait(lambda text=text: text in page.problem("front"))
        assert not page.page.locator("#notice").is_visible()
        page.refused()
    page.type("front", "0", "0", "8", "8")
    assert page.problem("front") == ""
    page.page.focus("#confirm")
    page.page.keyboard.press("Enter")
    assert crop_page.wait() == {FRONT: Region(0, 0, 8, 8), WRIST: Region(12, 0, 24, 48)}


def test_other_episodes_are_looked_at_while_the_regions_stay(page: Chooser) -> None:
    page.drag("front", (4, 10), (30, 40))
    first = page.page.locator("#camera-front img").get_attribute("src")
    assert page.text("episode") == "Episode 0 (0 to 1)"
    page.page.click("#next")
    page.wait(lambda: page.page.locator("#camera-front img").get_attribute("src") != first)
    assert page.text("episode") == "Episode 1 (0 to 1)"
    assert page.page.locator("#next").is_disabled()
    assert page.numbers("front") == ["4", "10", "26", "30"]


def test_the_page_says_when_the_command_is_gone(open_page: Any, crop_page: CropPage) -> None:
    page = open_page()
    crop_page.close()
    page.confirm()
    page.wait(lambda: "no longer answers" in page.text("toast"))
    assert all("ERR_CONNECTION_REFUSED" in problem for problem in page.problems)
    page.problems.clear()
