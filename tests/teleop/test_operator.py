"""Which device drives, and the arguments of `gym.make` for it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from gym_hil.cli.arguments import add_operator_arguments, operator_options
from gym_hil.console import close_console
from gym_hil.console import server as console_module
from gym_hil.display import ConsoleOptions
from gym_hil.errors import ConfigurationError, DeviceError, UnknownDeviceError
from gym_hil.teleop import DeviceGroup, InputDevice, make_device
from gym_hil.teleop.operator import OperatorOptions, find_device, introduce, neutral_action
from tests.teleop.conftest import plug, sdl  # noqa: F401


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


def options_of(*words: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    add_operator_arguments(parser)
    return operator_options(parser.parse_args(words)).env_kwargs()


def test_an_attached_gamepad_comes_first(plug: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("DISPLAY", ":0")
    plug()
    assert find_device() == "gamepad"


def test_then_the_keyboard_at_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    assert find_device() == "keyboard"


def test_then_the_console() -> None:
    pytest.importorskip("aiohttp", reason="needs the extra `web`")
    assert find_device() == "web"


def test_where_there_is_nothing_it_is_said_what_to_get(no_console: None) -> None:
    with pytest.raises(DeviceError, match=r"gym-hil\[web\].*--device keyboard"):
        find_device()


@pytest.mark.parametrize(
    ("named", "chosen"),
    [
        (["gamepad"], ["gamepad"]),
        (["gamepad,keyboard"], ["gamepad", "keyboard"]),
        (["gamepad", "web, scripted"], ["gamepad", "web", "scripted"]),
        (["keyboard", "keyboard"], ["keyboard"]),
    ],
)
def test_several_devices_share_the_robot(named: list[str], chosen: list[str]) -> None:
    assert list(OperatorOptions(device=named).resolve().devices) == chosen


@pytest.mark.parametrize("named", ["joystick", "", ","])
def test_a_device_that_does_not_exist_is_refused(named: str) -> None:
    with pytest.raises(UnknownDeviceError, match="gamepad, keyboard"):
        OperatorOptions(device=named).env_kwargs()


def test_all_options_reach_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    options = options_of(
        "--device", "gamepad,keyboard", "--intervention", "hold", "--orientation", "--controller-config", "mine.json"
    )
    assert options == {
        "device": ["gamepad", "keyboard"],
        "intervention": "hold",
        "orientation": True,
        "controller_config_path": Path("mine.json"),
        "use_viewer": True,
    }


def test_no_window_is_asked_for_where_none_opens(no_console: None) -> None:
    assert not options_of("--device", "gamepad").get("use_viewer")
    assert not options_of("--device", "scripted").get("use_viewer")


def test_no_window_opens_with_no_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    assert not options_of("--device", "gamepad", "--no-viewer").get("use_viewer")


def test_the_page_shows_the_robot_where_no_window_opens(capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("aiohttp", reason="needs the extra `web`")
    try:
        options = options_of("--device", "gamepad", "--port", "0")
        env = gym.make("gym_hil/PandaPickCube-v1", **options)
        assert env.has_wrapper_attr("channel")
        assert "Console: http://127.0.0.1:" in capsys.readouterr().err
        env.close()
    finally:
        shared = console_module._shared
        close_console()
    assert shared is not None
    assert shared.closed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--device", "scripted", "--controller-config", "mine.json"], "device gamepad"),
        (["--device", "scripted", "--port", "8000", "--allow-remote"], "--port, --allow-remote"),
    ],
)
def test_options_that_say_nothing_about_the_device_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        options_of(*words)


def test_the_operator_is_told_what_does_what_on_each_device(no_console: None) -> None:
    names = ["gamepad", "scripted"]
    env = gym.make("gym_hil/PandaPickCube-v1", device=names, intervention="hold")
    text = introduce(env)
    env.close()
    assert "Device: gamepad\n" in text
    assert "drive while held" in text
    assert "Device: scripted\n" in text
    assert "gym-hil[web]" in text


def test_hint_without_a_display_is_to_use_the_page_where_it_is_installed() -> None:
    pytest.importorskip("aiohttp", reason="needs the extra `web`")
    env = gym.make("gym_hil/PandaPickCube-v1", device=InputDevice())
    assert "To see the robot in a browser, add the device web." in introduce(env)
    assert "pip install" not in introduce(env)
    env.close()


@pytest.mark.parametrize("nested", [False, True])
def test_group_with_the_web_device_opens_the_console(console: Any, nested: bool) -> None:
    web = make_device("web")
    device = DeviceGroup([InputDevice(), DeviceGroup([web]) if nested else web])
    env = gym.make("gym_hil/PandaPickCube-v1", device=device)
    assert env.has_wrapper_attr("channel")
    env.close()
    device.close()


def test_auto_and_several_names_work_in_gym_make(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gym_hil.teleop.operator.find_device", lambda: "scripted")
    env = gym.make("gym_hil/PandaPickCube-v1", device="auto")
    assert not env.get_wrapper_attr("device").human
    env.close()
    env = gym.make("gym_hil/PandaPickCube-v1", device="scripted,gamepad_hid")
    assert isinstance(env.get_wrapper_attr("device"), DeviceGroup)
    env.close()


def test_no_operator_is_an_option_too() -> None:
    options = OperatorOptions(device=None)
    assert options.make_device(None) is None
    assert options.env_kwargs()["device"] is None


def test_console_options_reach_the_environment(console: Any) -> None:
    wanted = ConsoleOptions(port=console.port)
    assert OperatorOptions(device="web", console=wanted).env_kwargs()["console"] is wanted


def test_the_name_of_the_gamepad_is_told(plug: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    plug("PS4 Controller")
    env = gym.make("gym_hil/PandaPickCube-v1", device="gamepad")
    assert introduce(env).startswith("Device: gamepad (PS4 Controller)\n")
    env.close()


@pytest.mark.parametrize("options", [{}, {"orientation": True}, {"use_gripper": False}])
def test_the_neutral_action_moves_nothing(options: dict[str, bool]) -> None:
    env = gym.make("gym_hil/PandaPickCube-v0", **options)
    env.reset(seed=0)
    before = env.get_wrapper_attr("tcp_target").copy(), env.get_wrapper_attr("gripper_command")
    action = neutral_action(env.action_space)  # type: ignore[arg-type]
    assert action in env.action_space
    env.step(action)
    np.testing.assert_array_equal(env.get_wrapper_attr("tcp_target"), before[0])
    assert env.get_wrapper_attr("gripper_command") == before[1]
    env.close()
