"""Gymnasium environments in which a policy and an operator share one robot.

`import gym_hil` registers the ids `gym_hil/PandaPickCube-v0` and so on; `gym_hil.registration` holds the table.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gym_hil.errors import GymHilError
from gym_hil.registration import register_envs

if TYPE_CHECKING:
    from gym_hil.datasets.reader import EpisodeDataset
    from gym_hil.datasets.record import RecordEpisodes
    from gym_hil.envs import (
        EnvState,
        FrankaGymEnv,
        GymRenderingSpec,
        MujocoGymEnv,
        PandaArrangeBoxesGymEnv,
        PandaPickCubeGymEnv,
    )
    from gym_hil.pacing import Pacer
    from gym_hil.teleop import Device, Event, TeleopCommand, make_device
    from gym_hil.wrappers.factory import make_env, wrap_env
    from gym_hil.wrappers.viewer_wrapper import PassiveViewerWrapper

__version__ = "0.1.21"

__all__ = [
    "Device",
    "EnvState",
    "EpisodeDataset",
    "Event",
    "FrankaGymEnv",
    "GymHilError",
    "GymRenderingSpec",
    "MujocoGymEnv",
    "Pacer",
    "PandaArrangeBoxesGymEnv",
    "PandaPickCubeGymEnv",
    "PassiveViewerWrapper",
    "RecordEpisodes",
    "TeleopCommand",
    "make_device",
    "make_env",
    "wrap_env",
]

# Name -> the module it comes from, which is imported when the name is first used.
_MODULES = {
    "Device": "gym_hil.teleop",
    "EnvState": "gym_hil.envs",
    "EpisodeDataset": "gym_hil.datasets",
    "Event": "gym_hil.teleop",
    "FrankaGymEnv": "gym_hil.envs",
    "GymRenderingSpec": "gym_hil.envs",
    "MujocoGymEnv": "gym_hil.envs",
    "Pacer": "gym_hil.pacing",
    "PandaArrangeBoxesGymEnv": "gym_hil.envs",
    "PandaPickCubeGymEnv": "gym_hil.envs",
    "PassiveViewerWrapper": "gym_hil.wrappers.viewer_wrapper",
    "RecordEpisodes": "gym_hil.datasets",
    "TeleopCommand": "gym_hil.teleop",
    "make_device": "gym_hil.teleop",
    "make_env": "gym_hil.wrappers.factory",
    "wrap_env": "gym_hil.wrappers.factory",
}

register_envs()


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
