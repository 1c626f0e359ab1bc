"""A window where there is a display, one warning where there is none, and the environment goes on either way."""

from __future__ import annotations

import shutil
import subprocess
import sys
import types
from typing import Any

import mujoco
import numpy as np
import pytest

from gym_hil import PandaPickCubeGymEnv, PassiveViewerWrapper

STAY = np.zeros(7, np.float32)


class Handle:
    """What `mujoco.viewer.launch_passive` returns, without a screen."""

    def __init__(self) -> None:
        self.syncs, self.open = 0, True

    def is_running(self) -> bool:
        return self.open

    def sync(self) -> None:
        self.syncs += 1

    def close(self) -> None:
        self.open = False


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[Handle]:
    opened: list[Any] = []

    def launch_passive(model: Any, data: Any, *, key_callback: Any = None, **panels: bool) -> Handle:
        opened.append(Handle())
        opened[-1].panels = panels
        return opened[-1]

    viewer = types.ModuleType("mujoco.viewer")
    viewer.launch_passive = launch_passive  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mujoco.viewer", viewer)
    monkeypatch.setattr(mujoco, "viewer", viewer, raising=False)
    monkeypatch.setattr("gym_hil.display.missing_display", lambda: None)
    return opened


@pytest.fixture
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gym_hil.display.missing_display", lambda: "There is no display.")


def test_window_opens_at_the_first_reset_and_follows_every_step(
    base: PandaPickCubeGymEnv, windows: list[Handle]
) -> None:
    env = PassiveViewerWrapper(base, show_left_ui=True)
    assert windows == []
    env.reset()
    for _ in range(3):
        env.step(STAY)
    assert [one.syncs for one in windows] == [4]
    assert windows[0].panels == {"show_left_ui": True, "show_right_ui": False}  # type: ignore[attr-defined]


def test_environment_survives_a_window_that_the_operator_closes(
    base: PandaPickCubeGymEnv, windows: list[Handle]
) -> None:
    env = PassiveViewerWrapper(base)
    env.reset()
    windows[0].close()
    env.step(STAY)
    env.reset()
    assert [one.syncs for one in windows] == [1]


@pytest.mark.usefixtures("no_display")
def test_without_a_display_there_is_one_warning_and_it_goes_on(base: PandaPickCubeGymEnv) -> None:
    env = PassiveViewerWrapper(base)
    with pytest.warns(UserWarning, match="no display"):
        env.reset()
    env.step(STAY)  # a second warning would be an error
    env.reset()
    env.close()


def test_close_closes_the_window_and_reset_opens_another(base: PandaPickCubeGymEnv, windows: list[Handle]) -> None:
    env = PassiveViewerWrapper(base)
    env.reset()
    env.close()
    assert not windows[0].open
    env.reset()
    assert len(windows) == 2
    env.close()
    env.close()


@pytest.mark.usefixtures("no_display", "no_console")
def test_environment_that_has_a_window_gets_no_second_one() -> None:
    env = PassiveViewerWrapper(PandaPickCubeGymEnv(render_mode="human"))
    with pytest.warns(UserWarning, match="no display") as caught:
        env.reset()
    assert len(caught) == 1
    env.step(STAY)


@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="needs xvfb-run, a display without a screen")
@pytest.mark.parametrize("end", ["env.close()", "pass"], ids=["closed", "left open"])
def test_real_window_does_not_take_the_process_down_at_exit(end: str) -> None:
    program = f"""
import warnings

import numpy as np
from gym_hil import PandaPickCubeGymEnv, PassiveViewerWrapper

warnings.simplefilter("ignore")
env = PassiveViewerWrapper(PandaPickCubeGymEnv())
env.reset()
for _ in range(3):
    env.step(np.zeros(7))
{end}
"""
    command = ["xvfb-run", "-a", sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
