"""The one table of ids: task x version x control. A new task is one line in `TASKS`; environments are found here."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, WrapperSpec, find_highest_version, get_env_id, parse_env_id

from gym_hil.errors import ConfigurationError
from gym_hil.imports import describe_error, import_module
from gym_hil.teleop.registry import DEVICES

if TYPE_CHECKING:
    from gym_hil.envs import FrankaGymEnv

NAMESPACE = "gym_hil"
FACTORY = "gym_hil.wrappers.factory"
VECTOR = "gym_hil.envs.vector"
ENTRY_POINTS = "gym_hil.tasks"  # group in which packages name modules that register tasks and environments


class Version(NamedTuple):
    """One version of a task.

    Attributes:
        max_episode_steps: after which the episode is truncated.
        kwargs: constructor arguments that make this version.
        wrap_kwargs: arguments of `wrap_env` that differ from its defaults.
    """

    max_episode_steps: int
    kwargs: Mapping[str, Any] = MappingProxyType({})
    wrap_kwargs: Mapping[str, Any] = MappingProxyType({})


class _OutsideTimeLimit(tuple[WrapperSpec, ...]):
    """Wrappers that `gym.make` puts around the time limit, and `gym.make_vec` does not count.

    Gymnasium refuses a vector entry point where an id has additional wrappers, since it could not apply them. Ours
    makes each environment by `gym.make`, which applies them.
    """

    def __len__(self) -> int:
        return 0


_TURNS = MappingProxyType({"orientation": True})

# Task -> where its class is, and its versions in order from v0.
TASKS: dict[str, tuple[str, tuple[Version, ...]]] = {
    "PandaPickCube": (
        "gym_hil.envs:PandaPickCubeGymEnv",
        (Version(100), Version(150, {"random_block_position": True})),
    ),
    "PandaArrangeBoxes": ("gym_hil.envs:PandaArrangeBoxesGymEnv", (Version(100), Version(500))),
    "PandaInsertPeg": (
        "gym_hil.envs:PandaInsertPegGymEnv",
        (
            Version(200, wrap_kwargs=_TURNS),
            Version(200, {"clearance": 0.0005, "estimate_error": (0.002, math.radians(2))}, _TURNS),
        ),
    ),
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

    Commands find it by its name, as `module:NAME` if nothing has imported the module that calls this.

    Args:
        task: the ids' stem; `PandaPushCube` becomes `gym_hil/PandaPushCube-v0`, `gym_hil/PandaPushCubeGamepad-v0`, ...
        entry_point: `module:Class` of a `FrankaGymEnv`.
        versions: in order from v0.
    """
    TASKS[task] = (entry_point, tuple(versions))
    for number, version in enumerate(versions):
        steps = version.max_episode_steps
        base = env_id(task, "Base", number)
        # The environment itself checks that it was reset.
        common: dict[str, Any] = {"max_episode_steps": steps, "order_enforce": False}
        vector = f"{VECTOR}:{base}"
        gym.register(base, entry_point=entry_point, vector_entry_point=vector, kwargs=dict(version.kwargs), **common)
        for control, kwargs in controls().items():
            maker, wrapper = ("make_watched_task", "watch_task") if control == "Viewer" else ("make_task", "wrap_task")
            if control != "Viewer":
                kwargs = {**version.wrap_kwargs, **kwargs}
            name = env_id(task, control, number)
            gym.register(
                name,
                entry_point=f"{FACTORY}:{maker}",
                # A viewer shows one environment, and nothing says which.
                vector_entry_point=None if control == "Viewer" else f"{VECTOR}:{name}",
                additional_wrappers=_OutsideTimeLimit([WrapperSpec(wrapper, f"{FACTORY}:{wrapper}", {})]),
                kwargs={"env_id": base, **kwargs},
                **common,
            )


def env_id(task: str, control: str = "", version: int = 0) -> str:
    """The full id, for example `gym_hil/PandaPickCubeGamepad-v0`."""
    return f"{NAMESPACE}/{task}{control}-v{version}"


def find_task(name: str) -> tuple[str, int]:
    """Find a task by its name or id, such as `PandaPickCube`, `PandaPickCube-v0` or `gym_hil/PandaPickCube-v0`.

    With `module:` before it, that module is imported first; without version it is the newest.

    Returns:
        The task and its version number.

    Raises:
        ConfigurationError: there is no such task or version, or the module cannot be imported.
    """
    name = _import_module_of(name)
    found = _known_task(name)
    if found is None:
        _load_entry_points()
        found = _known_task(name)
    if found is None:
        known = [f"{task}-v{number}" for task, (_, versions) in TASKS.items() for number in range(len(versions))]
        raise ConfigurationError(f"There is no task {name!r}; choose one of {', '.join(known)}.")
    return found


def find_env(name: str) -> EnvSpec:
    """Find any environment by its id, `module:Id`, or the name of a task, as `find_task` does.

    Raises:
        ConfigurationError: there is no such environment, or the module cannot be imported.
    """
    module = name.rpartition(":")[0]
    name = _import_module_of(name)
    for attempt in range(2):
        task = _known_task(name)
        try:
            if task is not None:
                spec = gym.spec(env_id(task[0], version=task[1]))
            else:
                namespace, stem, version = parse_env_id(name)
                version = find_highest_version(namespace, stem) if version is None else version
                spec = gym.spec(get_env_id(namespace, stem, version))
            if module:
                _modules[spec.id] = module
            return spec
        except gym.error.Error as error:
            if attempt:
                raise ConfigurationError(
                    f"There is no environment {name!r}: {error} Tasks of gym_hil are {', '.join(TASKS)}; for another "
                    f"environment name the module that registers it: MODULE:{name}."
                ) from error
        _load_entry_points()
    raise AssertionError


def is_task(spec: EnvSpec) -> bool:
    """Whether an id is one of `register_task` that takes the keyword arguments of `gym_hil.wrap_env`."""
    return spec.entry_point == f"{FACTORY}:make_task"


def registering_module(env: gym.Env[Any, Any]) -> str:
    """The module whose import registers an environment's id: the one it was found by, else that of its class."""
    spec = env.unwrapped.spec
    return _modules.get("" if spec is None else spec.id, type(env.unwrapped).__module__)


def _known_task(name: str) -> tuple[str, int] | None:
    wanted = name.removeprefix(f"{NAMESPACE}/").lower()
    exact = {f"{task}-v{n}".lower(): (task, n) for task, (_, versions) in TASKS.items() for n in range(len(versions))}
    newest = {task.lower(): (task, len(versions) - 1) for task, (_, versions) in TASKS.items()}
    return exact.get(wanted) or newest.get(wanted)


def _import_module_of(name: str) -> str:
    """Import the module that `module:Id` names, and return the id."""
    module, colon, name_there = name.rpartition(":")
    if colon:
        import_module(module, what=f"The module of {name}")
    return name_there


def _load_entry_points() -> None:
    """Import what installed packages offer; a package that fails is reported, and the others are there."""
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.value in _loaded:
            continue
        _loaded.add(entry.value)
        try:
            loaded = entry.load()
            if callable(loaded):
                loaded()
        except Exception as error:  # any, from a user's package
            warnings.warn(f"The tasks of {entry.value} cannot be loaded: {describe_error(error)}.", stacklevel=2)


_loaded: set[str] = set()  # entry points, each loaded once
_modules: dict[str, str] = {}  # id -> the module that was named to find it


def make_task(name: str) -> FrankaGymEnv:
    """Make the environment of a task without any wrapper; see `find_task` for its name."""
    task, version = find_task(name)
    return cast("FrankaGymEnv", gym.make(env_id(task, "Base", version)).unwrapped)
