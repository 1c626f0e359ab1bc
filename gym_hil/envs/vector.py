"""Many environments in one process: a few threads share the work of each step."""

from __future__ import annotations

import copy
import functools
import numbers
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import ArrayLike, NDArray

from gym_hil.envs.mujoco_env import check_action
from gym_hil.envs.threads import WorkThreads
from gym_hil.errors import ConfigurationError, InvalidActionError, ResetNeededError, check, check_choice

RESET_MASK, ENV_OPTIONS = "reset_mask", "env_options"  # keys of reset options: Gymnasium's, and ours
# Arguments about the operator, and about what is shown to them.
_OPERATOR_ARGUMENTS = ("device", "device_options", "intervention", "use_gamepad", "use_inputs_control")
_SHOWN_ARGUMENTS = ("use_viewer", "console")
_MAY_HAVE_STATE = ("success", "action_map")  # arguments that may be objects with a state of one episode


class ThreadVectorEnv(SyncVectorEnv):  # type: ignore[type-arg]  # no generic class in Gymnasium 1.1
    """Gymnasium's vector of environments, with all of them stepped, drawn and reset in threads.

    `mj_step` and the rasteriser release Python's lock while they run. Each environment is an ordinary one: its
    trajectories, images and info are those of a single environment, bit for bit, whatever the number of threads.

    Everything else is as Gymnasium describes it for vector environments: the three autoreset modes, `final_obs` and
    `final_info`, seeds as one number that counts up or as a list, `reset(options={"reset_mask": ...})`. The reset
    option `env_options`, a list with a dict or None for each environment, adds to the options that all have.

    Args:
        env_fns: make the environments, which have the same spaces.
        copy: whether observations are new arrays at each step; False for the same ones, filled anew.
        autoreset_mode: "NextStep", "SameStep" or "Disabled".
        threads: number of threads, including the calling one; None for one per core.
        main: number of an environment that only the calling thread steps: one with a device or a window.

    Raises:
        ConfigurationError: there is no environment, an argument has a value that cannot work, an action is no `Box`, or
            the environments have different spaces.
    """

    def __init__(
        self,
        env_fns: Sequence[Callable[[], gym.Env[Any, Any]]],
        *,
        copy: bool = True,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        threads: int | None = None,
        main: int | None = None,
    ):
        if not env_fns:
            raise ConfigurationError("A vector of 0 environments cannot be made; give num_envs of 1 or more.")
        threads = None if threads is None else _whole_number("threads", threads, 1)
        if not isinstance(autoreset_mode, AutoresetMode):
            check_choice("autoreset_mode", autoreset_mode, [mode.value for mode in AutoresetMode])
        mode = AutoresetMode(autoreset_mode)
        with ExitStack() as opened:  # closes those that were made where one cannot be made, or does not fit the others
            envs: list[gym.Env[Any, Any]] = []
            for make_env in env_fns:
                envs.append(make_env())
                opened.callback(envs[-1].close)
                own, first = ((env.observation_space, env.action_space) for env in (envs[-1], envs[0]))
                if own != first:
                    raise ConfigurationError(
                        f"Environment {len(envs) - 1} has the spaces {own}, the first one {first}; those of a vector "
                        "are alike."
                    )
            made = [functools.partial(next, iter(envs))] * len(envs)  # each call returns another one
            super().__init__(made, copy=copy, autoreset_mode=mode)
            if not isinstance(self.single_action_space, gym.spaces.Box):
                raise ConfigurationError(f"The action space is {self.single_action_space}; expected a Box.")
            opened.pop_all()
        self.env_fns = env_fns
        self._threads = WorkThreads(self.num_envs, threads=threads, main=main)
        self._batch: Any = gym.vector.utils.create_empty_array(self.single_observation_space, self.num_envs)
        self._ended = np.zeros(self.num_envs, dtype=np.bool_)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start episodes: in all environments, or in those of `reset_mask`.

        Args:
            seed: of the first environment, the others count up; or one for each.
            options: for all environments; for `reset_mask` and `env_options` see the class.

        Raises:
            ConfigurationError: a seed, the mask or the options do not fit the number of environments.
        """
        seeds, mask = self._seeds(seed), self._mask(options)
        each = self._options(options)
        infos: list[dict[str, Any]] = [{} for _ in self.envs]

        def restart(index: int) -> None:
            observation, infos[index] = self.envs[index].reset(seed=seeds[index], options=each[index])
            _write(self._batch, index, observation)

        self._threads.run(restart, np.flatnonzero(mask).tolist())
        self._ended[mask] = False
        return self._observations_now(), self._batch_infos(infos)

    def step(self, actions: ArrayLike) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Make a step in every environment.

        Args:
            actions: one for each, (n, ...).

        Returns:
            Observations, rewards (n,) float64, terminations and truncations (n,) bool, and info.

        Raises:
            InvalidActionError: an action has the wrong shape or is not finite; no environment has moved.
            ResetNeededError: with `autoreset_mode="Disabled"`, an episode is over; no environment has moved.
        """
        rows = self._checked(actions)
        if self.autoreset_mode is AutoresetMode.DISABLED and self._ended.any():
            raise ResetNeededError(
                f"The episodes of the environments {np.flatnonzero(self._ended).tolist()} are over; start new ones "
                'with reset(options={"reset_mask": terminations | truncations}).'
            )
        rewards = np.zeros(self.num_envs)
        terminations, truncations = np.zeros_like(self._ended), np.zeros_like(self._ended)
        infos: list[dict[str, Any]] = [{} for _ in self.envs]

        def advance(index: int) -> None:
            env = self.envs[index]
            if self._ended[index]:
                observation, infos[index] = env.reset()
            else:
                observation, rewards[index], terminated, truncated, infos[index] = env.step(rows[index])
                terminations[index], truncations[index] = terminated, truncated
                if (terminated or truncated) and self.autoreset_mode is AutoresetMode.SAME_STEP:
                    final = {"final_obs": observation, "final_info": infos[index]}
                    observation, info = env.reset()
                    infos[index] = {**final, **info}
            _write(self._batch, index, observation)

        self._threads.run(advance, range(self.num_envs))
        if self.autoreset_mode is not AutoresetMode.SAME_STEP:
            self._ended = terminations | truncations
        return self._observations_now(), rewards, terminations, truncations, self._batch_infos(infos)

    def render(self) -> tuple[Any, ...]:
        """What `render()` of each environment returns."""
        frames: list[Any] = [None] * self.num_envs

        def draw(index: int) -> None:
            frames[index] = self.envs[index].render()

        self._threads.run(draw, range(self.num_envs))
        return tuple(frames)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments, and end the threads."""
        if hasattr(self, "_threads"):  # not where the constructor has raised
            self._threads.close()
        super().close_extras(**kwargs)

    def _observations_now(self) -> Any:
        return copy.deepcopy(self._batch) if self.copy else self._batch

    def _batch_infos(self, infos: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Gymnasium's form of infos: an array for each key, and a mask of the environments that have it."""
        batch: dict[str, Any] = {}
        for key in dict.fromkeys(key for info in infos for key in info):
            values = [info[key] for info in infos if key in info]
            if len(values) == self.num_envs and type(values[0]) in (bool, int, float, np.ndarray):
                batch[key], batch[f"_{key}"] = np.array(values), np.ones(self.num_envs, dtype=np.bool_)
                continue
            for index, info in enumerate(infos):
                if key in info:
                    batch = self._add_info(batch, {key: info[key]}, index)
        return batch

    def _checked(self, actions: Any) -> NDArray[Any]:
        space = self.single_action_space
        assert isinstance(space, gym.spaces.Box)
        try:
            rows = np.asarray(actions)
            if rows.shape == self.action_space.shape and np.isfinite(rows).all():
                return rows
        except (TypeError, ValueError, RuntimeError):
            pass  # what follows finds out which row it is
        count = len(actions) if hasattr(actions, "__len__") else 0
        if count != self.num_envs:
            raise InvalidActionError(f"actions are {actions!r}; expected {self.num_envs}, one for each environment.")
        checked = []
        for index, action in enumerate(actions):
            try:
                checked.append(check_action(action, space.low, space.high, np.float64))
            except InvalidActionError as error:
                raise InvalidActionError(f"Environment {index}: {error}") from None
        return np.array(checked)

    def _seeds(self, seed: Any) -> Sequence[int | None]:
        if seed is None or isinstance(seed, numbers.Integral):
            return [None if seed is None else int(seed) + index for index in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ConfigurationError(f"seed has {len(seed)} entries; expected {self.num_envs}, one an environment.")
        return [None if one is None else int(one) for one in seed]

    def _mask(self, options: Mapping[str, Any] | None) -> NDArray[np.bool_]:
        if options is None or RESET_MASK not in options:
            return np.ones(self.num_envs, dtype=np.bool_)
        mask = np.asarray(options[RESET_MASK])
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise ConfigurationError(
                f"{RESET_MASK} is {options[RESET_MASK]!r}; expected a boolean for each of {self.num_envs} "
                "environments, at least one of them True."
            )
        return mask

    def _options(self, options: Mapping[str, Any] | None) -> list[dict[str, Any] | None]:
        if options is None:
            return [None] * self.num_envs
        common = {key: value for key, value in options.items() if key not in (RESET_MASK, ENV_OPTIONS)}
        each = options.get(ENV_OPTIONS, [None] * self.num_envs)
        if len(each) != self.num_envs:
            raise ConfigurationError(f"env_options has {len(each)} entries; expected {self.num_envs}, dicts or None.")
        return [{**common, **(own or {})} for own in each]


def make_vector(
    name: str,
    /,
    num_envs: int = 1,
    *,
    copy: bool = True,
    autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    threads: int | None = None,
    operator_env: int = 0,
    **kwargs: Any,
) -> ThreadVectorEnv:
    """Make several environments of an id in one process; `gym.make_vec` calls it.

    Example:
        >>> import gymnasium as gym
        >>> import gym_hil
        >>> envs = gym.make_vec("gym_hil/PandaPickCube-v1", num_envs=3, vectorization_mode="vector_entry_point")
        >>> observations, infos = envs.reset(seed=0)
        >>> observations["agent_pos"].shape
        (3, 18)

    Args:
        name: the id, such as `gym_hil/PandaPickCube-v1`.
        num_envs: how many.
        copy: see `ThreadVectorEnv`, likewise `autoreset_mode` and `threads`. With `renderer="gl"` there is one thread,
            to which OpenGL belongs.
        autoreset_mode: see above.
        threads: see above.
        operator_env: number of the environment that the operator drives and that is shown, where there is a device, a
            viewer or `render_mode="human"`; in the others the policy acts alone, and they are not shown.
        **kwargs: those of the id. A `seed` counts up from the first environment.

    Raises:
        ConfigurationError: an argument has a value that cannot work, or is an object that only one of several
            environments can have.
    """
    count = _whole_number("num_envs", num_envs, 1)
    if isinstance(operator_env, bool) or operator_env not in range(count):
        raise ConfigurationError(
            f"operator_env is {operator_env!r}; the operator drives one of {count} environments at a time: give its "
            f"number, 0 to {count - 1}."
        )
    for key in _MAY_HAVE_STATE:
        if count > 1 and hasattr(kwargs.get(key), "reset"):
            raise ConfigurationError(
                f"{key} is {kwargs[key]!r}, which has a method reset() and thus a state of one episode; {count} "
                "environments need one each: name its class, MODULE:CLASS."
            )
    unseen = {key: value for key, value in kwargs.items() if key not in (*_OPERATOR_ARGUMENTS, *_SHOWN_ARGUMENTS)}
    if unseen.get("render_mode") == "human":
        del unseen["render_mode"]

    def maker(index: int) -> Callable[[], gym.Env[Any, Any]]:
        own = dict(kwargs if index == operator_env else unseen)
        if own.get("seed") is not None:
            own["seed"] += index
        return lambda: gym.make(name, disable_env_checker=True, **own)

    if kwargs.get("renderer") == "gl":
        threads = 1
    return ThreadVectorEnv(
        [maker(index) for index in range(count)],
        copy=copy,
        autoreset_mode=autoreset_mode,
        threads=threads,
        main=operator_env,
    )


def __getattr__(name: str) -> Callable[..., ThreadVectorEnv]:
    """`make_vector` for the id that is the attribute's name: Gymnasium does not pass the id to a vector entry point."""
    if "/" not in name:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return functools.partial(make_vector, name)


def _write(batch: Any, index: int, observation: Any) -> None:
    """Write an environment's observation into its row of the arrays of all."""
    if isinstance(batch, dict):
        for key, part in batch.items():
            _write(part, index, observation[key])
    elif isinstance(batch, tuple):
        for part, value in zip(batch, observation, strict=True):
            _write(part, index, value)
    else:
        batch[index] = observation


def _whole_number(name: str, value: Any, minimum: int) -> int:
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    check(is_whole and value >= minimum, name, value, f"a whole number, {minimum} or more")
    return int(value)
