"""Many environments in one process behave as single ones, and as Gymnasium says of a vector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, VectorEnv

from gym_hil import GymRenderingSpec
from gym_hil.envs.vector import ThreadVectorEnv
from gym_hil.errors import ConfigurationError, GymHilError, InvalidActionError, ResetNeededError
from gym_hil.registration import TASKS

PICK = "gym_hil/PandaPickCube-v1"
SMALL = GymRenderingSpec(height=32, width=32)
MODES = [mode.value for mode in AutoresetMode]


def make(name: str = PICK, num_envs: int = 3, **kwargs: Any) -> VectorEnv[Any, Any, Any]:
    return gym.make_vec(name, num_envs=num_envs, vectorization_mode="vector_entry_point", **kwargs)


def actions_of(envs: Any, steps: int) -> np.ndarray:
    space = envs.action_space
    return np.random.default_rng(0).uniform(space.low, space.high, (steps, *space.shape)).astype("f")


def assert_same(first: Any, second: Any) -> None:
    """Equal to the bit, of the same types, in dicts, tuples and arrays of objects too."""
    assert type(first) is type(second)
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, tuple) or (isinstance(first, np.ndarray) and first.dtype == object):
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        np.testing.assert_array_equal(first, second)
        assert np.asarray(first).dtype == np.asarray(second).dtype


@pytest.mark.parametrize("image_obs", [False, True])
@pytest.mark.parametrize("task", TASKS)
def test_trajectories_are_those_of_single_environments_whatever_the_number_of_threads(
    task: str, image_obs: bool
) -> None:
    count, name = 3, f"gym_hil/{task}-v1"
    kwargs: dict[str, Any] = {"image_obs": image_obs, "render_spec": SMALL, "max_episode_steps": 3}
    actions = actions_of(make(name, count), 5)
    expected: list[list[Any]] = []
    for index in range(count):
        env = gym.make(name, disable_env_checker=True, **kwargs)
        rows: list[Any] = [env.reset(seed=5 + index)[0]]
        ended = False
        for action in actions[:, index]:
            if ended:
                rows.append((env.reset()[0], 0.0, False, False))
            else:
                rows.append(env.step(action)[:4])
            ended = any(rows[-1][2:])
        expected.append(rows)
    for threads in (1, 2, 7):
        envs = make(name, count, threads=threads, **kwargs)
        observations, _ = envs.reset(seed=5)
        for index in range(count):
            assert_same(_row(observations, index), expected[index][0])
        for k, action in enumerate(actions, start=1):
            observations, rewards, terminations, truncations, _ = envs.step(action)
            for index in range(count):
                observation, *rest = expected[index][k]
                assert_same(_row(observations, index), observation)
                assert [rewards[index], terminations[index], truncations[index]] == rest
        envs.close()


def _row(observations: Any, index: int) -> Any:
    if isinstance(observations, dict):
        return {key: _row(part, index) for key, part in observations.items()}
    return observations[index]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [PICK, "gym_hil/PandaPickCubeBase-v1"])
def test_autoreset_and_infos_are_those_of_gymnasiums_vector(name: str, mode: str) -> None:
    ours = make(name, autoreset_mode=mode, max_episode_steps=2)
    theirs = gym.make_vec(name, 3, "sync", vector_kwargs={"autoreset_mode": AutoresetMode(mode)}, max_episode_steps=2)
    assert ours.metadata["autoreset_mode"] is AutoresetMode(mode)
    assert_same(ours.reset(seed=3), theirs.reset(seed=3))
    for action in actions_of(ours, 5):
        step = ours.step(action)
        assert_same(step, theirs.step(action))
        if mode == "Disabled" and step[3].any():
            mask = np.array([True, False, True])
            assert_same(*(envs.reset(options={"reset_mask": mask.copy()}) for envs in (ours, theirs)))
            assert_same(*(envs.reset(options={"reset_mask": ~mask}) for envs in (ours, theirs)))
        assert ("final_info" in step[4]) == (mode == "SameStep" and step[3].any())
    ours.close()


def test_episode_that_is_over_needs_a_reset_where_nothing_resets_by_itself() -> None:
    envs = make(autoreset_mode="Disabled", max_episode_steps=1)
    envs.reset(seed=0)
    envs.step(actions_of(envs, 1)[0])
    envs.reset(options={"reset_mask": np.array([False, True, False])})
    with pytest.raises(ResetNeededError, match=r"\[0, 2\] are over"):
        envs.step(actions_of(envs, 1)[0])


def test_each_environment_has_its_own_seed_and_options() -> None:
    envs = make()
    observations, _ = envs.reset(seed=[4, None, 4])
    cubes = observations["environment_state"]
    assert (cubes[0] == cubes[2]).all() and (cubes[0] != cubes[1]).any()  # noqa: PT018
    places = [{"cube_xy": (0.35, 0.1)}, None, {"cube_xy": (0.4, -0.1)}]
    observations, _ = envs.reset(seed=4, options={"env_options": places})
    cubes = observations["environment_state"]
    np.testing.assert_allclose(cubes[[0, 2], :2], [(0.35, 0.1), (0.4, -0.1)], atol=1e-6)
    single = gym.make(PICK)
    np.testing.assert_array_equal(cubes[1], single.reset(seed=5)[0]["environment_state"])
    seeded = make(seed=4).reset()[0]["environment_state"]
    np.testing.assert_array_equal(seeded[1], cubes[1])


def test_operator_drives_one_and_the_policy_the_others() -> None:
    envs = make(device="scripted", intervention="auto", operator_env=1)
    single = gym.make(PICK, device="scripted", intervention="auto")
    envs.reset(seed=0)
    single.reset(seed=1)
    for action in actions_of(envs, 4):
        observations, *_, infos = envs.step(action)
        observation, *_, info = single.step(action[1])
        assert infos["is_intervention"].tolist() == [False, info["is_intervention"], False]
        assert_same(_row(observations, 1), observation)
    assert info["is_intervention"]
    assert [device is not None for device in envs.get_attr("device")] == [False, True, False]


def test_frames_are_those_of_the_environments() -> None:
    envs = make(render_mode="rgb_array", render_spec=SMALL)
    envs.reset(seed=0)
    frames = envs.render()
    assert_same(frames, tuple(env.render() for env in envs.unwrapped.envs))
    assert frames[0].shape == (32, 32, 3)


BAD_ARGUMENTS = [
    ({"num_envs": 0}, "num_envs is 0"),
    ({"num_envs": 2.5}, "num_envs is 2.5"),
    ({"threads": 0}, "threads is 0"),
    ({"autoreset_mode": "Never"}, "NextStep.*SameStep.*Disabled"),
    ({"device": "scripted", "operator_env": (0, 1)}, "drives one of 3 environments at a time"),
    ({"device": "scripted", "operator_env": 3}, "0 to 2"),
    ({"success": type("Hook", (), {"reset": lambda self: None, "__call__": lambda *_: True})()}, "need one each"),
]


@pytest.mark.parametrize(("kwargs", "message"), BAD_ARGUMENTS)
def test_vector_that_cannot_be_is_one_clear_error(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make(**kwargs)


def test_wrong_input_is_one_clear_error_and_nothing_has_moved() -> None:
    envs = make()
    before = envs.reset(seed=0)[0]
    good = np.zeros(4)
    wrong: list[tuple[Any, str]] = [
        ([good, good[:3], good], r"Environment 1: action has shape \(3,\); expected \(4,\)"),
        ([good, good, [0, np.nan, 0, 0]], "Environment 2: .*not finite"),
        (np.zeros((2, 4)), "expected 3, one for each"),
        (np.zeros((3, 5)), "Environment 0: action has shape"),
        (None, "expected 3, one for each"),
    ]
    for actions, message in wrong:
        with pytest.raises(InvalidActionError, match=message):
            envs.step(actions)
    resets: list[dict[str, Any]] = [
        {"seed": [1, 2]},
        {"options": {"reset_mask": np.zeros(3, bool)}},
        {"options": {"reset_mask": [True]}},
        {"options": {"env_options": [None]}},
    ]
    for arguments in resets:
        with pytest.raises(ConfigurationError, match="expected"):
            envs.reset(**arguments)
    after = np.stack([env.unwrapped.observation()["agent_pos"] for env in envs.unwrapped.envs])
    np.testing.assert_array_equal(after, before["agent_pos"])
    # whole rows of other types are what they are for a single environment
    np.testing.assert_array_equal(envs.step([[0, 0, 0, 1]] * 3)[4]["action_intervention"], [[0, 0, 0, 1]] * 3)


OWN_TASK = """
from gym_hil.envs import PandaPickCubeGymEnv
from gym_hil.registration import Version, register_task

class Breaks(PandaPickCubeGymEnv):
    def is_success(self):
        if self.cube_position[1] > 0.05:
            raise ArithmeticError("my task is broken")
        return False

register_task("Breaks", "breaks:Breaks", [Version(9)])
"""


@pytest.mark.parametrize("threads", [1, 3])
def test_own_task_has_a_vector_and_its_errors_arrive_once_all_others_are_done(own_registry: Path, threads: int) -> None:
    (own_registry / "breaks.py").write_text(OWN_TASK)
    envs = make("breaks:gym_hil/Breaks-v0", threads=threads)
    places = [(0.4, 0.1), (0.4, 0.0), (0.4, 0.1)]
    envs.reset(seed=0, options={"env_options": [{"cube_xy": place} for place in places]})
    with pytest.raises(ArithmeticError, match="my task is broken"):
        envs.step(np.zeros((3, 4)))
    envs.reset(seed=0, options={"cube_xy": (0.4, 0.0)})
    envs.step(np.zeros((3, 4)))


def test_any_environment_with_a_box_action_can_be_in_it() -> None:
    ours = ThreadVectorEnv([lambda: gym.make("Pendulum-v1")] * 2, threads=2)
    theirs = gym.vector.SyncVectorEnv([lambda: gym.make("Pendulum-v1")] * 2)
    assert_same(ours.reset(seed=0), theirs.reset(seed=0))
    for action in actions_of(ours, 3):
        assert_same(ours.step(action), theirs.step(action))
    for make_env in (lambda: gym.make("CartPole-v1"), None):
        with pytest.raises(GymHilError, match=r"expected a Box|num_envs of 1 or more"):
            ThreadVectorEnv([make_env] if make_env else [])


def test_environments_are_closed_where_one_of_them_cannot_be_made() -> None:
    closed: list[int] = []

    class Closes(gym.Wrapper[Any, Any, Any, Any]):
        def close(self) -> None:
            closed.append(1)
            super().close()

    def broken() -> gym.Env[Any, Any]:
        raise ArithmeticError("no device is left")

    for last in (broken, lambda: gym.make("MountainCarContinuous-v0")):
        closed.clear()
        with pytest.raises((ArithmeticError, ConfigurationError)):
            ThreadVectorEnv([lambda: Closes(gym.make("Pendulum-v1")), last])
        assert closed == [1]


def test_specification_is_made_anew_from_its_json() -> None:
    spec = gym.spec(PICK)
    again = EnvSpec.from_json(spec.to_json())
    assert again == spec
    assert str(gym.make(again)) == str(gym.make(spec))
    assert isinstance(gym.make_vec(PICK, num_envs=2), ThreadVectorEnv)
