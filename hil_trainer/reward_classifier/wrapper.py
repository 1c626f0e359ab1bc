"""A classifier gives the reward and ends the episode, as on a real robot, where no simulator does."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any, cast

import gymnasium as gym
import numpy as np

from gym_hil.errors import ConfigurationError
from gym_hil.wrappers.console_wrapper import ConsoleWrapper

if TYPE_CHECKING:
    from hil_trainer.reward_classifier.model import RewardClassifier

_CAMERAS, _STATE = "pixels", "agent_pos"


class RewardClassifierWrapper(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Replaces reward and success by a classifier's judgement of the observation that a step returns.

    The reward is 1.0 while the classifier sees success, else 0.0, and success ends the episode. It counts from the
    second observation in a row on (`consecutive`): a single one may be a step early, or wrong. In info:

    - `reward_classifier` float: the probability of success.
    - `next.success` bool: the classifier's word, or the operator's.
    - `succeed` bool: the simulator's own test. It neither rewards nor ends anything; compare with it.

    Other ends stay. The operator's success terminates with reward 1.0. The operator's failure, and an object out of
    reach, terminate with reward 0.0, whatever the classifier sees. A time-out, a re-record and quitting truncate.

    A task of `gym_hil` ends its episode by its own success, before the operator's word comes to it. So that it does
    not, a `HiddenSuccessWrapper` is put around the innermost environment of `env`; `env` is changed by that and not to
    be used without this wrapper any more.

    A web console inside `env` shows the same: the episode's success and end are told to it from here.

    After the end, further steps are judged too: `RecordEpisodes` goes outside, also with `steps_after_success`.

    Example:
        >>> import gymnasium as gym
        >>> import gym_hil
        >>> from hil_trainer.reward_classifier.wrapper import RewardClassifierWrapper
        >>> env = gym.make("gym_hil/PandaPickCube-v1", image_obs=True)
        >>> env = RewardClassifierWrapper(env, "outputs/classifier")  # doctest: +SKIP

    Args:
        env: whose observation has `pixels` with the classifier's cameras, and `agent_pos` where it looks at the state;
            without `auto_reset`.
        classifier: or its folder.
        threshold: from which probability on an observation counts as success; None for the classifier's own.
        consecutive: how many observations in a row have to count as success.

    Raises:
        CheckpointError: there is no classifier.
        ConfigurationError: it does not fit the environment, or an argument has a value that cannot work.
        MissingExtraError: torch is not installed.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        classifier: RewardClassifier | str | PathLike[str],
        *,
        threshold: float | None = None,
        consecutive: int = 2,
    ):
        gym.utils.RecordConstructorArgs.__init__(
            self,
            classifier=str(classifier) if isinstance(classifier, (str, PathLike)) else classifier,
            threshold=threshold,
            consecutive=consecutive,
        )
        if consecutive != int(consecutive) or consecutive < 1:
            raise ConfigurationError(f"consecutive is {consecutive!r}; expected a number of frames, 1 or more.")
        if threshold is not None and not 0 < threshold <= 1:
            raise ConfigurationError(f"threshold is {threshold!r}; expected a probability, more than 0.")
        if isinstance(classifier, (str, PathLike)):
            from hil_trainer.reward_classifier import load_classifier

            classifier = load_classifier(classifier)
        _check_fit(classifier, env)
        gym.Wrapper.__init__(self, env)
        self.classifier = classifier
        self.threshold = classifier.threshold if threshold is None else float(threshold)
        self._consecutive, self._agreed = int(consecutive), 0
        self._hidden = self._hide_success()
        self._console = _console_in(env)
        if self._console is not None:
            self._console.is_told = True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode. Its first observation is not judged: an episode begins before success."""
        self._agreed = 0
        observation, info = self.env.reset(seed=seed, options=options)
        info["succeed"] = self._hidden.succeeded
        info["next.success"] = False
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Make a step and judge what it led to.

        Raises:
            ConfigurationError: the environment starts the next episode by itself.
        """
        observation, _, ended, truncated, info = self.env.step(action)
        if "final_obs" in info:
            raise ConfigurationError("RewardClassifierWrapper cannot judge with auto_reset=True; turn it off.")
        probability = self.judge(observation)
        self._agreed = self._agreed + 1 if probability >= self.threshold else 0
        # With the task's own success hidden, this is what the operator says.
        said = bool(info.get("next.success", False))
        success = said or (self._agreed >= self._consecutive and not ended)
        info["reward_classifier"] = probability
        info["succeed"] = self._hidden.succeeded
        info["next.success"] = success
        result = observation, float(success), ended or success, truncated, info
        if self._console is not None:
            self._console.show_step(*result)
        return result

    def judge(self, observation: dict[str, Any]) -> float:
        """The probability that an observation shows success."""
        return self.classifier.probability(observation[_CAMERAS], observation.get(_STATE))

    def _hide_success(self) -> HiddenSuccessWrapper:
        """Hide the task's success from everything around it."""
        inner: gym.Env[Any, Any] = self
        while isinstance(inner, gym.Wrapper):
            if isinstance(inner.env, HiddenSuccessWrapper):
                raise ConfigurationError("This environment has a RewardClassifierWrapper already; one is enough.")
            if not isinstance(inner.env, gym.Wrapper):
                inner.env = hidden = HiddenSuccessWrapper(inner.env)
                return hidden
            inner = inner.env
        raise AssertionError("a wrapper has an environment")


class HiddenSuccessWrapper(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Lets an episode go on after the task's own success, and tells nobody of it.

    The reward is 0.0 and `succeed` in info is False. An episode that the task ends otherwise still ends. If it is asked
    for, the method `is_failure` of the task tells whether it has failed on the very step of its success.

    Attributes:
        succeeded: whether the task's own test held after the last step.
    """

    def __init__(self, env: gym.Env[Any, Any]):
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        self.succeeded = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        self.succeeded = bool(info.get("succeed", False))
        info["succeed"] = False
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Make a step."""
        observation, _, terminated, truncated, info = self.env.step(action)
        self.succeeded = bool(info.get("succeed", False))
        info["succeed"] = False
        if self.succeeded:
            is_failure = getattr(self.env.unwrapped, "is_failure", None)
            terminated = bool(is_failure()) if is_failure is not None else False
        return observation, 0.0, terminated, truncated, info


def _console_in(env: gym.Env[Any, Any]) -> ConsoleWrapper | None:
    while isinstance(env, gym.Wrapper):
        if isinstance(env, ConsoleWrapper):
            return env
        env = env.env
    return None


def _check_fit(classifier: RewardClassifier, env: gym.Env[Any, Any]) -> None:
    shape, space = classifier.shape, env.observation_space
    spaces = space.spaces if isinstance(space, gym.spaces.Dict) else {}
    pixels = spaces.get(_CAMERAS)
    cameras = list(pixels.spaces) if isinstance(pixels, gym.spaces.Dict) else []
    missing = [camera for camera in shape.cameras if camera not in cameras]
    if missing:
        raise ConfigurationError(
            f"The classifier looks at the cameras {', '.join(shape.cameras)}; the environment shows "
            f"{', '.join(cameras) or 'none'}. Make it with image_obs=True."
        )
    size = int(np.prod(cast(gym.spaces.Box, spaces[_STATE]).shape)) if _STATE in spaces else 0
    if shape.state_size and size != shape.state_size:
        raise ConfigurationError(
            f"The classifier looks at {shape.state_size} numbers of proprioception; {_STATE} of the environment has "
            f"{size}."
        )
