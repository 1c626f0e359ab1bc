"""`gym-hil crop`, with regions as numbers, chosen in a window, and chosen in a browser."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from gym_hil.cli import main
from gym_hil.cli.region_window import SIDE, choose_regions, rectangle
from gym_hil.datasets.images import Region
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.errors import ConfigurationError
from tests.console.page import Loop, Page

SECONDS = 60.0  # until a test gives up waiting
FRONT, WRIST = "observation.images.front", "observation.images.wrist"


@pytest.fixture
def pygame(monkeypatch: pytest.MonkeyPatch) -> Any:
    """SDL without a screen, to which an operator's clicks and keys are posted."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("DISPLAY", ":nowhere")
    pygame = pytest.importorskip("pygame")
    pygame.display.quit()
    pygame.display.init()
    pygame.event.clear()
    # The window that asks is the one that the events are for: it must not throw them away by opening.
    monkeypatch.setattr(pygame.display, "quit", lambda: None)
    yield pygame
    monkeypatch.undo()
    pygame.display.quit()


def drag(pygame: Any, start: tuple[int, int], end: tuple[int, int]) -> None:
    pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=start, button=1))
    pygame.event.post(pygame.event.Event(pygame.MOUSEMOTION, pos=end, rel=(0, 0), buttons=(1, 0, 0)))
    pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONUP, pos=end, button=1))


def press(pygame: Any, key: int) -> None:
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))


@contextlib.contextmanager
def started(dataset: Path, out: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`gym-hil crop` where there is no display, and the link that it prints."""
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    words = [sys.executable, "-c", "import sys; from gym_hil.cli import main; sys.exit(main())", "crop"]
    words += [str(dataset), "--out", str(out), "--port", "0", *options]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        try:
            assert command.stderr is not None
            _, _, link = command.stderr.readline().strip().partition("Choose the regions: ")
            assert "ssh -N -L" in command.stderr.readline()
            yield command, link
        finally:
            command.kill()


@pytest.fixture
def open_page() -> Iterator[Callable[[str], Page]]:
    """Opens the page that a link leads to."""
    loop = Loop()
    pages: list[Page] = []

    def open_page(link: str) -> Page:
        address = urlsplit(link)
        pages.append(Page(loop, SimpleNamespace(port=address.port, token=address.query.removeprefix("token="))))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()
    loop.close()


def images() -> dict[str, np.ndarray]:
    return {FRONT: np.zeros((64, 128, 3), np.uint8), WRIST: np.zeros((64, 64, 3), np.uint8)}


def test_regions_are_cut_out_and_told_as_lerobot_wants_them(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "new"
    command = ["crop", str(recorded), "--out", str(out), "--roi", "front=4,8,16,20", "--resize", "24", "24"]
    assert main(command) == 0
    told, _, _ = capsys.readouterr().out.rpartition(f"{out}:")
    assert json.loads(told) == {"crop_params_dict": {FRONT: [4, 8, 16, 20]}, "resize_size": [24, 24]}
    assert EpisodeDataset(out)[0].image(WRIST, 0).shape == (24, 24, 3)
    assert main(["replay", str(out), "--check"]) == 0


def test_a_region_chosen_in_the_window_is_cut_out(recorded: Path, tmp_path: Path, pygame: Any) -> None:
    scale = SIDE // 32
    drag(pygame, (4 * scale, 8 * scale), (20 * scale, 30 * scale))
    press(pygame, pygame.K_RETURN)
    press(pygame, pygame.K_ESCAPE)
    assert main(["crop", str(recorded), "--out", str(tmp_path / "new")]) == 0
    features = EpisodeDataset(tmp_path / "new").features
    assert features[FRONT]["shape"] == [3, 22, 16]
    assert features[WRIST]["shape"] == [3, 32, 32]


def test_enter_takes_the_last_rectangle_and_waits_for_one(pygame: Any) -> None:
    press(pygame, pygame.K_RETURN)
    drag(pygame, (0, 0), (300, 300))
    drag(pygame, (100, 50), (50, 100))
    press(pygame, pygame.K_RETURN)
    press(pygame, pygame.K_ESCAPE)
    assert choose_regions(images()) == {FRONT: Region(10, 10, 10, 10)}


def test_closing_the_window_is_no_choice(pygame: Any) -> None:
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    with pytest.raises(ConfigurationError, match="nothing was written"):
        choose_regions(images())


def test_a_rectangle_ends_at_the_image() -> None:
    assert rectangle((-50, 20), (9999, 9999), 5.0, (64, 128)) == Region(4, 0, 60, 128)
    assert rectangle((10, 10), (11, 200), 5.0, (64, 128)) is None


def test_without_a_display_the_way_out_is_named(
    recorded: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_console: None,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr("gym_hil.display.missing_display", lambda: "There is no display.")
    assert main(["crop", str(recorded), "--out", str(tmp_path / "new")]) == 1
    told = capsys.readouterr().err
    assert "--roi CAMERA=TOP,LEFT,HEIGHT,WIDTH" in told
    assert "pip install 'gym-hil[web]'" in told


@pytest.mark.parametrize("options", [["--web"], []], ids=["asked for", "no display"])
def test_a_region_chosen_in_the_browser_is_cut_out(
    recorded: Path, tmp_path: Path, options: list[str], open_page: Callable[[str], Page]
) -> None:
    out = tmp_path / "new"
    with started(recorded, out, *options) as (command, link):
        status, _ = open_page(link).post("/regions", json.dumps({FRONT: [8, 4, 22, 16]}))
        told, _ = command.communicate(timeout=SECONDS)
    assert (status, command.returncode) == (200, 0)
    assert json.loads(told.rpartition(f"{out}:")[0])["crop_params_dict"] == {FRONT: [8, 4, 22, 16]}
    assert EpisodeDataset(out).features[FRONT]["shape"] == [3, 22, 16]
    assert EpisodeDataset(out).features[WRIST]["shape"] == [3, 32, 32]


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_ends_the_waiting_for_the_browser(recorded: Path, tmp_path: Path) -> None:
    with started(recorded, tmp_path / "new", "--web") as (command, _):
        command.send_signal(signal.SIGINT)
        told, problems = command.communicate(timeout=SECONDS)
    assert (command.returncode, told, problems.strip()) == (130, "", "")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_taken_is_said_before_anything_is_asked(
    recorded: Path, own_copy: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["crop", str(recorded), "--out", str(own_copy), "--web"]) == 1
    assert "already holds a dataset" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--roi", "top=0,0,8,8"], "there is no camera 'top'; choose from front, wrist"),
        (["--roi", "front=0,0,8"], "'0,0,8' is not top,left,height,width"),
        (["--roi", "front=0,0,8,x"], "is not top,left,height,width"),
        (["--roi", "front=0,0,8,8", "--roi", f"{FRONT}=0,0,4,4"], "has a region already"),
        (["--roi", "front=0,0,40,8"], "is not inside the images"),
        (["--roi", "front=0,0,8,8", "--resize", "0", "8"], "--resize is [0, 8]"),
        (["--roi", "front=0,0,0,8"], "is empty"),
        (["--roi", "front=0,0,8,8", "--web"], "--roi and --web"),
        (["--roi", "front=0,0,8,8", "--port", "8900", "--tls"], "--port, --tls: for choosing in the browser"),
        (["--web", "--allow-remote"], "--allow-remote --tls"),
    ],
)
def test_what_cannot_work_is_one_clear_line(
    recorded: Path, tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["crop", str(recorded), "--out", str(tmp_path / "new"), *arguments]) == 1
    message = capsys.readouterr().err
    assert said in message
    assert message.count("\n") == 1
    assert not (tmp_path / "new").exists()
