"""A classifier's word is reward and end; the operator's and a failure count more, the simulator's not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import gym_hil  # noqa: F401  # registers the ids
from gym_hil.datasets import EpisodeDataset, RecordEpisodes
from gym_hil.envs import GymRenderingSpec
from gym_hil.errors import ConfigurationError
from gym_hil.teleop import Event, TeleopCommand
from gym_hil.teleop.sequence import SequenceDevice
from hil_trainer.errors import CheckpointError
from hil_trainer.reward_classifier import ClassifierShape, RewardClassifier, save_classifier
from hil_trainer.reward_classifier.wrapper import HiddenSuccessWrapper, RewardClassifierWrapper

STILL = np.array([0, 0, 0, 1], dtype=np.float32)
SHAPE = ClassifierShape(("front", "wrist"), 32, 18)


class Script(RewardClassifier):
    """Says what it is told to say, one probability a judgement, the last one for ever."""

    def __init__(self, *probabilities: float):
        super().__init__(SHAPE, threshold=0.6)
        self.script = list(probabilities)
        self.obs: list[Any] = []

    def probability(self, images, state=None):
        self.obs.append((images, state))
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@pytest.fixture
def make():
    """Makes environments with a classifier; `events` are the operator's in each step."""
    made = []

    def make_one(classifier, *events, env_id="PandaPickCube-v1", device=None, env_kwargs=None, **options):
        if events:
            device = SequenceDevice([TeleopCommand(events=() if event is None else (event,)) for event in events])
        size = GymRenderingSpec(32, 32)
        kwargs = {
            "image_obs": True,
            "render_spec": size,
            **({"device": device} if device else {}),
            **(env_kwargs or {}),
        }
        env = RewardClassifierWrapper(
            gym.make(f"gym_hil/{env_id}", **kwargs), classifier, **{"consecutive": 1, **options}
        )
        made.append(env)
        env.reset(seed=0)
        return env

    yield make_one
    for env in made:
        env.close()


def lift(env) -> None:
    """Put the cube between closed fingers, high up: the simulator's success."""
    base = env.unwrapped
    base.is_success = lambda: True


def test_the_classifier_rewards_and_ends(make) -> None:
    env = make(Script(0.1, 0.59, 0.6))
    for probability in (0.1, 0.59):
        _, reward, terminated, truncated, info = env.step(STILL)
        assert (reward, terminated, truncated, info["next.success"]) == (0.0, False, False, False)
        assert info["reward_classifier"] == probability
    _, reward, terminated, truncated, info = env.step(STILL)
    assert (reward, terminated, truncated, info["next.success"], info["succeed"]) == (1.0, True, False, True, False)


def test_it_judges_the_observation_that_the_step_returns(make) -> None:
    classifier = Script(0.0)
    env = make(classifier)
    observation, *_ = env.step(np.array([1, 0, 0, 2], np.float32))
    ((images, state),) = classifier.obs
    assert images is observation["pixels"]
    assert state is observation["agent_pos"]


def test_the_simulators_success_is_told_but_neither_rewards_nor_ends(make) -> None:
    env = make(Script(0.0))
    lift(env)
    for _ in range(3):
        _, reward, terminated, truncated, info = env.step(STILL)
        assert (reward, terminated, truncated) == (0.0, False, False)
        assert info["succeed"] is True
        assert info["next.success"] is False
    _, info = env.reset(seed=1)
    assert (info["succeed"], info["next.success"]) == (False, False)


def test_a_operator_lifts_the_cube_until_time_is_up(make) -> None:
    env = make(Script(0.0), device="scripted", env_kwargs={"max_episode_steps": 30})
    told = [env.step(STILL) for _ in range(30)]
    assert told[-1][4]["succeed"]
    assert [step[2] for step in told] == [False] * 30
    assert [step[3] for step in told] == [False] * 29 + [True]


def test_success_at_the_time_limit_is_success(make) -> None:
    env = make(Script(0.0, 0.9), env_kwargs={"max_episode_steps": 2})
    env.step(STILL)
    _, reward, terminated, truncated, _ = env.step(STILL)
    assert (reward, terminated, truncated) == (1.0, True, True)


@pytest.mark.parametrize("lifted", [False, True])
@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_the_operators_word_counts_more(make, lifted: bool, probability: float) -> None:
    for event, expected in ((Event.SUCCESS, (1.0, True, True)), (Event.FAILURE, (0.0, True, False))):
        env = make(Script(probability), event)
        if lifted:
            lift(env)
        _, reward, terminated, truncated, info = env.step(STILL)
        assert (reward, terminated, info["next.success"]) == expected
        assert (truncated, info["succeed"]) == (False, lifted)


@pytest.mark.parametrize("lifted", [False, True])
def test_a_task_that_has_failed_ends_without_reward(make, lifted: bool) -> None:
    env = make(Script(1.0))
    env.unwrapped.is_failure = lambda: True
    if lifted:
        lift(env)
    _, reward, terminated, _, info = env.step(STILL)
    assert (reward, terminated, info["next.success"]) == (0.0, True, False)


def test_a_rerecord_truncates(make) -> None:
    env = make(Script(0.0), Event.RERECORD)
    _, _, terminated, truncated, info = env.step(STILL)
    assert (terminated, truncated, info["rerecord_episode"]) == (False, True, True)


def test_several_frames_in_a_row_have_to_agree(make) -> None:
    env = make(Script(0.9, 0.9, 0.1, 0.9, 0.9, 0.9), consecutive=3)
    told = [env.step(STILL) for _ in range(6)]
    assert [step[1] for step in told] == [0.0] * 5 + [1.0]
    assert [step[2] for step in told] == [False] * 5 + [True]
    env.classifier.script = [0.9]
    env.reset(seed=1)
    assert [env.step(STILL)[1] for _ in range(3)] == [0.0, 0.0, 1.0]


def test_one_frame_alone_is_not_believed(make) -> None:
    env = RewardClassifierWrapper(gym.make("gym_hil/PandaPickCube-v1", image_obs=True), Script(0.9, 0.1, 0.9, 0.9))
    env.reset(seed=0)
    assert [env.step(STILL)[1:3] for _ in range(4)] == [(0.0, False)] * 3 + [(1.0, True)]
    env.close()


def test_another_threshold_can_be_given(make) -> None:
    env = make(Script(0.9), threshold=0.95)
    assert env.step(STILL)[1] == 0.0
    assert env.threshold == 0.95


def test_an_environment_without_an_operator_works(make) -> None:
    env = make(Script(0.0, 0.9), env_id="PandaPickCubeBase-v1")
    lift(env)
    _, reward, terminated, _, info = env.step(np.zeros(7))
    assert (reward, terminated, info["succeed"], info["next.success"]) == (0.0, False, True, False)
    _, reward, terminated, _, _ = env.step(np.zeros(7))
    assert (reward, terminated) == (1.0, True)


def test_episodes_are_recorded_with_the_classifiers_word(make, tmp_path: Path) -> None:
    env = RecordEpisodes(
        make(Script(0.0, 0.0, 0.9, 0.9, 0.1)), tmp_path / "data", "me/data", steps_after_success=2, seed=0
    )
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


@pytest.mark.parametrize(("probability", "outcome"), [(0.9, "success"), (0.0, "timeout")])
def test_the_web_console_inside_shows_the_classifiers_word(console, make, probability, outcome) -> None:
    env = make(Script(0.0, probability), device="web", env_kwargs={"max_episode_steps": 2, "reset_delay_seconds": 0})
    lift(env)
    channel = env.get_wrapper_attr("channel")
    told = []
    channel._tell = lambda channel, message: told.append(message)
    for is_last in (False, True):
        _, reward, terminated, _, info = env.step(STILL)
        shown = channel._snapshot.status
        assert (shown["success"], shown["reward"]) == (info["next.success"], reward)
        assert terminated == (is_last and outcome == "success")
    assert [message["kind"] for message in told if message and message["type"] == "event"] == [outcome]
    (episode,) = channel.history()["episodes"]
    assert (episode["success"], episode["return"], episode["steps"]) == (info["next.success"], reward, 2)
    env.reset(seed=1)
    assert channel._snapshot.status["episode"] == 2
    assert len(channel.history()["episodes"]) == 1


def test_steps_after_the_end_are_shown_and_the_end_is_noted_once(console, make, tmp_path: Path) -> None:
    env = make(Script(0.0, 0.9), device="web", env_kwargs={"reset_delay_seconds": 0})
    channel = env.get_wrapper_attr("channel")
    env = RecordEpisodes(env, tmp_path / "data", "me/data", steps_after_success=3, seed=0)
    env.reset()
    done = False
    while not done:
        *_, terminated, truncated, _ = env.step(STILL)
        done = terminated or truncated
    env.close()
    (episode,) = channel.history()["episodes"]
    assert (episode["success"], episode["steps"], episode["return"]) == (True, 2, 1.0)
    assert channel._snapshot.status["step"] == 5


def test_a_classifier_on_the_disk_is_loaded(make, tmp_path: Path) -> None:
    save_classifier(RewardClassifier(SHAPE), tmp_path)
    env = make(tmp_path)
    *_, info = env.step(STILL)
    assert 0 < info["reward_classifier"] < 1
    assert isinstance(info["reward_classifier"], float)
    assert env.spec.additional_wrappers[-1].kwargs["classifier"] == str(tmp_path)
    with pytest.raises(CheckpointError, match="There is no classifier"):
        make(tmp_path / "nothing")


def test_what_does_not_fit_is_told_and_leaves_the_environment_as_it_was(make) -> None:
    env = gym.make("gym_hil/PandaPickCube-v1")
    with pytest.raises(ConfigurationError, match="image_obs=True"):
        RewardClassifierWrapper(env, Script(0.0))
    env = gym.make("gym_hil/PandaPickCube-v1", image_obs=True)
    for options, told in (({"consecutive": 0}, "consecutive"), ({"threshold": 0.0}, "threshold")):
        with pytest.raises(ConfigurationError, match=told):
            RewardClassifierWrapper(env, Script(0.0), **options)
    with pytest.raises(ConfigurationError, match=r"looks at 4 numbers .* has 18"):
        RewardClassifierWrapper(env, RewardClassifier(ClassifierShape(("front",), 32, 4)))
    assert not has_hidden(env)
    with pytest.raises(ConfigurationError, match="already"):
        RewardClassifierWrapper(make(Script(0.0)), Script(0.0))
    env.close()


def test_an_environment_that_starts_over_by_itself_is_refused(make) -> None:
    env = make(Script(0.0), Event.FAILURE, env_kwargs={"auto_reset": True, "max_episode_steps": -1})
    with pytest.raises(ConfigurationError, match="auto_reset"):
        env.step(STILL)


def has_hidden(env) -> bool:
    while isinstance(env, gym.Wrapper):
        if isinstance(env, HiddenSuccessWrapper):
            return True
        env = env.env
    return False
