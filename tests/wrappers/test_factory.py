"""The stack that `gym.make`, `make_env` and `wrap_env` build."""

from __future__ import annotations

import pickle
import sys
from typing import Any
from unittest.mock import MagicMock

import gymnasium as gym
import mujoco
import numpy as np
import pytest

import gym_hil
from gym_hil.errors import ConfigurationError, DeviceError, UnknownDeviceError
from gym_hil.teleop import Button, InputDevice
from gym_hil.wrappers.factory import make_env, wrap_env
from gym_hil.wrappers.intervention import TIME_TO_GET_READY

BASE = "gym_hil/PandaPickCubeBase-v1"
WRAPPED = "gym_hil/PandaPickCube-v1"
STAY = np.array([0, 0, 0, 1], np.float32)


def layers(env: gym.Env[Any, Any]) -> list[str]:
    """Names of the wrappers, from the outside in, without Gymnasium's own."""
    names = []
    while isinstance(env, gym.Wrapper):
        if type(env).__module__.startswith("gym_hil"):
            names.append(type(env).__name__)
        env = env.env
    return names


@pytest.mark.usefixtures("no_console")
def test_stack_is_in_order() -> None:
    inner = ["InputsControlWrapper", "EEActionWrapper", "GripperPenaltyWrapper"]
    assert layers(make_env(BASE, use_viewer=True)) == ["PassiveViewerWrapper", *inner]
    assert layers(gym.make(WRAPPED, use_viewer=True)) == ["PassiveViewerWrapper", *inner]
    assert layers(gym.make(WRAPPED)) == inner


def test_a_step_takes_at_most_eleven_functions_on_its_way_to_the_physics() -> None:
    env = gym.make("gym_hil/PandaPickCube-v0")
    env.reset(seed=0)
    env.step(STAY)  # Gymnasium looks at the first step more closely
    called: list[str] = []

    def note(frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            called.append(frame.f_code.co_name)
        elif event == "c_call" and argument is mujoco.mj_step:
            sys.setprofile(None)

    sys.setprofile(note)
    env.step(STAY)
    sys.setprofile(None)
    assert called.count("check_action") == 1
    assert len(called) <= 11, called


@pytest.mark.parametrize(
    ("options", "size"),
    [({}, 4), ({"use_gripper": False}, 3), ({"orientation": True}, 7), ({"use_gripper": True, "orientation": True}, 7)],
)
def test_options_choose_the_action(options: dict[str, bool], size: int) -> None:
    assert gym.make(WRAPPED, **options).action_space.shape == (size,)


def test_step_size_and_penalty_arrive() -> None:
    env = gym.make(WRAPPED, ee_step_size={"x": 0.01, "y": 0.02, "z": 0.03}, gripper_penalty=-0.5)
    env.reset(seed=0)
    start = env.unwrapped.tcp_target
    info = env.step([1, 1, 1, 2])[4]
    np.testing.assert_allclose(env.unwrapped.tcp_target - start, [0.01, 0.02, 0.03], atol=1e-8)
    assert info["discrete_penalty"] == -0.5
    assert gym_hil.wrap_env(gym_hil.PandaPickCubeGymEnv(), gripper_penalty=None).reset()[1]["discrete_penalty"] == 0.0


def test_a_human_gets_time_before_the_first_step_and_nothing_else_does() -> None:
    def delay(**options: Any) -> float:
        return wrap_env(gym_hil.PandaPickCubeGymEnv(), **options).get_wrapper_attr("reset_delay_seconds")

    pad = InputDevice()
    assert delay(device=pad) == TIME_TO_GET_READY
    assert delay() == delay(device="scripted") == delay(device=pad, reset_delay_seconds=0) == 0
    assert delay(reset_delay_seconds=2.5) == 2.5


@pytest.mark.usefixtures("console")
@pytest.mark.parametrize("display", [None, "There is no display."])
def test_new_scene_is_shown_before_the_operator_gets_ready(monkeypatch: Any, display: str | None) -> None:
    shown: list[float] = []
    monkeypatch.setattr("gym_hil.display.missing_display", lambda: display)
    monkeypatch.setattr("gym_hil.rendering.window.ViewerWindow.sync", lambda self: shown.append(self._data.time))
    monkeypatch.setattr("time.sleep", lambda _: shown.append(-1.0))
    env = gym.make(WRAPPED, device=InputDevice(), use_viewer=True)
    if env.has_wrapper_attr("channel"):
        publish = env.get_wrapper_attr("channel").publish
        monkeypatch.setattr(
            env.get_wrapper_attr("channel"),
            "publish",
            lambda *args: (shown.append(env.unwrapped.data.time), publish(*args)),
        )
    env.reset()
    env.step(STAY)
    assert shown == pytest.approx([0.0, -1.0, 0.1])
    env.close()


def test_time_limit_is_applied_once_and_the_callers_wins() -> None:
    for options, steps in (({}, 150), ({"max_episode_steps": 200}, 200), ({"max_episode_steps": 5}, 5)):
        env = gym.make(WRAPPED, **options)
        env.reset(seed=0)
        ends = [env.step(STAY)[3] for _ in range(steps)]
        assert ends == [False] * (steps - 1) + [True]


def test_environment_made_directly_has_the_time_limit_of_its_id() -> None:
    env = make_env(BASE)
    env.reset(seed=0)
    assert [env.step(STAY)[3] for _ in range(150)] == [False] * 149 + [True]


@pytest.mark.parametrize("limit", [None, 60, 200, -1])
def test_auto_reset_starts_full_episodes_at_any_time_limit(limit: int | None) -> None:
    options = {} if limit is None else {"max_episode_steps": limit}
    length = {None: 150, -1: 10**9}.get(limit, limit)
    steps = min(2 * length + 1, 410)
    env = gym.make(WRAPPED, auto_reset=True, **options)
    for made in (env, gym.make(env.spec), make_env(BASE, auto_reset=True, **options)):
        made.reset(seed=0)
        ends = [made.step(STAY)[2:4] for _ in range(steps)]
        assert not any(terminated for terminated, _ in ends)
        # One step more, in which the next episode starts.
        assert [k for k, (_, truncated) in enumerate(ends) if truncated] == list(range(length - 1, steps, length + 1))
    assert gym.make(gym.make(WRAPPED).spec, auto_reset=True).get_wrapper_attr("auto_reset")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"device": "scripted", "device_options": {"motion_noise": 0.1}},
        {"orientation": True},
        {"use_gripper": False},
    ],
)
def test_spec_makes_the_same_environment_again(options: dict[str, Any]) -> None:
    env = gym.make(WRAPPED, **options)
    spec = pickle.loads(pickle.dumps(env.spec))
    again = gym.make(spec)
    assert str(again) == str(env)
    assert again.spec == env.spec
    assert again.action_space == env.action_space
    np.testing.assert_array_equal(again.reset(seed=1)[0]["agent_pos"], env.reset(seed=1)[0]["agent_pos"])


def test_spec_of_an_environment_with_a_device_in_hand_names_that_device() -> None:
    pad = InputDevice(clock=lambda: 0.0)
    env = gym.make(WRAPPED, device=pad, reset_delay_seconds=0)
    outside = gym.wrappers.RecordEpisodeStatistics(env)
    again = gym.make(outside.spec)
    again.reset(seed=0)
    again.step(STAY)
    pad.inputs.tap(Button.INTERVENE)
    assert again.step(STAY)[4]["is_intervention"]


def test_scripted_id_needs_no_device_and_lifts_the_cube() -> None:
    env = gym.make("gym_hil/PandaPickCubeScripted-v1")
    env.reset(seed=0)
    for _ in range(60):
        _, reward, terminated, _, info = env.step(STAY)
        assert info["is_intervention"]
        if terminated:
            break
    assert (reward, info["next.success"]) == (1.0, True)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"device": "telepathy"}, UnknownDeviceError),
        ({"device": ["scripted", "telepathy"]}, UnknownDeviceError),
        ({"device": "scripted", "intervention": "sometimes"}, ConfigurationError),
        ({"ee_step_size": {"x": 1}}, ConfigurationError),
        ({"gripper_penalty": 1.0}, ConfigurationError),
        ({"reset_delay_seconds": -1}, ConfigurationError),
        ({"reward_type": "vague"}, ConfigurationError),
        ({"colour": "red"}, TypeError),
    ],
)
def test_argument_that_cannot_work_is_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        gym.make(WRAPPED, **options)


@pytest.fixture
def no_keyboard(console: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Neither a display nor a terminal; the names of the back ends that were tried."""
    tried: list[str] = []

    def refuse(name: str, inputs: Any) -> Any:
        tried.append(name)
        raise DeviceError(f"{name} is not here")

    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("gym_hil.teleop.keyboard._open", refuse)
    monkeypatch.setattr(sys, "platform", "linux")
    return tried


@pytest.mark.parametrize(
    "options",
    [{"device": "keyboard"}, {"device": ["keyboard"]}, {"use_gamepad": False, "use_inputs_control": True}],
)
def test_page_replaces_a_keyboard_that_cannot_be_read(
    options: dict[str, Any], no_keyboard: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    hooks: list[Any] = []

    class Success:
        def __init__(self, env: Any):
            hooks.append(env)

        def __call__(self, observation: Any, info: dict[str, Any]) -> bool:
            return False

    sys.modules[__name__].Success = Success  # type: ignore[attr-defined]
    env = make_env(BASE, use_viewer=True, success=f"{__name__}:Success", **options)
    assert type(env.get_wrapper_attr("device")).__name__ == "WebDevice"
    assert (no_keyboard, len(hooks)) == (["terminal"], 1)
    assert "terminal is not here" in caplog.text
    assert "page that shows the environment reads the keys" in caplog.text
    again = pickle.loads(pickle.dumps(env))
    assert type(again.get_wrapper_attr("device")).__name__ == "WebDevice"
    again.close()
    env.close()


def test_keyboard_with_a_back_end_of_choice_is_not_replaced(no_keyboard: list[str]) -> None:
    env = make_env(BASE, use_viewer=True, device="keyboard", device_options={"backend": "auto"})
    assert type(env.get_wrapper_attr("device")).__name__ == "Keyboard"
    env.close()


def test_keyboard_that_can_be_read_is_opened_once(no_keyboard: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    monkeypatch.setattr("gym_hil.teleop.keyboard._open", lambda *given: opened.append(given) or MagicMock())
    make_env(BASE, use_viewer=True, device="keyboard").close()
    assert len(opened) == 1
