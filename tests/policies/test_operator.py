"""A policy plays the operator: it takes over as asked, late and shaky as asked, and its action is what is executed."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from gym_hil.errors import PolicyError

STAY = np.array([0, 0, 0, 1], np.float32)


def height(observation: dict[str, Any]) -> list[float]:
    """A policy that moves along x by the height of the tool in m, and half closes the gripper."""
    return [observation["agent_pos"][17], 0.0, 0.0, 1.5]


def episode(start: int = 0, **options: Any) -> list[dict[str, Any]]:
    """The infos of an episode in which the acting policy does nothing."""
    options = {"policy": height, **options}
    env = gym.make("gym_hil/PandaPickCube-v0", device="policy", device_options=options)
    env.reset(seed=start)
    infos = [env.step(STAY)[4] for _ in range(8)]
    env.close()
    return infos


def test_the_policys_action_is_executed() -> None:
    (first, *_) = episode()
    assert first["is_intervention"]
    assert first["action_intervention"][0] > 0
    assert first["action_intervention"][3] == 1.5


def test_delay_makes_it_late() -> None:
    assert [info["is_intervention"] for info in episode(reaction_delay=3)] == [False] * 3 + [True] * 5


def test_it_takes_over_where_the_reward_does_not_rise() -> None:
    assert [info["is_intervention"] for info in episode(takeover="no_progress", patience=4)] == [False] * 4 + [True] * 4


def test_it_waits_while_there_is_progress() -> None:
    seen: list[Any] = []

    def progress(observation: Any) -> float:
        seen.append(observation)
        return float(len(seen))

    assert not any(info["is_intervention"] for info in episode(takeover="no_progress", patience=2, progress=progress))


def test_the_same_seed_gives_the_same_operator() -> None:
    options = {"takeover": "probability", "probability": 0.3, "motion_noise": 0.2, "seed": 4}
    runs = [[info["action_intervention"].tolist() for info in episode(start, **options)] for start in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
    assert {action[3] for run in runs for action in run} <= {1.0, 1.5}  # no tremor of the gripper


def test_a_policy_for_another_environment_is_an_error() -> None:
    with pytest.raises(PolicyError, match="returns 7 numbers"):
        episode(policy=lambda observation: np.zeros(7))
