"""The one table of ids: task x version x control. A new task is one line in `TASKS`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import gymnasium as gym
from gymnasium.envs.registration import WrapperSpec

from gym_hil.errors import ConfigurationError
from gym_hil.teleop.registry import DEVICES

if TYPE_CHECKING:
    from gym_hil.envs import FrankaGymEnv

NAMESPACE = "gym_hil"
FACTORY = "gym_hil.wrappers.factory"


class Version(NamedTuple):
    """One version of a task.

    Attributes:
        max_episode_steps: after which the episode is truncated.
        kwargs: constructor arguments that make this version.
    """

    max_episode_steps: int
    kwargs: Mapping[str, Any] = MappingProxyType({})


# Task -> where its class is, and its versions in order from v0.
TASKS: dict[str, tuple[str, tuple[Version, ...]]] = {
    "PandaPickCube": (
        "gym_hil.envs:PandaPickCubeGymEnv",
        (Version(100), Version(150, {"random_block_position": True})),
    ),
    "PandaArrangeBoxes": ("gym_hil.envs:PandaArrangeBoxesGymEnv", (Version(100), Version(500))),
}


def controls() -> dict[str, dict[str, Any]]:
    """Suffix of an id -> arguments of its maker. Those with a device are the entries of `DEVICES` with a control."""
    found: dict[str, dict[str, Any]] = {"": {}, "Viewer": {}}
    for name, entry in DEVICES.items():
        if entry.control is not None:
            found[entry.control] = {"device": name, **({"use_viewer": True} if entry.viewer else {})}
    return found


def register_envs() -> None:
    """Register every id of the table with Gymnasium."""
    # Both versions are kept: v0 is what existing configurations name, not an older state of v1.
    warnings.filterwarnings("ignore", message=rf".*{NAMESPACE}/\S+ is out of date", category=DeprecationWarning)
    for task, (entry_point, versions) in TASKS.items():
        register_task(task, entry_point, versions)


def register_task(task: str, entry_point: str, versions: Sequence[Version]) -> None:
    """Register a task with every control.

    Args:
        task: the ids' stem; `PandaPushCube` becomes `gym_hil/PandaPushCube-v0`, `gym_hil/PandaPushCubeGamepad-v0`, ...
        entry_point: `module:Class` of a `FrankaGymEnv`.
        versions: in order from v0.
    """
    for number, version in enumerate(versions):
        steps = version.max_episode_steps
        base = env_id(task, "Base", number)
        # The environment itself checks that it was reset.
        common: dict[str, Any] = {"max_episode_steps": steps, "order_enforce": False}
        gym.register(base, entry_point=entry_point, kwargs=dict(version.kwargs), **common)
        for control, kwargs in controls().items():
            maker, wrapper = ("make_watched_task", "watch_task") if control == "Viewer" else ("make_task", "wrap_task")
            gym.register(
                env_id(task, control, number),
                entry_point=f"{FACTORY}:{maker}",
                additional_wrappers=(WrapperSpec(wrapper, f"{FACTORY}:{wrapper}", {}),),
                kwargs={"env_id": base, **kwargs},
                **common,
            )


def env_id(task: str, control: str = "", version: int = 0) -> str:
    """The full id, for example `gym_hil/PandaPickCubeGamepad-v0`."""
    return f"{NAMESPACE}/{task}{control}-v{version}"


def find_task(name: str) -> tuple[str, int]:
    """Find a task by its name or id.

    Args:
        name: such as `PandaPickCube`, `PandaPickCube-v0` or `gym_hil/PandaPickCube-v0`; without version the newest.

    Returns:
        The task and its version number.

    Raises:
        ConfigurationError: there is no such task or version.
    """
    wanted = name.removeprefix(f"{NAMESPACE}/").lower()
    known = {f"{task}-v{number}": (task, number) for task, (_, all_) in TASKS.items() for number in range(len(all_))}
    exact = {key.lower(): found for key, found in known.items()}
    newest = {task.lower(): (task, len(versions) - 1) for task, (_, versions) in TASKS.items()}
    found = exact.get(wanted) or newest.get(wanted)
    if found is None:
        raise ConfigurationError(f"There is no task {name!r}; choose one of {', '.join(known)}.")
    return found


def make_task(name: str) -> FrankaGymEnv:
    """Make the environment of a task without any wrapper.

    Args:
        name: see `find_task`.

    Raises:
        ConfigurationError: there is no such task or version.
    """
    task, version = find_task(name)
    return cast("FrankaGymEnv", gym.make(env_id(task, "Base", version)).unwrapped)
