"""Any environment is made from what commands and the trainer are told about it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.classic_control import PendulumEnv

from gym_hil.env_options import EnvOptions, with_randomize
from gym_hil.errors import ConfigurationError
from gym_hil.teleop import InputDevice
from gym_hil.teleop.operator import OperatorOptions

OPERATOR = OperatorOptions(device=InputDevice(), viewer=False)


def test_task_takes_its_own_arguments_and_those_of_the_command() -> None:
    options = EnvOptions("PandaPickCube", {"reward_type": "dense"}, max_episode_steps=3)
    env = options.make(OPERATOR, task_kwargs={"image_obs": True})
    assert env.get_wrapper_attr("device") is OPERATOR.device
    observation, _ = env.reset(seed=0)
    assert "pixels" in observation
    steps = [env.step(env.action_space.sample()) for _ in range(3)]
    assert 0 < steps[0][1] < 1
    assert [step[3] for step in steps] == [False, False, True]


def test_other_environment_is_wrapped_and_ignores_what_is_for_tasks() -> None:
    options = EnvOptions("Pendulum-v1", {"g": 0.0}, "x=0", max_episode_steps=-1, fps=20)
    env = options.make(OPERATOR, task_kwargs={"image_obs": True})
    assert env.unwrapped.g == 0  # type: ignore[attr-defined]
    assert env.get_wrapper_attr("control_dt") == 0.05
    env.reset(seed=0)
    assert not any(env.step(np.zeros(1))[3] for _ in range(300))


def test_an_environment_without_an_operator_needs_nothing() -> None:
    for name in ("PandaPickCube-v0", "Pusher-v5"):
        env = EnvOptions(name).make()
        env.reset(seed=0)
        assert not env.step(env.action_space.sample())[4]["is_intervention"]


def test_it_renders_frames_where_it_is_shown_without_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gym_hil.display.missing_display", lambda: "There is no display.")
    monkeypatch.setattr("gym_hil.env_options.wrap", lambda env, **_: env)
    assert EnvOptions("Pendulum-v1", action_map="x=0").make(OPERATOR).render_mode == "rgb_array"
    assert EnvOptions("Pendulum-v1", action_map="x=0").make().render_mode is None


def test_only_what_takes_a_render_mode_is_given_one() -> None:
    class Old(PendulumEnv):
        def __init__(self) -> None:
            super().__init__()

    def make(render_mode: str | None = None) -> PendulumEnv:
        return PendulumEnv(render_mode)

    for entry_point, modes in ((Old, []), (make, ["rgb_array"]), (lambda: PendulumEnv(), [])):
        gym.register("Swing-v0", entry_point)
        try:
            options = EnvOptions("Swing-v0", action_map="x=0")
            assert options.render_modes() == modes
            options.make(OPERATOR).close()
        finally:
            del gym.registry["Swing-v0"]


@pytest.mark.parametrize(
    ("options", "operator", "message"),
    [
        ({"id": "Pendulum-v1"}, OPERATOR, "cannot be guessed"),
        ({"id": "CartPole-v1"}, OPERATOR, "Box of one dimension"),
        ({"id": "Pendulum-v1", "kwargs": {"colour": 1}}, OPERATOR, "Pendulum-v1 cannot be made with .*colour"),
        ({"id": "Pendulum-v1", "max_episode_steps": 0}, OPERATOR, "max_episode_steps is 0"),
        ({"id": "Pusher-v5"}, OperatorOptions(device=InputDevice(), orientation=True), "orientation=True"),
        ({"id": "PandaPickCube", "kwargs": {"device": "scripted"}}, OPERATOR, "device of PandaPickCube"),
        ({"id": "PandaPickCube", "fps": 20}, OPERATOR, "control_dt"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], operator: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        EnvOptions(**options).make(operator)


def test_it_is_closed_if_it_cannot_be_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    monkeypatch.setattr("gymnasium.envs.classic_control.PendulumEnv.close", lambda self: closed.append(True))
    with pytest.raises(ConfigurationError):
        EnvOptions("Pendulum-v1").make()
    assert closed == [True]


def test_randomize_is_a_preset_or_ranges_by_name() -> None:
    assert with_randomize({"a": 1}, None) == {"a": 1}
    assert with_randomize({}, ["light"]) == {"randomize": "light"}
    ranges = {"object_size": (0.9, 1.1), "camera_fovy": (-2.0, 2.0)}
    assert with_randomize({}, ["object_size=0.9,1.1", "camera_fovy=-2,2"]) == {"randomize": ranges}
    for kwargs, words in (({}, ["object_size=1"]), ({}, ["light", "full"]), ({"randomize": "full"}, ["light"])):
        with pytest.raises(ConfigurationError, match="--randomize"):
            with_randomize(kwargs, words)
