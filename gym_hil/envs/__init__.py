"""The environments: one file per task."""

from gym_hil.envs.arrange_boxes import PandaArrangeBoxesGymEnv
from gym_hil.envs.insert_peg import PandaInsertPegGymEnv
from gym_hil.envs.mujoco_env import EnvState, GymRenderingSpec, MujocoGymEnv
from gym_hil.envs.panda_env import FrankaGymEnv
from gym_hil.envs.pick_cube import PandaPickCubeGymEnv

__all__ = [
    "EnvState",
    "FrankaGymEnv",
    "GymRenderingSpec",
    "MujocoGymEnv",
    "PandaArrangeBoxesGymEnv",
    "PandaInsertPegGymEnv",
    "PandaPickCubeGymEnv",
]
