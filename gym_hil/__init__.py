"""Gymnasium environments in which a policy and an operator share one robot.

`import gym_hil` registers the ids `gym_hil/PandaPickCube-v0` and so on; `gym_hil.registration` holds the table.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gym_hil.errors import GymHilError as GymHilError
from gym_hil.registration import register_envs

if TYPE_CHECKING:  # `X as X` is a re-export to type checkers
    from gym_hil.datasets import EpisodeDataset as EpisodeDataset
    from gym_hil.datasets import RecordEpisodes as RecordEpisodes
    from gym_hil.envs import EnvState as EnvState
    from gym_hil.envs import FrankaGymEnv as FrankaGymEnv
    from gym_hil.envs import GymRenderingSpec as GymRenderingSpec
    from gym_hil.envs import MujocoGymEnv as MujocoGymEnv
    from gym_hil.envs import PandaArrangeBoxesGymEnv as PandaArrangeBoxesGymEnv
    from gym_hil.envs import PandaInsertPegGymEnv as PandaInsertPegGymEnv
    from gym_hil.envs import PandaPickCubeGymEnv as PandaPickCubeGymEnv
    from gym_hil.pacing import Pacer as Pacer
    from gym_hil.policies import load_policy as load_policy
    from gym_hil.teleop import Device as Device
    from gym_hil.teleop import Event as Event
    from gym_hil.teleop import TeleopCommand as TeleopCommand
    from gym_hil.teleop import make_device as make_device
    from gym_hil.wrappers.action_map import ActionMap as ActionMap
    from gym_hil.wrappers.console_wrapper import ConsoleWrapper as ConsoleWrapper
    from gym_hil.wrappers.factory import make_env as make_env
    from gym_hil.wrappers.factory import wrap as wrap
    from gym_hil.wrappers.factory import wrap_env as wrap_env
    from gym_hil.wrappers.hil_wrappers import EEActionWrapper as EEActionWrapper
    from gym_hil.wrappers.hil_wrappers import GripperPenaltyWrapper as GripperPenaltyWrapper
    from gym_hil.wrappers.hil_wrappers import InputsControlWrapper as InputsControlWrapper
    from gym_hil.wrappers.hil_wrappers import ResetDelayWrapper as ResetDelayWrapper
    from gym_hil.wrappers.safety import SafetyWrapper as SafetyWrapper
    from gym_hil.wrappers.viewer_wrapper import PassiveViewerWrapper as PassiveViewerWrapper

__version__ = "0.1.26"

# Module -> the names that it offers here; it is imported when one of them is first used.
_OFFERS = {
    "gym_hil.datasets": ("EpisodeDataset", "RecordEpisodes"),
    "gym_hil.envs": (
        "EnvState",
        "FrankaGymEnv",
        "GymRenderingSpec",
        "MujocoGymEnv",
        "PandaArrangeBoxesGymEnv",
        "PandaInsertPegGymEnv",
        "PandaPickCubeGymEnv",
    ),
    "gym_hil.pacing": ("Pacer",),
    "gym_hil.policies": ("load_policy",),
    "gym_hil.teleop": ("Device", "Event", "TeleopCommand", "make_device"),
    "gym_hil.wrappers.action_map": ("ActionMap",),
    "gym_hil.wrappers.console_wrapper": ("ConsoleWrapper",),
    "gym_hil.wrappers.factory": ("make_env", "wrap", "wrap_env"),
    "gym_hil.wrappers.hil_wrappers": (
        "EEActionWrapper",
        "GripperPenaltyWrapper",
        "InputsControlWrapper",
        "ResetDelayWrapper",
    ),
    "gym_hil.wrappers.safety": ("SafetyWrapper",),
    "gym_hil.wrappers.viewer_wrapper": ("PassiveViewerWrapper",),
}
_MODULES = {name: module for module, names in _OFFERS.items() for name in names}
__all__ = ["GymHilError", *_MODULES]
# Packages that can be named without an import of their own, and what makes them whole.
_PACKAGES = {"envs": ("gym_hil.envs",), "wrappers": ("gym_hil.wrappers.factory", "gym_hil.wrappers.hil_wrappers")}

register_envs()


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    for module in _PACKAGES.get(name, ()):
        importlib.import_module(module)
    if name in _PACKAGES:
        return importlib.import_module(f"gym_hil.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
