"""An operator's command replaces the policy's action, events end episodes, and info says on every step who acted."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from gym_hil import PandaPickCubeGymEnv
from gym_hil.errors import ConfigurationError, InvalidActionError
from gym_hil.teleop import Button, Device, Event, InputDevice, TeleopCommand
from gym_hil.teleop.sequence import SequenceDevice
from gym_hil.wrappers.hil_wrappers import (
    EEActionWrapper,
    GripperPenaltyWrapper,
    InputsControlWrapper,
    ResetDelayWrapper,
)

POLICY = np.array([0.5, -0.5, 0.25, 1], np.float32)
STEP_KEYS = {
    "succeed": bool,
    "next.success": bool,
    "is_success": bool,
    "is_intervention": bool,
    "rerecord_episode": bool,
    "quit": bool,
    "discrete_penalty": float,
    "action_intervention": np.ndarray,
    "teleop_action": np.ndarray,
}


class Pad(InputDevice):
    """A pad whose clock stands still, so that it is always alive."""

    def __init__(self, **options: Any):
        super().__init__(clock=lambda: 0.0, **options)
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def pad() -> Pad:
    return Pad()


def stack(base: gym.Env[Any, Any], use_gripper: bool = True, orientation: bool = False, **options: Any) -> Any:
    env = EEActionWrapper(GripperPenaltyWrapper(base, -0.02), use_gripper=use_gripper, orientation=orientation)
    return InputsControlWrapper(env, **options)


def begin(env: Any) -> None:
    """Start an episode: from its first step on, what is pressed counts."""
    env.reset()
    env.step(POLICY)


def after(base: gym.Env[Any, Any], *events: Event, **options: Any) -> tuple[Any, ...]:
    """What a step returns in which the operator has pressed something."""
    env = stack(base, device=SequenceDevice([TeleopCommand(events=events)]), **options)
    env.reset()
    return env.step(POLICY)


def test_the_operator_can_be_asked_before_the_step(base: Any, pad: Pad) -> None:
    env = stack(base, device=pad)
    begin(env)
    assert not env.operator_drives()
    assert not env.step(POLICY)[4]["is_intervention"]
    pad.inputs.tap(Button.INTERVENE)
    pad.inputs.tap(Button.SUCCESS)
    assert env.operator_drives()
    assert env.operator_drives()
    info = env.step(POLICY)[4]
    assert info["is_intervention"]
    assert info["next.success"]


@pytest.mark.parametrize("driven", [False, True])
def test_every_step_and_reset_reports_everything_in_plain_types(base: Any, pad: Pad, driven: bool) -> None:
    env = stack(base, device=pad if driven else None)
    for _ in range(2):
        _, info = env.reset()
        assert {key: type(value) for key, value in info.items()} == STEP_KEYS
        assert not any(info[key] for key in STEP_KEYS if "action" not in key)
        np.testing.assert_array_equal(info["action_intervention"], [0, 0, 0, 1])
        for step in range(4):
            if driven and step == 2:
                pad.inputs.tap(Button.INTERVENE)
            observation, reward, terminated, truncated, info = env.step(POLICY)
            assert {key: type(value) for key, value in info.items()} == STEP_KEYS
            assert info["action_intervention"].dtype == info["teleop_action"].dtype == np.float32
            assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
            assert info["is_intervention"] == (driven and step >= 2)
            assert env.observation_space.contains(observation)


def test_policy_acts_while_the_operator_does_not(base: Any, pad: Pad) -> None:
    env = stack(base, device=pad)
    begin(env)
    pad.inputs.set_motion([1, 1, 1, 0, 0, 0])
    start = base.tcp_target
    info = env.step(POLICY)[4]
    np.testing.assert_allclose(base.tcp_target - start, 0.025 * POLICY[:3], atol=1e-8)
    np.testing.assert_array_equal(info["action_intervention"], POLICY)
    np.testing.assert_array_equal(info["teleop_action"], POLICY)
    assert not info["is_intervention"]


def test_operators_command_replaces_the_policys_action_entirely(base: Any, pad: Pad) -> None:
    env = stack(base, device=pad)
    begin(env)
    pad.inputs.tap(Button.INTERVENE)
    pad.inputs.set_motion([-1, 0, 0.5, 0, 0, 0])
    pad.inputs.press(Button.CLOSE)
    start = base.tcp_target
    info = env.step(POLICY)[4]
    np.testing.assert_allclose(base.tcp_target - start, [-0.025, 0, 0.0125], atol=1e-8)
    np.testing.assert_array_equal(info["action_intervention"], [-1, 0, 0.5, 2])
    assert info["is_intervention"]
    assert base.gripper_command == 1


@pytest.mark.parametrize(("button", "number"), [(Button.OPEN, 0), (None, 1), (Button.CLOSE, 2)])
def test_gripper_opens_stays_and_closes_as_its_label_says(base: Any, pad: Pad, button: Button, number: int) -> None:
    env = stack(base, device=pad)
    begin(env)
    pad.inputs.tap(Button.INTERVENE)
    if button:
        pad.inputs.press(button)
    assert env.step(POLICY)[4]["teleop_action"][3] == number


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"use_gripper": False}, [0.1, 0.2, 0.3]),
        ({}, [0.1, 0.2, 0.3, 2]),
        ({"use_gripper": False, "orientation": True}, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        ({"orientation": True}, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 2]),
    ],
)
def test_command_fits_every_action_space(base: Any, options: dict[str, bool], expected: list[float]) -> None:
    env = stack(base, device=SequenceDevice([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1]]), **options)
    env.reset()
    info = env.step(np.ones(len(expected)))[4]
    np.testing.assert_allclose(info["teleop_action"], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "row", "executed"),
    [
        ({"x_step_size": 0.5, "y_step_size": 0.5, "z_step_size": 2.0}, [1, -1, 1, -1], [0.5, -0.5, 1, 0, 0, 0, -1]),
        ({"use_gripper": False}, [1, 0, 0, 1], [1, 0, 0, 0, 0, 0, 0]),
        ({"input_threshold": 0.1}, [0.09, -0.2, 0, 0], [0, -0.2, 0, 0, 0, 0, 0]),
    ],
)
def test_options_shape_the_operators_action(
    recorder: Any, options: dict[str, Any], row: list[float], executed: list[float]
) -> None:
    env = InputsControlWrapper(recorder, device=SequenceDevice([row]), **options)
    env.reset()
    env.step(np.ones(7))
    np.testing.assert_allclose(recorder.actions[0], executed, rtol=1e-6)


def test_executed_action_is_reported_as_clipped_and_is_the_callers_own(base: Any) -> None:
    env = stack(base)
    env.reset()
    np.testing.assert_array_equal(env.step([9, -9, 0, 9])[4]["action_intervention"], [1, -1, 0, 2])
    action = POLICY.copy()
    info = env.step(action)[4]
    info["action_intervention"][:] = 7
    np.testing.assert_array_equal(info["teleop_action"], POLICY)
    np.testing.assert_array_equal(action, POLICY)


@pytest.mark.parametrize(
    ("events", "reward", "terminated", "truncated", "flags"),
    [
        ([Event.SUCCESS], 1.0, True, False, {"next.success", "is_success"}),
        ([Event.FAILURE], 0.0, True, False, set()),
        ([Event.RERECORD], 0.0, False, True, {"rerecord_episode"}),
        ([Event.QUIT], 0.0, False, True, {"quit"}),
        ([Event.SUCCESS, Event.RERECORD], 0.0, False, True, {"rerecord_episode"}),
        ([Event.RERECORD, Event.SUCCESS], 1.0, True, False, {"next.success", "is_success"}),
        ([Event.QUIT, Event.FAILURE], 0.0, True, False, {"quit"}),
    ],
)
def test_operator_ends_the_episode_by_the_last_of_the_events(
    base: Any, events: list[Event], reward: float, terminated: bool, truncated: bool, flags: set[str]
) -> None:
    result = after(base, *events)
    assert result[1:4] == (reward, terminated, truncated)
    keys = ("succeed", "next.success", "is_success", "rerecord_episode", "quit")
    assert {key for key in keys if result[4][key]} == flags


def test_intervention_ends_with_the_episode(base: Any, pad: Pad) -> None:
    env = stack(base, device=pad)
    begin(env)
    pad.inputs.tap(Button.INTERVENE)
    assert env.step(POLICY)[4]["is_intervention"]
    pad.inputs.tap(Button.SUCCESS)
    assert env.step(POLICY)[2]
    env.reset()
    assert not env.step(POLICY)[4]["is_intervention"]


def test_button_held_over_a_reset_still_intervenes_in_hold_mode(base: Any, pad: Pad) -> None:
    env = stack(base, device=pad, intervention="hold")
    begin(env)
    pad.inputs.press(Button.INTERVENE)
    assert env.step(POLICY)[4]["is_intervention"]
    env.reset()
    assert env.step(POLICY)[4]["is_intervention"]


@pytest.mark.parametrize("auto_reset", [False, True])
@pytest.mark.parametrize("button", [Button.SUCCESS, Button.FAILURE, Button.RERECORD, Button.QUIT, Button.CLOSE])
def test_what_is_pressed_before_the_first_step_counts_for_nothing(
    base: Any, pad: Pad, monkeypatch: pytest.MonkeyPatch, button: Button, auto_reset: bool
) -> None:
    def sleep(seconds: float) -> None:
        pad.inputs.tap(button)  # while the operator gets ready

    monkeypatch.setattr("time.sleep", sleep)
    env = stack(base, device=pad, reset_delay_seconds=60, auto_reset=auto_reset)
    for _ in range(2):
        pad.inputs.tap(button)
        env.reset()
        pad.inputs.tap(button)
        if auto_reset:
            for _ in range(2):
                env.step(POLICY)
                pad.inputs.tap(Button.FAILURE)
            assert env.step(POLICY)[2] is False
        _, reward, terminated, truncated, info = env.step(POLICY)
        assert (reward, terminated, truncated, info["is_intervention"]) == (0.0, False, False, False)


@pytest.mark.parametrize(("presses", "engaged"), [(1, True), (2, False)])
def test_operator_may_take_over_before_the_first_step(base: Any, pad: Pad, presses: int, engaged: bool) -> None:
    env = stack(base, device=pad)
    pad.inputs.tap(Button.INTERVENE)
    env.reset()
    for _ in range(presses):
        pad.inputs.tap(Button.INTERVENE)
    assert env.step(POLICY)[4]["is_intervention"] == engaged


class SlowPad(Pad):
    """A pad whose presses wait in the system's queue until they are read."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: list[Button] = []

    def read(self) -> None:
        while self.queue:
            self.inputs.press(self.queue.pop(0))


def test_what_waits_in_a_queue_before_the_first_step_counts_for_nothing(base: Any) -> None:
    pad = SlowPad()
    env = stack(base, device=pad)
    env.reset()
    pad.queue = [Button.SUCCESS, Button.CLOSE]
    assert not env.step(POLICY)[2]
    pad.inputs.tap(Button.INTERVENE)
    assert env.step(POLICY)[4]["teleop_action"][3] == 2, "a held button stays held"


def test_first_step_waits_for_the_rest_of_the_reset_delay(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = [0.0], []
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", slept.append)
    env = stack(base, device=SequenceDevice([[0, 0, 0, 0]]), reset_delay_seconds=2)
    for pause, waited in ((0.5, [1.5]), (3.0, [])):
        slept.clear()
        env.reset()
        assert slept == []
        now[0] += pause
        env.step(POLICY)
        env.step(POLICY)
        assert slept == waited
    assert env.seconds_paused == 1.5


@pytest.mark.parametrize("delay", [-1, np.nan, np.inf])
def test_delay_that_cannot_be_waited_is_refused(base: Any, delay: float) -> None:
    for make in (lambda: ResetDelayWrapper(base, delay), lambda: stack(base, reset_delay_seconds=delay)):
        with pytest.raises(ConfigurationError, match="reset delay"):
            make()


def test_reset_delay_wrapper_waits_after_each_reset(recorder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    env = ResetDelayWrapper(recorder, 1.5)
    env.reset(seed=3)
    env.step(np.zeros(7))
    env.reset()
    assert slept == [1.5, 1.5]


def test_refused_action_loses_no_press(base: Any, pad: Pad) -> None:
    env = stack(base, device=pad)
    begin(env)
    pad.inputs.tap(Button.SUCCESS)
    before = base.get_state().physics
    for action in ([np.nan, 0, 0, 1], [0, 0, 0]):
        with pytest.raises(InvalidActionError):
            env.step(action)
    np.testing.assert_array_equal(base.get_state().physics, before)
    assert env.step(POLICY)[2]


def test_auto_reset_is_gymnasiums(base: Any) -> None:
    def steps(env: Any) -> list[tuple[Any, ...]]:
        env.reset(seed=0)
        return [
            (observation["agent_pos"].tolist(), *ends, info["next.success"])
            for observation, *ends, info in (env.step(POLICY) for _ in range(9))
        ]

    def device() -> SequenceDevice:
        return SequenceDevice([TeleopCommand(), TeleopCommand(events=(Event.SUCCESS,))])

    limited = gym.wrappers.TimeLimit(base, 5)
    own = steps(stack(limited, device=device(), auto_reset=True))
    assert own == steps(gym.wrappers.Autoreset(stack(limited, device=device())))
    assert [step[1:] for step in own[:3]] == [(0.0, False, False, False), (1.0, True, False, True), (0.0, *[False] * 3)]


def test_without_auto_reset_nothing_is_reset(base: Any) -> None:
    observation, *_ = after(base, Event.SUCCESS)
    np.testing.assert_array_equal(observation["agent_pos"], base.observation()["agent_pos"])


def test_device_object_belongs_to_the_caller(base: Any, pad: Pad) -> None:
    env = stack(base, device=[pad, "scripted"])
    env.reset()
    env.close()
    assert pad.closed == 0


def test_device_made_by_name_is_closed_and_made_anew(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gym_hil.teleop.registry.find_device_class", lambda name: Pad)
    for device in ("pad", ["pad"]):
        env = stack(base, device=device)
        env.reset()
        made = env.device if device == "pad" else env.device.devices[0]
        env.close()
        env.close()
        assert made.closed == 1
        assert env.device is None
        env.reset()
        assert env.device is not None
        env.step(POLICY)


def test_environment_is_closed_even_if_a_device_fails_to(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    env = stack(base, device="scripted")
    env.reset()
    closed = []
    monkeypatch.setattr(base, "close", lambda: closed.append(True))

    def fail() -> None:
        raise OSError("gone")

    monkeypatch.setattr(env.device, "close", fail)
    with pytest.raises(OSError, match="gone"):
        env.close()
    assert closed == [True]


def test_several_devices_share_the_robot(base: Any) -> None:
    pads = [Pad(), Pad()]
    env = stack(base, device=pads)
    begin(env)
    for number, pad in enumerate(pads, start=1):
        pad.inputs.set_motion([number / 10, 0, 0, 0, 0, 0])
    pads[1].inputs.tap(Button.INTERVENE)
    assert env.step(POLICY)[4]["teleop_action"][0] == np.float32(0.2)
    pads[0].inputs.tap(Button.FAILURE)
    assert env.step(POLICY)[2]


def test_seeded_reset_seeds_the_device(base: Any) -> None:
    class Chancy(Device):
        seeds: list[int] = []  # noqa: RUF012

        def poll(self) -> TeleopCommand:
            return TeleopCommand()

        def seed(self, seed: int) -> None:
            self.seeds.append(seed)

    device = Chancy()
    env = stack(base, device=device)
    env.reset(seed=5)
    env.reset()
    assert device.seeds == [5]


def test_full_speed_is_in_metres(base: Any) -> None:
    assert stack(base).full_speed == pytest.approx((0.025, 0.025, 0.025))
    assert stack(base, x_step_size=0.5, y_step_size=3).full_speed == pytest.approx((0.0125, 0.025, 0.025))
    assert InputsControlWrapper(base).full_speed == pytest.approx((0.1, 0.1, 0.1))


@pytest.mark.parametrize(("use_gamepad", "name"), [(True, "gamepad"), (False, "keyboard")])
def test_use_gamepad_names_the_device(base: Any, monkeypatch: pytest.MonkeyPatch, use_gamepad: bool, name: str) -> None:
    asked = []

    def make_device(device: Any, **_: Any) -> Device:
        asked.append(device)
        return Pad()

    monkeypatch.setattr("gym_hil.teleop.operator.make_device", make_device)
    stack(base, use_gamepad=use_gamepad)
    stack(base, use_gamepad=use_gamepad, device="scripted")
    assert asked == [name, "scripted"]


def test_controller_configuration_is_passed_to_gamepads_only(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr("gym_hil.teleop.operator.make_device", lambda _, **kw: asked.append(kw) or Pad())
    for device in ("gamepad", ["keyboard", "gamepad"], "scripted"):
        stack(base, device=device, controller_config_path="mine.json")
    stack(base, controller_config_path="mine.json")
    assert [kw.get("controller_config_path") for kw in asked] == ["mine.json", "mine.json", None]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "scripted", "intervention": "sometimes"}, "'sometimes'"),
        ({"device": "scripted", "device_options": {"speed": 1}}, "'speed'"),
        ({"intervention": "hold"}, "device="),
        ({"device_options": {"seed": 1}}, "device="),
        ({"x_step_size": 0}, "x_step_size"),
        ({"z_step_size": np.nan}, "z_step_size"),
        ({"input_threshold": -1}, "input_threshold"),
        ({"input_threshold": 1.0}, "input_threshold"),
    ],
)
def test_argument_that_cannot_work_is_refused(base: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        stack(base, **options)


def test_gripper_cannot_be_asked_for_where_there_is_none(base: Any) -> None:
    with pytest.raises(ConfigurationError, match="use_gripper"):
        InputsControlWrapper(EEActionWrapper(base), use_gripper=True)


def test_action_of_five_numbers_is_refused() -> None:
    class Five(PandaPickCubeGymEnv):
        def __init__(self) -> None:
            super().__init__()
            self.action_space = gym.spaces.Box(-1, 1, (5,), np.float32)

    with pytest.raises(ConfigurationError, match="5 numbers"):
        InputsControlWrapper(Five())


class Judge:
    """A success hook that answers as written down, one answer a step."""

    def __init__(self, *answers: bool):
        self.answers, self.resets = list(answers), 0

    def __call__(self, observation: dict[str, Any], info: dict[str, Any]) -> bool:
        info["judged"] = float(observation["agent_pos"][14])
        return bool(self.answers) and self.answers.pop(0)

    def reset(self) -> None:
        self.resets += 1


GRASP_AND_LIFT = [[0, 0, -1, 0]] * 3 + [[0, 0, 0, 1]] * 5 + [[0, 0, 1, 0]] * 10


def test_success_hook_alone_rewards_and_ends_the_episode(base: Any) -> None:
    judge = Judge(True, False, True)  # the first answer is about the observation of the reset
    env = stack(base, success=judge)
    _, info = env.reset()
    assert (info["next.success"], info["judged"], judge.resets) == (False, 0.0, 1)
    _, reward, terminated, _, info = env.step(POLICY)
    assert (reward, terminated, info["next.success"]) == (0.0, False, False)
    _, reward, terminated, truncated, info = env.step(POLICY)
    assert (reward, terminated, truncated, info["next.success"], info["succeed"]) == (1.0, True, False, True, False)


@pytest.mark.parametrize("reward_type", ["sparse", "dense"])
def test_environments_own_success_neither_rewards_nor_ends_where_a_hook_decides(reward_type: Any) -> None:
    env = stack(
        PandaPickCubeGymEnv(reward_type=reward_type), success=lambda *_: False, device=SequenceDevice(GRASP_AND_LIFT)
    )
    env.reset()
    steps = [env.step(POLICY) for _ in GRASP_AND_LIFT]
    assert not any(reward or terminated or info["next.success"] for _, reward, terminated, _, info in steps)
    assert steps[-1][4]["succeed"]


class Ends(gym.Env[Any, Any]):
    """Ends each episode at its first step, as a success, a failure or both."""

    action_space = gym.spaces.Box(-1, 1, (7,), np.float32)
    observation_space = gym.spaces.Dict({"agent_pos": gym.spaces.Box(-255, 255, (18,), np.float32)})

    def __init__(self, succeed: bool, fail: bool):
        self.succeed, self.fail = succeed, fail

    def reset(self, **_: Any) -> tuple[Any, dict[str, Any]]:
        return {"agent_pos": np.zeros(18, np.float32)}, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.reset()[0], float(self.succeed), True, False, {"is_success": self.succeed}

    def is_failure(self) -> bool:
        return self.fail


@pytest.mark.parametrize(
    ("succeed", "fail", "judged", "expected"),
    [
        (True, False, False, (0.0, False, False)),
        (True, False, True, (1.0, True, True)),
        (True, True, True, (0.0, True, False)),
        (False, True, True, (0.0, True, False)),
    ],
)
def test_failure_of_the_environment_outweighs_the_hook(
    succeed: bool, fail: bool, judged: bool, expected: tuple[float, bool, bool]
) -> None:
    env = InputsControlWrapper(Ends(succeed, fail), success=lambda *_: judged)
    env.reset()
    _, reward, terminated, _, info = env.step(np.zeros(7))
    assert (reward, terminated, info["next.success"]) == expected
    assert info["succeed"] == succeed


@pytest.mark.parametrize(
    ("event", "judged", "expected"),
    [
        (Event.SUCCESS, False, (1.0, True, False, True)),
        (Event.FAILURE, True, (0.0, True, False, False)),
        (Event.RERECORD, False, (0.0, False, True, False)),
    ],
)
def test_operator_overrules_the_hook(base: Any, event: Event, judged: bool, expected: tuple[Any, ...]) -> None:
    _, reward, terminated, truncated, info = after(base, event, success=lambda *_: judged)
    assert (reward, terminated, truncated, info["next.success"]) == expected


def test_success_hook_is_given_to_gym_make(base: Any) -> None:
    env = gym.make("gym_hil/PandaPickCube-v0", success=lambda *_: True)
    env.reset()
    assert env.step(POLICY)[1:3] == (1.0, True)
    with pytest.raises(ConfigurationError, match="success"):
        gym.make("gym_hil/PandaPickCube-v0", success="classifier")
