"""The page of `gym-hil crop`: who gets in, what the page gets, what it may send, and how it ends."""

from __future__ import annotations

import contextlib
import json
import threading

import pytest

pytest.importorskip("aiohttp", reason="needs the extra `web`")
pytest.importorskip("simplejpeg", reason="needs the extra `web`")

import simplejpeg

from gym_hil.cli.crop_page import CropPage, choose_regions
from gym_hil.datasets.images import Region
from gym_hil.datasets.reader import Episode, EpisodeDataset
from gym_hil.display import ConsoleOptions
from gym_hil.errors import DatasetError, DeviceError
from tests.console.page import Loop, Page

FRONT, WRIST = "observation.images.front", "observation.images.wrist"
ANY_PORT = ConsoleOptions(port=0)


@pytest.fixture
def open_page():
    loop = Loop()
    pages: list[Page] = []

    def open_page(crop_page):
        pages.append(Page(loop, crop_page))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()
    loop.close()


@pytest.fixture
def crop_page(lerobot_pick):
    """With images of 48 by 48."""
    made = CropPage(EpisodeDataset(lerobot_pick), ANY_PORT)
    yield made
    made.close()


@pytest.fixture
def page(crop_page, open_page):
    return open_page(crop_page)


def test_nothing_is_given_or_accepted_without_the_token_or_from_foreign_pages(crop_page, page, open_page, monkeypatch):
    monkeypatch.setattr(crop_page, "token", "a-token-that-is-wrong")
    stranger = open_page(crop_page)
    for path in ["/", "/?token=wrong", "/cameras", "/image/0/0", "/static/crop.js"]:
        assert stranger.get(path)[0] == 403
    assert stranger.post("/regions", "{}")[0] == 403
    for headers in {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}, {"Origin": None}:
        assert page.post("/regions", "{}", **headers)[0] == 403
    assert not crop_page._confirmed.is_set()


def test_page_gets_the_cameras_and_the_first_image_of_each_episode(page, lerobot_pick):
    assert json.loads(page.get("/cameras")[1]) == {
        "dataset": "lerobot_pick",
        "episodes": 2,
        "cameras": [{"key": key, "name": key[-5:], "height": 48, "width": 48} for key in (FRONT, WRIST)],
    }
    dataset = EpisodeDataset(lerobot_pick)
    for episode in (0, 1):
        for camera, key in enumerate((FRONT, WRIST)):
            status, body, _ = page.get(f"/image/{episode}/{camera}")
            assert status == 200
            difference = simplejpeg.decode_jpeg(body).astype(float) - dataset[episode].image(key, 0)
            assert abs(difference).mean() < 2
    for path in ["/image/2/0", "/image/0/2", "/image/-1/0", "/image/0", "/image/0/front"]:
        assert page.get(path)[0] == 404


def test_regions_are_accepted_without_the_cameras_left_as_they_are(page, crop_page):
    status, body = page.post("/regions", json.dumps({WRIST: [0, 8, 48, 40]}))
    assert (status, json.loads(body)) == (200, {"cameras": 1})
    assert crop_page.wait() == {WRIST: Region(0, 8, 48, 40)}


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([0, 0, 49, 48], "is not inside the images of front, which are 48 high and 48 wide"),
        ([-1, 0, 8, 8], "is not inside"),
        ([0, 0, 0, 8], "is empty"),
        ([0, 0, 8, -8], "is empty"),
        ([10**30, 0, 8, 8], "is not inside"),
        *((numbers, "whole numbers") for numbers in ([0, 0, 8], [0, 0, 8, 7.5], [0, 0, True, True], "0,0,8,8", None)),
    ],
)
def test_invalid_region_is_refused_with_its_camera(page, crop_page, numbers, text):
    status, body = page.post("/regions", json.dumps({WRIST: [0, 0, 8, 8], FRONT: numbers}))
    answer = json.loads(body)
    assert (status, answer["camera"]) == (422, FRONT)
    assert text in answer["text"]
    assert not crop_page._confirmed.is_set()


@pytest.mark.parametrize("body", ["", "no json", "[]", "7", '{"top": [0, 0, 8, 8]}', "[" * 4000, " " * 10_000])
def test_nonsense_is_refused(page, crop_page, body):
    status, answer = page.post("/regions", body)
    assert status == 413 if len(body) > 4000 else (status, json.loads(answer)["camera"]) == (422, None)
    assert not crop_page._confirmed.is_set()


def test_unreadable_image_of_a_later_episode_is_reported(page, monkeypatch):
    def fail(*arguments):
        raise DatasetError("file-001.mp4 cannot be decoded.")

    monkeypatch.setattr(Episode, "image", fail)
    status, body, _ = page.get("/image/1/0")
    assert (status, body) == (422, b"file-001.mp4 cannot be decoded.")


def test_unreadable_first_image_is_reported_before_the_page_opens(own_copy):
    for video in own_copy.glob("videos/*/*/*.mp4"):
        video.write_bytes(b"no video")
    with pytest.raises(DatasetError, match=r"\.mp4"):
        CropPage(EpisodeDataset(own_copy), ANY_PORT)


@pytest.mark.parametrize("ending", [{FRONT: Region(0, 0, 8, 8)}, KeyboardInterrupt()], ids=["confirmed", "Ctrl-C"])
def test_port_is_free_at_the_end(lerobot_pick, monkeypatch, ending):
    ports = []

    def wait(page):
        ports.append(page.port)
        if isinstance(ending, BaseException):
            raise ending
        return ending

    monkeypatch.setattr(CropPage, "wait", wait)
    with contextlib.suppress(KeyboardInterrupt):
        assert choose_regions(EpisodeDataset(lerobot_pick), ANY_PORT) == ending
    CropPage(EpisodeDataset(lerobot_pick), ConsoleOptions(port=ports[0])).close()


def test_waiting_ends_with_the_server(lerobot_pick):
    page = CropPage(EpisodeDataset(lerobot_pick), ANY_PORT)
    threading.Thread(target=page.close).start()
    with pytest.raises(DeviceError, match="before the regions were confirmed"):
        page.wait()
