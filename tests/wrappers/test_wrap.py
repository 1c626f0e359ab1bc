"""`gym_hil.wrap` lets an operator drive environments of others."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gym_hil
from gym_hil.errors import ConfigurationError, InvalidStepError
from gym_hil.teleop import InputDevice
from gym_hil.teleop.sequence import SequenceDevice
from tests.wrappers.test_intervention import STEP_KEYS


class Arm(gym.Env[Any, Any]):
    """Stands for a robot of somebody: three coordinates that the action moves, without MuJoCo and without a pace."""

    observation_space = gym.spaces.Box(-1, 1, (3,), np.float64)
    action_space = gym.spaces.Box(-0.1, 0.1, (4,), np.float64)
    returned: Any = 0.5
    seen: Any = None
    info: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.position = np.zeros(3)
        return self.position.copy(), {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.position = np.clip(self.position + action[:3], -1, 1)
        if isinstance(self.returned, Exception):
            raise self.returned
        seen = self.position.copy() if self.seen is None else self.seen
        info = {"is_success": self.position[0] > 0.15} if self.info is None else self.info
        return seen, self.returned, False, False, info


ROW = [1, 0.5, 0, 1]


@pytest.mark.parametrize(
    ("name", "action_map", "executed", "penalty"),
    [
        ("Pendulum-v1", "x=-0", [-2], 0),
        ("MountainCarContinuous-v0", "x=0*0.5", [0.5], 0),
        ("Reacher-v5", "x=0,y=1", [1, 0.5], 0),
        ("Pusher-v5", "rx=0,x=3,gripper=-6", [0, 0, 0, 2, 0, 0, -2], -0.02),
        ("Pusher-v5", lambda command: 0.5 * np.full(7, command.motion[0]), [0.5] * 7, 0),
    ],
)
def test_gymnasiums_environments_are_driven_and_report_everything(
    name: str, action_map: Any, executed: list[float], penalty: float
) -> None:
    env = gym_hil.wrap(gym.make(name), SequenceDevice([ROW]), action_map=action_map)
    _, info = env.reset(seed=0)
    assert STEP_KEYS.items() <= {key: type(value) for key, value in info.items()}.items()
    for driven in (True, False):
        _, _, _, _, info = env.step(np.zeros(env.action_space.shape))
        assert STEP_KEYS.items() <= {key: type(value) for key, value in info.items()}.items()
        assert info["is_intervention"] == driven
        np.testing.assert_allclose(info["action_intervention"], executed if driven else 0 * np.array(executed))
        assert info["discrete_penalty"] == (penalty if driven else 0)
    env.close()


def test_success_of_the_environment_is_reported_and_can_end_the_episode() -> None:
    for success, reward, ends in ((None, 0.5, False), ("info", 1.0, True)):
        env = gym_hil.wrap(Arm(), SequenceDevice([ROW] * 2), success=success)
        env.reset()
        steps = [env.step(np.zeros(4)) for _ in range(2)]
        assert [step[4]["next.success"] for step in steps] == [False, True]
        assert (steps[1][1], steps[1][2]) == (reward, ends)


def test_pace_is_what_the_environment_says_or_was_told() -> None:
    def rate(env: gym.Env[Any, Any], **options: Any) -> float:
        return 1 / gym_hil.wrap(env, **options).get_wrapper_attr("control_dt")

    assert rate(Arm()) == 10
    assert rate(Arm(), fps=25) == 25
    assert rate(gym.make("Pusher-v5")) == gym.make("Pusher-v5").metadata["render_fps"]
    assert rate(gym_hil.PandaPickCubeGymEnv(control_dt=0.05)) == 20
    with pytest.raises(ConfigurationError, match="fps"):
        rate(Arm(), fps=0)


def test_idle_action_holds_what_the_last_step_left() -> None:
    env = gym_hil.wrap(Arm(), SequenceDevice([ROW]), action_map="x=0,gripper=3:-0.1:0.1:last")
    env.reset()
    np.testing.assert_allclose(env.get_wrapper_attr("idle_action"), [0, 0, 0, -0.1])
    env.step(np.zeros(4))
    np.testing.assert_allclose(env.get_wrapper_attr("idle_action"), [0, 0, 0, 0.1])


def test_copies_pickles_and_specs_make_the_same_environment() -> None:
    env = gym_hil.wrap(gym.make("Reacher-v5"), action_map="x=0,y=-1", success=lambda *_: False)
    env.reset(seed=0)
    again = gym.make(env.spec)
    assert str(again) == str(env)
    pickled = pickle.loads(pickle.dumps(gym_hil.wrap(gym.make("Reacher-v5"), action_map="x=0,y=-1")))
    expected = env.step([0.1, 0.2])[0]
    for made in (again, pickled, copy.deepcopy(env)):
        made.reset(seed=0)
        np.testing.assert_array_equal(made.step([0.1, 0.2])[0], expected)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"returned": np.nan}, "reward nan"),
        ({"returned": None}, "reward None"),
        (
            {"returned": RuntimeError("the motor is hot")},
            "failed in step: RuntimeError: the motor is hot .*test_",
        ),
        ({"seen": np.array([0, np.inf, 0])}, "an observation that is not finite from step"),
        ({"seen": {"arm": {"q": np.array([np.nan])}}}, "the observation 'arm.q'"),
        ({"seen": (1, [None])}, r"the observation '\[1\]' that is not finite"),
        ({"seen": [[1, 2], 3]}, "an observation that is no array"),
        ({"info": []}, r"\(ndarray, float, bool, bool, list\) from step; expected .* info"),
        ({"info": {"success": np.zeros(2)}}, "'success'.* expected whether"),
    ],
)
def test_step_that_cannot_be_used_is_one_clear_error(attributes: dict[str, Any], message: str) -> None:
    arm = Arm()
    vars(arm).update(attributes)
    env = gym_hil.wrap(arm)
    env.reset()
    with pytest.raises(InvalidStepError, match=message):
        env.step(np.zeros(4))


def test_observations_of_any_kind_may_be_driven_by() -> None:
    arm = Arm()
    arm.seen = (np.zeros(3), 1, "go", [object()])
    env = gym_hil.wrap(arm, SequenceDevice([ROW]))
    env.reset()
    assert env.step(np.zeros(4))[0] is arm.seen


def test_reset_of_another_interface_is_one_clear_error() -> None:
    arm = Arm()
    arm.reset = lambda **_: np.zeros(3)  # type: ignore[method-assign,assignment]
    with pytest.raises(InvalidStepError, match=r"\(ndarray\) from reset; expected \(observation, info\)"):
        gym_hil.wrap(arm).reset()


@pytest.mark.parametrize(
    "space", [gym.spaces.Discrete(4), gym.spaces.Box(-1, 1, (2, 2)), gym.spaces.Box(0, 9, (3,), np.int64)]
)
def test_action_space_of_another_kind_is_refused(space: gym.Space[Any]) -> None:
    arm = Arm()
    arm.action_space = space  # type: ignore[assignment]
    with pytest.raises(ConfigurationError, match="needs a Box of one dimension"):
        gym_hil.wrap(arm, InputDevice())
