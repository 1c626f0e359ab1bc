"""The wrappers between a task and its operator under one name, for `import`."""

from gym_hil.wrappers.ee_action import DEFAULT_EE_STEP_SIZE, DEFAULT_ROTATION_STEP, EEActionWrapper
from gym_hil.wrappers.gripper_penalty import GripperPenaltyWrapper
from gym_hil.wrappers.intervention import InputsControlWrapper, ResetDelayWrapper

__all__ = [
    "DEFAULT_EE_STEP_SIZE",
    "DEFAULT_ROTATION_STEP",
    "EEActionWrapper",
    "GripperPenaltyWrapper",
    "InputsControlWrapper",
    "ResetDelayWrapper",
]
