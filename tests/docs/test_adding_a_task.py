"""The walk-through in docs/adding_a_task.md works as written."""

import re
from pathlib import Path

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import check_env

import gym_hil.registration

PAGE = Path(__file__).parents[2] / "docs" / "adding_a_task.md"


def test_the_example_task_is_a_full_environment(own_registry: Path) -> None:
    task, usage = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (own_registry / "push_cube.py").write_text(task)
    names: dict = {}
    exec(compile(usage, str(PAGE), "exec"), names)

    assert names["observation"]["pixels"]["front"].shape == (128, 128, 3)
    for control in ("Base", *gym_hil.registration.controls()):
        assert gym.spec(gym_hil.registration.env_id("PandaPushCube", control))
    env = gym.make("gym_hil/PandaPushCubeBase-v0", reward_type="dense", disable_env_checker=True)
    check_env(env.unwrapped, skip_render_check=True)
    env.reset(seed=1)
    _, reward, terminated, _, _ = env.step(np.zeros(7))
    assert 0 <= reward < 1
    assert not terminated
    env.unwrapped.data.joint("cube").qpos[:2] = 0.45, 0.1
    _, reward, terminated, _, info = env.step(np.zeros(7))
    assert (reward, terminated, info["succeed"]) == (1.0, True, True)
