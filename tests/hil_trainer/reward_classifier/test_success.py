"""A classifier as the success hook of an environment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gym_hil  # noqa: F401  # registers the ids
from gym_hil.datasets import EpisodeDataset, RecordEpisodes
from gym_hil.envs import GymRenderingSpec
from gym_hil.errors import ConfigurationError
from gym_hil.teleop import Event, TeleopCommand
from gym_hil.teleop.sequence import SequenceDevice
from hil_trainer.errors import CheckpointError
from hil_trainer.reward_classifier import (
    ClassifierShape,
    ClassifierSuccess,
    RewardClassifier,
    save_classifier,
)

STILL = np.array([0, 0, 0, 1], dtype=np.float32)
SHAPE = ClassifierShape(("front", "wrist"), 32, 18)


class Scripted(RewardClassifier):
    """Returns given probabilities: one at reset, then one a step; the last one stays."""

    def __init__(self, *probabilities: float, shape: ClassifierShape = SHAPE):
        super().__init__(shape, threshold=0.6)
        self.script = [0.0, *probabilities]
        self.observations: list[Any] = []

    def probabilities(self, images, state=None):
        self.observations.append((images, state))
        success = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        others = np.eye(len(self.shape.classes) - 1)[0 if success < 0.5 else -1]
        return np.append(others * (1 - success), success)


@pytest.fixture
def make():
    """Makes environments whose success a classifier decides; `events` are the operator's in each step."""
    made = []

    def make_one(classifier, *events, consecutive=1, **kwargs):
        if events:
            commands = [TeleopCommand(events=() if event is None else (event,)) for event in events]
            kwargs["device"] = SequenceDevice(commands)
        hook = ClassifierSuccess(classifier, consecutive=consecutive)
        options = {"image_obs": True, "render_spec": GymRenderingSpec(32, 32), "success": hook, **kwargs}
        made.append(gym.make("gym_hil/PandaPickCube-v1", **options))
        made[-1].reset(seed=0)
        return made[-1]

    yield make_one
    for env in made:
        env.close()


def lift(env) -> None:
    """From now on the simulation reports success."""
    env.unwrapped.is_success = lambda: True


def test_the_classifier_rewards_and_ends_an_episode_and_the_simulations_success_is_reported_only(make) -> None:
    classifier = Scripted(0.1, 0.59, 0.6)
    env = make(classifier, max_episode_steps=3)
    lift(env)
    for probability in (0.1, 0.59):
        observation, reward, terminated, truncated, info = env.step(STILL)
        assert (reward, terminated, truncated) == (0.0, False, False)
        assert (info["next.success"], info["succeed"]) == (False, True)
        assert info["reward_classifier"] == probability
        images, state = classifier.observations[-1]
        np.testing.assert_array_equal(images["wrist"], observation["pixels"]["wrist"])
        np.testing.assert_array_equal(state, observation["agent_pos"])
    # Success at the time limit is success.
    _, reward, terminated, truncated, info = env.step(STILL)
    assert (reward, terminated, truncated, info["next.success"]) == (1.0, True, True, True)


@pytest.mark.parametrize("probability", [0.0, 1.0])
@pytest.mark.parametrize(
    ("event", "expected"), [(Event.SUCCESS, (1.0, True, True)), (Event.FAILURE, (0.0, True, False))]
)
def test_the_operators_event_overrules_the_classifier(make, probability, event, expected) -> None:
    env = make(Scripted(probability), event)
    lift(env)
    _, reward, terminated, _, info = env.step(STILL)
    assert (reward, terminated, info["next.success"]) == expected
    assert info["succeed"]


def test_several_observations_in_a_row_have_to_count(make) -> None:
    env = make(Scripted(0.9, 0.9, 0.1, 0.9, 0.9, 0.9), consecutive=3)
    steps = [env.step(STILL) for _ in range(6)]
    assert [step[1] for step in steps] == [0.0] * 5 + [1.0]
    assert [step[2] for step in steps] == [False] * 5 + [True]
    env.reset(seed=1)
    assert [env.step(STILL)[1] for _ in range(3)] == [0.0, 0.0, 1.0]


def test_each_stage_is_rewarded_once_when_it_is_shown_in_a_row(make) -> None:
    shape = replace(SHAPE, classes=("far", "near", "done"), labels="next.stage")
    env = make(Scripted(0.5, 0.1, 0.5, 0.5, 0.1, 0.5, 0.5, 0.9, 0.9, shape=shape), consecutive=2)
    steps = [env.step(STILL) for _ in range(9)]
    assert [step[1] for step in steps] == [0, 0, 0, 0.5, 0, 0, 0, 0, 1.0]
    assert [step[-1]["stage"] for step in steps] == [1, 0, 1, 1, 0, 1, 1, 2, 2]
    assert [step[2] for step in steps] == [False] * 8 + [True]
    env.reset(seed=1)
    assert [env.step(STILL)[1] for _ in range(2)] == [0.0, 1.0]


def test_arguments_have_defaults_and_limits() -> None:
    hook = ClassifierSuccess(Scripted())
    assert (hook.consecutive, hook.classifier.threshold) == (2, 0.6)
    assert ClassifierSuccess(Scripted(), threshold=0.95).classifier.threshold == 0.95
    for options, name in (({"consecutive": 0}, "consecutive"), ({"threshold": 0.0}, "threshold")):
        with pytest.raises(ConfigurationError, match=name):
            ClassifierSuccess(Scripted(), **options)


def test_episodes_are_recorded_with_the_classifiers_success(make, tmp_path: Path) -> None:
    env = make(Scripted(0.0, 0.0, 0.0, 0.9, 0.9, 0.1))
    env = RecordEpisodes(env, tmp_path / "data", "me/data", steps_after_success=2, seed=0)
    env.reset()
    lift(env)
    done = False
    while not done:
        *_, terminated, truncated, _ = env.step(STILL)
        done = terminated or truncated
    env.close()
    (episode,) = EpisodeDataset(tmp_path / "data")
    assert episode["next.reward"].tolist() == [0, 0, 1, 1, 1]
    assert episode["next.success"].tolist() == [False, False, True, True, True]
    assert episode["next.truncated"].sum() == 0


@pytest.mark.parametrize("probability", [0.9, 0.0])
def test_the_web_console_shows_the_classifiers_success(console, make, probability) -> None:
    env = make(Scripted(0.0, probability), device="web", max_episode_steps=2, reset_delay_seconds=0)
    lift(env)
    for _ in range(2):
        _, reward, _, _, info = env.step(STILL)
    env.reset(seed=1)
    (episode,) = env.get_wrapper_attr("channel").history().episodes
    assert (episode.success, episode.episode_return, episode.steps) == (info["next.success"], reward, 2)
    assert info["next.success"] == (probability > 0.6)


def test_a_classifier_is_loaded_from_its_folder(make, tmp_path: Path) -> None:
    save_classifier(RewardClassifier(SHAPE), tmp_path)
    *_, info = make(tmp_path).step(STILL)
    assert 0 < info["reward_classifier"] < 1
    assert isinstance(info["reward_classifier"], float)
    with pytest.raises(CheckpointError, match="There is no classifier"):
        ClassifierSuccess(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        (SHAPE, {"image_obs": False}, "image_obs=True"),
        (ClassifierShape(("front", "side"), 32), {}, "side is missing. The cameras are front, wrist"),
        (ClassifierShape(("front",), 32, 4), {}, r"proprioception has shape \(18,\).*\(4,\)"),
    ],
)
def test_a_classifier_that_does_not_fit_the_environment_is_refused_before_the_first_step(
    make, shape, options, message
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make(RewardClassifier(shape), **options)
