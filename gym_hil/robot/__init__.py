"""The robot: a Franka Panda with a parallel-jaw gripper, generated from numbers, no mesh files."""

from gym_hil.robot.controller import add_controller
from gym_hil.robot.gripper import add_gripper
from gym_hil.robot.panda import add_panda

__all__ = ["add_controller", "add_gripper", "add_panda"]
