"""The scripted operator: a device that plays the human."""

from gym_hil.teleop.scripted.operator import ScriptedOperator
from gym_hil.teleop.scripted.pick_place import PickPlaceGoal

__all__ = ["PickPlaceGoal", "ScriptedOperator"]
