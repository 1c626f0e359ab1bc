"""Who is let in to the page that asks for regions, what it gets, and what it may send."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="needs the extra `web`")
pytest.importorskip("simplejpeg", reason="needs the extra `web`")

import simplejpeg

from gym_hil.cli.region_page import RegionPage
from gym_hil.datasets.images import Region
from gym_hil.datasets.reader import EpisodeDataset
from tests.console.page import Loop, Page

FRONT, WRIST = "observation.images.front", "observation.images.wrist"


@pytest.fixture
def call() -> Iterator[Callable[[RegionPage], Page]]:
    """Opens pages."""
    loop = Loop()
    pages: list[Page] = []

    def open_page(asking: RegionPage) -> Page:
        pages.append(Page(loop, asking))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()
    loop.close()


@pytest.fixture
def asking(lerobot_pick: Path) -> Iterator[RegionPage]:
    """With images of 48 by 48."""
    made = RegionPage(EpisodeDataset(lerobot_pick), port=0)
    yield made
    made.close()


@pytest.fixture
def page(asking: RegionPage, call: Callable[[RegionPage], Page]) -> Page:
    return call(asking)


@pytest.fixture
def stranger(asking: RegionPage, call: Callable[[RegionPage], Page], monkeypatch: pytest.MonkeyPatch) -> Page:
    """A page that does not know the token."""
    monkeypatch.setattr(asking, "token", "a-token-that-is-wrong")
    return call(asking)


@pytest.mark.parametrize("path", ["/", "/?token=wrong", "/cameras", "/image/0/0", "/static/regions.js"])
def test_nothing_is_given_without_the_token(stranger: Page, path: str) -> None:
    assert stranger.get(path)[0] == 403


def test_nothing_is_taken_without_the_token(stranger: Page, asking: RegionPage) -> None:
    assert stranger.post("/regions", "{}")[0] == 403
    assert not asking.confirmed


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}])
def test_foreign_pages_get_and_send_nothing_even_with_the_cookie(
    page: Page, asking: RegionPage, headers: dict[str, str]
) -> None:
    assert page.get("/cameras", **headers)[0] == 403
    assert page.post("/regions", "{}", **headers)[0] == 403
    assert not asking.confirmed


def test_regions_without_an_origin_are_refused(page: Page, asking: RegionPage) -> None:
    assert page.post("/regions", "{}", Origin=None)[0] == 403
    assert not asking.confirmed


def test_the_token_is_exchanged_for_a_cookie(page: Page, asking: RegionPage) -> None:
    status, _, headers = page.get(f"/?token={asking.token}")
    assert (status, headers["Location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=Strict"} <= set(headers["Set-Cookie"].split("; "))


@pytest.mark.parametrize("path", ["/", "/cameras", "/image/0/0", "/nothing"])
def test_every_answer_keeps_the_page_to_itself(page: Page, path: str) -> None:
    headers = page.get(path)[2]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_learns_which_cameras_there_are(page: Page) -> None:
    assert json.loads(page.get("/cameras")[1]) == {
        "dataset": "lerobot_pick",
        "episodes": 2,
        "cameras": [
            {"key": FRONT, "name": "front", "height": 48, "width": 48},
            {"key": WRIST, "name": "wrist", "height": 48, "width": 48},
        ],
    }


def test_images_are_those_that_each_episode_begins_with(page: Page, asking: RegionPage) -> None:
    for episode in (0, 1):
        for camera, key in enumerate((FRONT, WRIST)):
            status, body, _ = page.get(f"/image/{episode}/{camera}")
            assert status == 200
            difference = simplejpeg.decode_jpeg(body).astype(float) - asking.dataset[episode].image(key, 0)
            assert abs(difference).mean() < 2


@pytest.mark.parametrize("path", ["/image/2/0", "/image/0/2", "/image/-1/0", "/image/0", "/image/0/front"])
def test_there_are_no_other_images(page: Page, path: str) -> None:
    assert page.get(path)[0] == 404


def test_regions_are_taken_and_the_rest_left_out(page: Page, asking: RegionPage) -> None:
    status, body = page.post("/regions", json.dumps({WRIST: [0, 8, 48, 40]}))
    assert (status, json.loads(body)) == (200, {"cameras": 1})
    assert asking.wait() == {WRIST: Region(0, 8, 48, 40)}


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([0, 0, 49, 48], "is not inside the images of front, which are 48 high and 48 wide"),
        ([0, 1, 48, 48], "is not inside"),
        ([-1, 0, 8, 8], "is not inside"),
        ([0, 0, 0, 8], "is empty"),
        ([0, 0, 8, -8], "is empty"),
        ([10**30, 0, 8, 8], "is not inside"),
        ([0, 0, 8], "whole numbers"),
        ([0, 0, 8, 8, 8], "whole numbers"),
        ([0, 0, 8, 7.5], "whole numbers"),
        ([0, 0, True, True], "whole numbers"),
        ([0, 0, None, 8], "whole numbers"),
        ([0, 0, "8", 8], "whole numbers"),
        ("0,0,8,8", "whole numbers"),
        (None, "whole numbers"),
        ({"top": 0}, "whole numbers"),
    ],
)
def test_a_region_that_is_none_is_refused_with_its_camera(
    page: Page, asking: RegionPage, numbers: object, said: str
) -> None:
    status, body = page.post("/regions", json.dumps({WRIST: [0, 0, 8, 8], FRONT: numbers}))
    answer = json.loads(body)
    assert (status, answer["camera"]) == (422, FRONT)
    assert said in answer["text"]
    assert not asking.confirmed


@pytest.mark.parametrize("body", ["", "no json", "[]", "null", "7", '{"top": [0, 0, 8, 8]}', "[" * 4000])
def test_nonsense_is_refused(page: Page, asking: RegionPage, body: str) -> None:
    status, answer = page.post("/regions", body)
    assert (status, json.loads(answer)["camera"]) == (422, None)
    assert not asking.confirmed


def test_a_long_message_is_refused(page: Page, asking: RegionPage) -> None:
    assert page.post("/regions", " " * 10_000)[0] == 413
    assert not asking.confirmed


def test_a_image_that_cannot_be_read_is_said(own_copy: Path, call: Callable[[RegionPage], Page]) -> None:
    asking = RegionPage(EpisodeDataset(own_copy), port=0)
    for video in own_copy.glob("videos/*/*/file-001.mp4"):
        video.write_bytes(b"no video")
    status, body, _ = call(asking).get("/image/1/0")
    asking.close()
    assert status == 422
    assert b"file-001.mp4" in body
