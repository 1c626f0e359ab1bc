"""`gym-hil crop`, with regions as numbers and chosen in a window."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gym_hil.cli import main
from gym_hil.commands.region_window import SIDE, choose_regions, rectangle
from gym_hil.datasets.cropping import Region
from gym_hil.datasets.episode_dataset import EpisodeDataset
from gym_hil.errors import ConfigurationError

FRONT, WRIST = "observation.images.front", "observation.images.wrist"


@pytest.fixture
def pygame(monkeypatch: pytest.MonkeyPatch) -> Any:
    """SDL without a screen, to which a person's clicks and keys are posted."""
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


def pictures() -> dict[str, np.ndarray]:
    return {FRONT: np.zeros((64, 128, 3), np.uint8), WRIST: np.zeros((64, 64, 3), np.uint8)}


def test_regions_are_cut_out_and_told_as_lerobot_wants_them(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "new"
    command = ["crop", str(recorded), "--out", str(out), "--roi", "front=4,8,16,20", "--resize", "24", "24"]
    assert main(command) == 0
    told, _, _ = capsys.readouterr().out.rpartition(f"{out}:")
    assert json.loads(told) == {"crop_params_dict": {FRONT: [4, 8, 16, 20]}, "resize_size": [24, 24]}
    assert EpisodeDataset(out)[0].picture(WRIST, 0).shape == (24, 24, 3)
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
    assert choose_regions(pictures()) == {FRONT: Region(10, 10, 10, 10)}


def test_closing_the_window_is_no_choice(pygame: Any) -> None:
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    with pytest.raises(ConfigurationError, match="nothing was written"):
        choose_regions(pictures())


def test_a_rectangle_ends_at_the_picture() -> None:
    assert rectangle((-50, 20), (9999, 9999), 5.0, (64, 128)) == Region(4, 0, 60, 128)
    assert rectangle((10, 10), (11, 200), 5.0, (64, 128)) is None


def test_without_a_display_the_way_out_is_named(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("gym_hil.commands.crop.missing_display", lambda: "There is no display.")
    assert main(["crop", str(recorded), "--out", str(tmp_path / "new")]) == 1
    assert "--roi CAMERA=TOP,LEFT,HEIGHT,WIDTH" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--roi", "top=0,0,8,8"], "there is no camera 'top'; choose from front, wrist"),
        (["--roi", "front=0,0,8"], "'0,0,8' is not top,left,height,width"),
        (["--roi", "front=0,0,8,x"], "is not top,left,height,width"),
        (["--roi", "front=0,0,8,8", "--roi", f"{FRONT}=0,0,4,4"], "has a region already"),
        (["--roi", "front=0,0,40,8"], "is not inside the pictures"),
        (["--roi", "front=0,0,8,8", "--resize", "0", "8"], "--resize is [0, 8]"),
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
