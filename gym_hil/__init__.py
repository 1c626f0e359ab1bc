"""Gymnasium environments in which a policy and an operator share one robot.

`import gym_hil` registers the ids `gym_hil/PandaPickCube-v0` and so on; `gym_hil.registration` holds the table.
"""

from gym_hil.envs import (
    EnvState,
    FrankaGymEnv,
    GymRenderingSpec,
    MujocoGymEnv,
    PandaArrangeBoxesGymEnv,
    PandaPickCubeGymEnv,
)
from gym_hil.errors import GymHilError
from gym_hil.registration import register_envs
from gym_hil.wrappers.factory import make_env, wrap_env
from gym_hil.wrappers.viewer_wrapper import PassiveViewerWrapper

__version__ = "0.1.21"

__all__ = [
    "EnvState",
    "FrankaGymEnv",
    "GymHilError",
    "GymRenderingSpec",
    "MujocoGymEnv",
    "PandaArrangeBoxesGymEnv",
    "PandaPickCubeGymEnv",
    "PassiveViewerWrapper",
    "make_env",
    "wrap_env",
]

register_envs()
