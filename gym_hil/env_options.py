"""Any environment as options: what commands and the trainer need to know of it, and how it is made from that."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator

from gym_hil import display
from gym_hil.errors import ConfigurationError, check
from gym_hil.imports import running_user_code
from gym_hil.registration import find_env, is_task
from gym_hil.teleop.operator import OperatorOptions
from gym_hil.wrappers.action_map import ActionMapLike
from gym_hil.wrappers.factory import wrap
from gym_hil.wrappers.intervention import SuccessHook

_FRAMES = "rgb_array"  # the render mode of what returns frames


@dataclass(frozen=True)
class EnvOptions:
    """Which environment, and how an operator drives it.

    Raises:
        ConfigurationError: the time limit is 0, or negative and not -1.
    """

    id: str  # a task such as `PandaPickCube`, the id of any environment, or `module:Id`; see `find_env`
    kwargs: Mapping[str, Any] = field(default_factory=dict)  # of its constructor
    action_map: ActionMapLike | None = None  # how the operator's command becomes an action; see `gym_hil.wrap`
    max_episode_steps: int | None = None  # time limit in steps, -1 for none; None for the id's own
    success: SuccessHook | str | None = None  # takes the place of the environment's own success; see `gym_hil.wrap`
    fps: float | None = None  # steps per second of an environment that does not say it; None for what it says

    def __post_init__(self) -> None:
        steps = self.max_episode_steps
        check(steps is None or steps >= 1 or steps == -1, "max_episode_steps", steps, "1 or more, or -1 for no limit")

    def spec(self) -> EnvSpec:
        """What Gymnasium knows of the environment; a ConfigurationError if there is none."""
        return find_env(self.id)

    def is_task(self) -> bool:
        """Whether it is a task of `register_task`, which takes this package's own arguments; errors as of `spec`."""
        return is_task(self.spec())

    def render_modes(self) -> list[str]:
        """The ways in which the environment can be asked to render; errors as of `spec`."""
        entry_point = self.spec().entry_point
        creator = entry_point if callable(entry_point) else load_env_creator(str(entry_point))
        parameters = inspect.signature(creator).parameters
        metadata = getattr(creator, "metadata", None)
        if not isinstance(metadata, dict):  # a function says nothing but by what it takes
            return [_FRAMES] if "render_mode" in parameters else []
        takes_mode = "render_mode" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        return list(metadata.get("render_modes", [])) if takes_mode else []

    def make(
        self, operator: OperatorOptions | None = None, *, task_kwargs: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> gym.Env[Any, Any]:
        """Make the environment, wrapped for an operator.

        Args:
            operator: who drives besides the policy; None for no operator.
            task_kwargs: more keyword arguments if it is a task of this package, such as `image_obs`.
            **kwargs: more arguments for `gym.make`.

        Raises:
            ConfigurationError: there is no such environment, it cannot be made so, or an option does not fit.
            DeviceError: a device cannot be used, or there is none.
            MissingExtraError: the console is asked for without its extra.
        """
        spec = self.spec()
        options = (OperatorOptions(device=None) if operator is None else operator).env_kwargs()
        if self.success is not None:
            options["success"] = self.success
        if self.action_map is not None:
            options["action_map"] = self.action_map
        kwargs = {"max_episode_steps": self.max_episode_steps, "disable_env_checker": True, **kwargs}
        if self.is_task():
            if self.fps is not None:
                raise ConfigurationError(f"{self.id} has control_dt and no fps={self.fps}: give control_dt=SECONDS.")
            both = {**options, **(task_kwargs or {})}
            twice = sorted(set(both) & set(self.kwargs))
            if twice:
                raise ConfigurationError(
                    f"{', '.join(twice)} of {self.id} cannot be given as an argument: use its option."
                )
            return self._make(spec, {**self.kwargs, **both}, kwargs)
        if options.pop("orientation", False):
            raise ConfigurationError(
                f"orientation=True is for tasks of gym_hil; {self.id} turns where its action map has rx, ry and rz."
            )
        env = self._make(spec, {**self._rendering(options), **self.kwargs}, kwargs)
        try:
            return wrap(env, **options, fps=self.fps)
        except BaseException:
            env.close()
            raise

    def _make(self, spec: EnvSpec, constructor: dict[str, Any], kwargs: dict[str, Any]) -> gym.Env[Any, Any]:
        with running_user_code(f"{spec.id} cannot be made with {constructor or 'no arguments'}"):
            return gym.make(spec, **constructor, **kwargs)

    def _rendering(self, options: Mapping[str, Any]) -> dict[str, str]:
        """How an environment is to render if it is shown: into a window, or into frames for the web console."""
        if not options.get("use_viewer") and options.get("device") is None:
            return {}
        wanted = "human" if options.get("use_viewer") and display.missing_display() is None else _FRAMES
        return {"render_mode": wanted} if wanted in self.render_modes() else {}


def parse_kwargs(words: Iterable[str]) -> dict[str, Any]:
    """The values of `key=value`, as Python literals or else as text; a ConfigurationError for another form."""
    values: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key.isidentifier():
            raise ConfigurationError(f"--env-kwargs has {word!r}; expected KEY=VALUE.")
        try:
            values[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            values[key] = text
    return values


def with_randomize(kwargs: dict[str, Any], words: Sequence[str] | None) -> dict[str, Any]:
    """Add the argument `randomize` of a task, as it is given on a command line: a preset, or `name=low,high`.

    A ConfigurationError if a word has another form, or `kwargs` has the argument, too.
    """
    if words is None:
        return kwargs
    if "randomize" in kwargs:
        raise ConfigurationError(
            "randomize is given twice: by --randomize and among the arguments of the environment; leave one out."
        )
    if len(words) == 1 and "=" not in words[0]:
        return {**kwargs, "randomize": words[0]}
    ranges = {}
    for word in words:
        name, _, text = word.partition("=")
        try:
            low, high = map(float, text.split(","))
        except ValueError:
            raise ConfigurationError(f"--randomize has {word!r}; expected NAME=LOW,HIGH.") from None
        ranges[name] = (low, high)
    return {**kwargs, "randomize": ranges}
