"""The scripted operator does the tasks from any start, as imperfectly as asked, and the same again by the same seed."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from gym_hil import PandaArrangeBoxesGymEnv, PandaPickCubeGymEnv, wrap_env
from gym_hil.errors import ConfigurationError
from gym_hil.teleop.scripted.operator import ScriptedOperator

STAY = np.array([0, 0, 0, 1], np.float32)
IMPERFECT = {"reaction_delay": 3, "motion_noise": 0.1}


def episode(env: Any, limit: int, seed: int | None = None, policy: Any = None, **options: Any) -> list[dict[str, Any]]:
    """The infos of an episode."""
    env.reset(seed=seed, options=options or None)
    infos = []
    for step in range(limit):
        action = np.append(np.zeros(env.action_space.shape[0] - 1, np.float32), 1)
        *_, terminated, _, info = env.step(action if policy is None else policy(step))
        infos.append(info)
        if terminated:
            break
    return infos


def with_operator(env: Any, *, orientation: bool = False, **options: Any) -> Any:
    return wrap_env(env, device="scripted", device_options=options, orientation=orientation)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, IMPERFECT], ids=["perfect", "imperfect"])
def test_picks_a_hundred_of_a_hundred_cubes(options: dict[str, Any]) -> None:
    env = with_operator(PandaPickCubeGymEnv(random_block_position=True), **options)
    failed = [seed for seed in range(100) if not episode(env, 150, seed)[-1]["succeed"]]
    assert failed == []


@pytest.mark.parametrize("options", [{}, IMPERFECT], ids=["perfect", "imperfect"])
def test_brings_five_boxes_to_their_places(options: dict[str, Any]) -> None:
    env = with_operator(PandaArrangeBoxesGymEnv(), **options)
    for seed in range(2):
        infos = episode(env, 500, seed)
        assert infos[-1]["succeed"]
        assert len(infos) < 350


@pytest.mark.parametrize("x", [0.3, 0.5])
@pytest.mark.parametrize("y", [-0.15, 0.15])
def test_picks_from_the_corners(x: float, y: float) -> None:
    env = with_operator(PandaPickCubeGymEnv())
    assert episode(env, 60, cube_xy=(x, y))[-1]["succeed"]


@pytest.mark.slow
def test_grips_a_hundred_turned_cubes_along_their_sides_with_a_hand_that_a_random_policy_has_tilted() -> None:
    base = PandaPickCubeGymEnv(random_block_position=True)
    env = with_operator(base, orientation=True, takeover="no_progress", patience=8)
    rng = np.random.default_rng(0)
    failed, off = [], []
    for seed in range(100):
        env.reset(seed=seed)
        yaw, tilt = rng.uniform(-np.pi, np.pi), rng.normal(size=3)
        base.data.joint("cube").qpos[3:] = [np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]
        terminated = gripped = False
        for step in range(150):
            action = np.array([0, 0, 0.1, *tilt, 1]) if step < 8 else np.array([0, 0, 0, 0, 0, 0, 1])
            *_, terminated, _, info = env.step(action)
            if not gripped and info["action_intervention"][6] == 2:
                gripped = True
                relative = base.data.body("cube").xmat.reshape(3, 3).T @ base.tcp_rotation
                off.append(np.abs(relative).max(axis=0)[1])  # cosine between the fingers' direction and a side
            if terminated:
                break
        if not info["succeed"]:
            failed.append(seed)
    assert failed == []
    assert min(off) > np.cos(0.2)


@pytest.mark.slow
@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("options", [{}, IMPERFECT], ids=["perfect", "imperfect"])
def test_inserts_ninety_five_of_a_hundred_pegs(version: int, options: dict[str, Any]) -> None:
    env = gym.make(f"gym_hil/PandaInsertPegScripted-v{version}", device_options=options)
    assert sum(episode(env, 200, seed)[-1]["succeed"] for seed in range(100)) >= 95


def test_picks_up_what_a_random_policy_has_left() -> None:
    env = with_operator(PandaPickCubeGymEnv(random_block_position=True), takeover="no_progress", patience=8)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(100)]
    outcomes = [episode(env, 150, seed, lambda step: actions[step // 5 % 100])[-1]["succeed"] for seed in range(10)]
    assert outcomes == [True] * 10


def test_follows_a_cube_that_is_pushed_away_and_opens_a_half_closed_gripper() -> None:
    base = PandaPickCubeGymEnv()
    env = with_operator(base)
    env.reset(options={"cube_xy": (0.45, 0.05)})
    base.data.actuator("gripper").ctrl[0] = 128
    for step in range(60):
        if step == 5:
            base.data.joint("cube").qpos[:2] += (-0.05, -0.08)
        *_, terminated, _, info = env.step(STAY)
        if terminated:
            break
    assert info["succeed"]


def test_picks_a_dropped_cube_up_again() -> None:
    base = PandaPickCubeGymEnv()
    env = with_operator(base)
    env.reset()
    dropped = False
    for _ in range(80):
        if not dropped and base.cube_position[2] > 0.05:
            dropped = True
            base.data.actuator("gripper").ctrl[0] = 0
        *_, terminated, _, info = env.step(STAY)
        if terminated:
            break
    assert dropped
    assert info["succeed"]


def test_takes_over_late_by_the_reaction_delay() -> None:
    env = with_operator(PandaPickCubeGymEnv(), reaction_delay=4)
    engaged = [info["is_intervention"] for info in episode(env, 8)]
    assert engaged == [False] * 4 + [True] * 4


def test_takes_over_when_the_policy_makes_no_progress() -> None:
    env = with_operator(PandaPickCubeGymEnv(), takeover="no_progress", patience=7)
    engaged = [info["is_intervention"] for info in episode(env, 150)]
    assert engaged[:8] == [False] * 7 + [True]
    assert all(engaged[7:])


def test_leaves_a_policy_alone_that_makes_progress() -> None:
    env = with_operator(PandaPickCubeGymEnv(), takeover="no_progress", patience=3)
    towards_the_cube = np.array([0, 0, -0.4, 1], np.float32)
    engaged = [info["is_intervention"] for info in episode(env, 5, policy=lambda _: towards_the_cube)]
    assert not any(engaged)


@pytest.mark.parametrize(("probability", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_takes_over_with_a_probability(probability: float, share: float) -> None:
    env = with_operator(PandaPickCubeGymEnv(), takeover="probability", probability=probability)
    assert np.mean([info["is_intervention"] for info in episode(env, 10)]) == share


def test_probability_is_per_step() -> None:
    env = with_operator(PandaPickCubeGymEnv(), takeover="probability", probability=0.25, seed=0)
    waits = [[info["is_intervention"] for info in episode(env, 40)].index(True) for _ in range(40)]
    assert 2 < np.mean(waits) < 4  # 1 / 0.25 - 1


def test_lets_go_when_everything_is_done() -> None:
    base = PandaArrangeBoxesGymEnv()
    operator = ScriptedOperator(base)
    base.reset(seed=0)
    operator.reset()
    assert operator.poll().engaged
    for box, target in zip("12345", base.target_positions, strict=True):
        base.data.joint(f"box{box}").qpos[:2] = target[:2]
    base.set_state(base.get_state())
    assert not operator.poll().engaged


def actions(env: Any, seed: int | None = None) -> np.ndarray:
    return np.array([info["action_intervention"] for info in episode(env, 150, seed)])


def test_same_seed_is_the_same_operator() -> None:
    first, second, other = (with_operator(PandaPickCubeGymEnv(), seed=seed, **IMPERFECT) for seed in (1, 1, 2))
    for _ in range(2):
        expected = actions(first)
        np.testing.assert_array_equal(actions(second), expected)
    assert not np.array_equal(actions(other)[:5], expected[:5])


def test_seeded_reset_repeats_the_operator_too() -> None:
    env = with_operator(PandaPickCubeGymEnv(), **IMPERFECT)
    first = actions(env, seed=7)
    assert not np.array_equal(actions(env)[:5], first[:5])
    np.testing.assert_array_equal(actions(env, seed=7), first)


def test_knows_how_far_a_step_goes() -> None:
    fast = wrap_env(PandaPickCubeGymEnv(), {"x": 0.08, "y": 0.05, "z": 0.08}, device="scripted")
    assert episode(fast, 60, cube_xy=(0.3, 0.1))[-1]["succeed"]


class PushCube(PandaPickCubeGymEnv):
    """A task with goals of its own."""

    def pick_place_goals(self) -> list[tuple[np.ndarray, np.ndarray, bool]]:
        return [(self.cube_position, np.array([0.4, -0.1, 0.02]), True)]


def test_task_can_give_its_own_goals() -> None:
    base = PushCube()
    infos = episode(with_operator(base), 60)
    assert np.abs(base.cube_position[:2] - (0.4, -0.1)).max() < 0.03
    assert not infos[-1]["is_intervention"]


def test_legend_says_when_it_takes_over() -> None:
    operator = ScriptedOperator(PandaPickCubeGymEnv(), takeover="no_progress", patience=12)
    assert operator.describe() == "scripted operator  takes over after 12 steps without progress"


@pytest.mark.parametrize(
    "option",
    [
        {"takeover": "never"},
        {"reaction_delay": -1},
        {"reaction_delay": 1.5},
        {"motion_noise": -0.1},
        {"motion_noise": np.nan},
        {"patience": 0},
        {"probability": 1.1},
        {"full_speed": 0.0},
        {"rotation_speed": 0.0},
    ],
)
def test_option_that_cannot_work_is_refused_by_name(option: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(option))):
        ScriptedOperator(PandaPickCubeGymEnv(), **option)


def test_environment_it_cannot_observe_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="tcp_position"):
        ScriptedOperator(object())
