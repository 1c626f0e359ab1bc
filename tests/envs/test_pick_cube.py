"""Picking a cube: where it starts, what counts as success, when the episode is lost."""

import numpy as np
import pytest

from gym_hil.envs import PandaPickCubeGymEnv
from gym_hil.envs.pick_cube import CUBE_HALF_SIZE, RANDOM_START, TABLE
from gym_hil.errors import ConfigurationError


def replay(env, demo):
    """Step through a demonstration until the episode ends."""
    env.reset(options={"cube_xy": demo["cube"]})
    results = []
    for x, y, z, gripper in demo["actions"]:
        results.append(env.step([0.025 * x, 0.025 * y, 0.025 * z, 0, 0, 0, gripper - 1]))
        if results[-1][2]:
            break
    return results


@pytest.mark.parametrize("number", range(5))
def test_recorded_demonstration_lifts_the_cube(demos, number):
    *before, last = replay(PandaPickCubeGymEnv(), demos[number])
    assert all(reward == 0.0 and not terminated for _, reward, terminated, _, _ in before)
    assert last[1:] == (1.0, True, False, {"succeed": True})


def test_cube_stands_where_the_options_say():
    observation, _ = PandaPickCubeGymEnv().reset(options={"cube_xy": (0.41, -0.13)})
    assert observation["environment_state"] == pytest.approx([0.41, -0.13, CUBE_HALF_SIZE])


@pytest.mark.parametrize("place", [(0.9, 0.0), (0.4,), (0.4, np.nan)])
def test_place_off_the_table_is_refused(place):
    with pytest.raises(ConfigurationError, match="cube_xy"):
        PandaPickCubeGymEnv().reset(options={"cube_xy": place})


def test_fixed_cube_is_always_at_the_same_place():
    env = PandaPickCubeGymEnv()
    for seed in range(3):
        assert env.reset(seed=seed)[0]["environment_state"] == pytest.approx([0.5, 0.0, CUBE_HALF_SIZE])


def test_random_cube_fills_its_rectangle():
    env = PandaPickCubeGymEnv(random_block_position=True, seed=0)
    places = np.array([env.reset()[0]["environment_state"][:2] for _ in range(200)])
    low, high = np.array(RANDOM_START)
    assert (low <= places).all()
    assert (places <= high).all()
    assert places.min(axis=0) == pytest.approx(low, abs=0.02)
    assert places.max(axis=0) == pytest.approx(high, abs=0.02)


def test_cube_in_the_air_without_fingers_is_no_success():
    env = PandaPickCubeGymEnv()
    env.reset()
    state = env.get_state()
    height = env.model.joint("cube").qposadr[0] + 2 + 1  # time comes first in the state
    state.physics[height] = 0.4
    env.set_state(state)
    assert env.cube_position[2] == pytest.approx(0.4)
    assert not env.is_success()


@pytest.mark.parametrize("corner", [(TABLE[1][0] + 0.01, 0.0), (0.4, TABLE[0][1] - 0.01), (TABLE[0][0] - 0.01, 0.0)])
def test_cube_off_the_table_ends_the_episode(corner):
    env = PandaPickCubeGymEnv()
    env.reset()
    env.data.joint("cube").qpos[:2] = corner
    _, reward, terminated, truncated, info = env.step(np.zeros(7))
    assert (reward, terminated, truncated, info["succeed"]) == (0.0, True, False, False)


def test_dense_reward_grows_from_reaching_to_lifting(demos):
    env = PandaPickCubeGymEnv(reward_type="dense")
    rewards = [reward for _, reward, *_ in replay(env, demos[0])]
    assert all(0 <= reward <= 1 for reward in rewards)
    assert rewards[0] < rewards[5] < rewards[-2] < rewards[-1] == 1.0
