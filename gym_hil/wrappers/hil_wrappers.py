"""The wrappers between the task and the people who act in it, from the inside out."""

from gym_hil.wrappers.ee_action import DEFAULT_EE_STEP_SIZE, DEFAULT_ROTATION_STEP, EEActionWrapper
from gym_hil.wrappers.gripper_penalty import GripperPenaltyWrapper
from gym_hil.wrappers.intervention import InputsControlWrapper
from gym_hil.wrappers.reset_delay import ResetDelayWrapper

__all__ = [
    "DEFAULT_EE_STEP_SIZE",
    "DEFAULT_ROTATION_STEP",
    "EEActionWrapper",
    "GripperPenaltyWrapper",
    "InputsControlWrapper",
    "ResetDelayWrapper",
]
