"""A copy goes on as its original would, and what was pickled is a new environment of the same kind."""

from __future__ import annotations

import copy
import pickle
import threading
import warnings
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest

from gym_hil import PandaPickCubeGymEnv, ResetDelayWrapper, SafetyWrapper
from gym_hil.errors import ConfigurationError, DeviceError
from gym_hil.registration import TASKS, controls, env_id
from gym_hil.teleop import InputDevice

pytestmark = [pytest.mark.usefixtures("console"), pytest.mark.filterwarnings("ignore:There is no display")]
SCRIPTED = "gym_hil/PandaPickCubeScripted-v1"


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr("sys.stdin", None)
    monkeypatch.setattr("gym_hil.wrappers.intervention.TIME_TO_GET_READY", 0.0)


def play(env: Any, steps: int) -> list[tuple[Any, ...]]:
    """What the steps of an episode return, until its end."""
    seen: list[tuple[Any, ...]] = []
    while len(seen) < steps and not (seen and (seen[-1][2] or seen[-1][3])):
        action = np.zeros(env.action_space.shape, np.float32)
        observation, reward, terminated, truncated, _ = env.step(action)
        seen.append((observation["agent_pos"].tolist(), reward, terminated, truncated))
    return seen


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gym_hil/PandaPickCubeBase-v1", {}),
        ("gym_hil/PandaPickCubeViewer-v1", {}),
        ("gym_hil/PandaPickCube-v1", {"success": lambda *_: False}),
        (SCRIPTED, {}),
        (SCRIPTED, {"device_options": {"motion_noise": 0.2, "reaction_delay": 2}}),
        (SCRIPTED, {"use_viewer": True}),
    ],
)
def test_copy_and_original_go_on_alike_and_apart(name: str, options: dict[str, Any]) -> None:
    env = gym.make(name, **options)
    env.reset(seed=1)
    play(env, 5)
    copied = copy.deepcopy(env)
    before = env.unwrapped.get_state().physics
    ahead = play(copied, 200)
    np.testing.assert_array_equal(env.unwrapped.get_state().physics, before)
    original = play(env, 200)
    if mujoco.__version__.startswith("3.3."):  # a copy of MjData differs there in the last bits
        original, ahead = ([(np.round(row[0], 6).tolist(), *row[1:]) for row in rows] for rows in (original, ahead))
    assert original == ahead
    if name == SCRIPTED:
        assert ahead[-1][1:] == (1.0, True, False)
    assert copied.spec == env.spec
    np.testing.assert_array_equal(copied.reset(seed=4)[0]["agent_pos"], env.reset(seed=4)[0]["agent_pos"])
    env.close()
    copied.close()


def test_copy_shows_itself_from_its_next_reset_on(console: Any) -> None:
    env = gym.make("gym_hil/PandaPickCube-v1", use_viewer=True)
    env.reset(seed=1)
    copied = copy.deepcopy(env)
    play(copied, 2)
    assert len(console.channels) == 1
    copied.reset()
    assert len(console.channels) == 2
    env.close()
    copied.close()


@pytest.mark.parametrize("control", ["Gamepad", "Keyboard", "SpaceMouse", "Web"])
def test_environment_with_a_humans_device_cannot_be_copied(control: str) -> None:
    env = gym.make(env_id("PandaPickCube", control, 1), reset_delay_seconds=0)
    env.reset(seed=1)
    with pytest.raises(DeviceError, match=r"cannot be copied.*without device="):
        copy.deepcopy(env)
    assert len(play(env, 3)) == 3
    env.close()


@pytest.mark.parametrize("name", [env_id(task, control, 1) for task in TASKS for control in ("Base", *controls())])
def test_every_id_can_be_pickled(name: str) -> None:
    env = gym.make(name)
    again = pickle.loads(pickle.dumps(env))
    assert str(again) == str(env)
    assert again.spec == env.spec
    np.testing.assert_array_equal(again.reset(seed=4)[0]["agent_pos"], env.reset(seed=4)[0]["agent_pos"])
    assert again.step(np.zeros(again.action_space.shape))[2:4] == (False, False)
    again.close()
    env.close()


def test_pickled_environment_keeps_its_arguments() -> None:
    env = gym.make(SCRIPTED, image_obs=True, max_episode_steps=3, device_options={"seed": 3}, gripper_penalty=-0.5)
    again = pickle.loads(pickle.dumps(env))
    again.reset(seed=1)
    assert [step[3] for step in play(again, 3)] == [False, False, True]
    assert again.spec.kwargs == env.spec.kwargs
    assert again.observation_space == env.observation_space


def test_state_that_a_copy_needs_is_that_of_the_episode() -> None:
    env = PandaPickCubeGymEnv(random_block_position=True)
    fresh = copy.deepcopy(env)
    with pytest.raises(gym.error.ResetNeeded):
        fresh.step(np.zeros(7))
    env.reset(seed=1)
    copied = copy.deepcopy(env)
    for one in (env, copied):  # the generator is copied, not shared
        one.reset()
    np.testing.assert_array_equal(copied.cube_position, env.cube_position)


def test_environment_made_in_a_loop_and_forgotten_leaves_nothing(console: Any) -> None:
    import gc

    for _ in range(10):
        env = gym.make("gym_hil/PandaPickCubeWeb-v1", reset_delay_seconds=0)
        env.reset(seed=0)
        play(env, 2)
    del env
    gc.collect()
    assert console.channels == []


def keys_and_types(info: Any) -> Any:
    if isinstance(info, dict):
        return {key: keys_and_types(value) for key, value in info.items()}
    return (type(info), info.dtype, info.shape) if isinstance(info, np.ndarray) else type(info)


@pytest.mark.parametrize("control", ["Base", "", "Scripted", "Web"])
def test_info_has_the_same_keys_and_types_after_reset_and_step(control: str) -> None:
    def judge(observation: Any, info: dict[str, Any]) -> bool:
        info["probability"] = 0.5
        return False

    options = {} if control == "Base" else {"success": judge, "reset_delay_seconds": 0}
    env = gym.make(env_id("PandaPickCube", control, 1), **options)
    _, info = env.reset(seed=0)
    expected = keys_and_types(info)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):
            assert keys_and_types(env.step(env.action_space.sample())[4]) == expected
    env.close()


def test_success_that_is_no_function_is_refused_when_made_again() -> None:
    env = gym.make(SCRIPTED, success=lambda *_: True)
    env.spec.kwargs["success"] = "classifier"  # type: ignore[union-attr]
    with pytest.raises(ConfigurationError, match="success"):
        gym.make(env.spec)


def test_device_object_is_named_by_the_spec_and_not_copied() -> None:
    pad = InputDevice()
    env = gym.make("gym_hil/PandaPickCube-v1", device=[pad, "scripted"])
    assert copy.deepcopy(env.spec).kwargs["device"][0].value is pad  # type: ignore[union-attr]


class LimitedStep(SafetyWrapper):
    """A user's wrapper, with parameters of its own."""

    def __init__(self, env: Any, **kwargs: Any):
        super().__init__(env, **{"max_step": 0.5, **kwargs})


class Robot:
    """A user's robot, which cannot be copied."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.holds = 0

    def hold(self) -> None:
        with self.lock:
            self.holds += 1


class Held(SafetyWrapper):
    def __init__(self, inner: Any, robot: Robot):
        super().__init__(inner, hold=robot.hold, watchdog=None)


class Delayed(ResetDelayWrapper):
    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)


def test_users_subclass_can_be_pickled_with_its_arguments() -> None:
    env = LimitedStep(gym.make("gym_hil/PandaPickCubeBase-v1"), watchdog=None)
    again = pickle.loads(pickle.dumps(env))
    assert type(again) is LimitedStep
    again.reset(seed=0)
    assert again.step(np.full(7, 1.0, np.float32))[4]["safety"] == ("step",)


def test_users_subclass_is_made_again_from_its_spec() -> None:
    env = Delayed(gym.make("gym_hil/PandaPickCubeBase-v1"), 0.25)
    again = gym.make(env.spec)
    assert again.get_wrapper_attr("delay_seconds") == 0.25
    assert again.spec == env.spec


def test_users_subclass_may_take_what_cannot_be_copied() -> None:
    robot = Robot()
    env = Held(gym.make("gym_hil/PandaPickCubeBase-v1"), robot)
    assert env.spec.additional_wrappers[-1].kwargs.keys() == {"hold", "watchdog"}  # type: ignore[union-attr]


def test_subclass_that_records_its_own_arguments_is_made_again_with_these() -> None:
    class Own(SafetyWrapper):
        def __init__(self, env: Any, share: float):
            gym.utils.RecordConstructorArgs.__init__(self, share=share)
            super().__init__(env, max_step=share, watchdog=None)

    assert Own(gym.make("gym_hil/PandaPickCubeBase-v1"), 0.5)._saved_kwargs == {"share": 0.5}


def test_misspelt_argument_is_named_with_the_class() -> None:
    env = gym.make("gym_hil/PandaPickCubeBase-v1")
    with pytest.raises(TypeError, match=r"^SafetyWrapper.__init__\(\) got an unexpected keyword argument 'maxstep'"):
        SafetyWrapper(env, maxstep=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^ResetDelayWrapper.__init__\(\) missing 1 required positional argument"):
        ResetDelayWrapper()  # type: ignore[call-arg]
