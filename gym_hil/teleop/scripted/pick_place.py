"""Picking and placing with a two-finger gripper, planned anew from each snapshot of the scene.

The planner remembers only which object it works on, so it does not matter who moved the arm or the objects before: an
object that was pushed is followed, one that was dropped is picked up again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Point = NDArray[np.float64]  # (3,) m

HOVER = 0.06  # m above an object's centre: open fingers pass over an object of 4 cm
CARRY = 0.05  # m above its goal: a carried object passes over the others
ALIGNED = 0.012  # m beside an object that still fits between the fingers with room to spare
BESIDE = 0.03  # m; further off than this, a low gripper would push the object away
LEVEL = 0.01  # m off an object's height at which the fingers still grip it well
PLACED = 0.02  # m off its goal, in x and in y, that counts as there
LANDED = 0.012  # m above the height at which it stands
FUNNEL = 3.0  # how much higher than its goal the gripper stays for each metre beside it
NEAR = 0.035  # m from the TCP: between the fingers, or touched by them


class PickPlaceGoal(NamedTuple):
    """An object and where it should be.

    Attributes:
        object: (3,) m, its centre.
        goal: (3,) m, where its centre should be.
        put_down: True if it should be released there, False if held.
    """

    object: Point
    goal: Point
    put_down: bool


class SceneSnapshot(NamedTuple):
    """What the planner sees of the scene at one moment.

    Attributes:
        tcp: (3,) m, the point between the finger tips.
        tcp_target: (3,) m, where the controller pulls it to.
        gripper_command: 0 open to 1 closed.
        gripper_closed: how far it really is.
        goals: one for each object of the task.
    """

    tcp: Point
    tcp_target: Point
    gripper_command: float
    gripper_closed: float
    goals: Sequence[PickPlaceGoal]


class PlannedMove(NamedTuple):
    """What to do next.

    Attributes:
        tcp_target: (3,) m, where the TCP should go.
        gripper: -1 opens, 0 leaves, +1 closes.
    """

    tcp_target: Point
    gripper: int


class PickPlacePlanner:
    """Reaches the goals one after the other, the nearest object first."""

    def __init__(self) -> None:
        self._current = 0
        self._closed_before = 0.0

    def reset(self) -> None:
        """Forget the previous episode."""
        self._current, self._closed_before = 0, 0.0

    def plan(self, scene: SceneSnapshot) -> PlannedMove | None:
        """The next move, or None when every goal is reached."""
        # Fingers that have nearly stopped short of each other hold something.
        stopped = abs(scene.gripper_closed - self._closed_before) < 0.1
        self._closed_before = scene.gripper_closed
        goal = self._choose(scene)
        if goal is None:
            return None
        if scene.gripper_command > 0.5 and math.dist(goal.object, scene.tcp) < NEAR:
            if not stopped:
                return PlannedMove(scene.tcp_target, 0)
            if scene.gripper_closed < 0.9:
                return PlannedMove(_transport_target(goal, scene), 0)
        return _grasp(goal, scene)

    def _choose(self, scene: SceneSnapshot) -> PickPlaceGoal | None:
        left = [k for k, goal in enumerate(scene.goals) if not is_reached(goal)]
        if not left:
            return None
        if self._current not in left:
            self._current = min(left, key=lambda k: math.dist(scene.goals[k].object, scene.tcp))
        return scene.goals[self._current]


def is_reached(goal: PickPlaceGoal) -> bool:
    """Whether the object is where it should be."""
    x, y, z = (goal.object - goal.goal).tolist()
    if goal.put_down:
        return max(abs(x), abs(y)) < PLACED and z < LANDED
    return math.hypot(x, y, z) < LANDED


def remaining_distance(scene: SceneSnapshot) -> float:
    """Distance left, in m: of all objects to their goals, and of the TCP to the nearest of them."""
    left = [goal for goal in scene.goals if not is_reached(goal)]
    if not left:
        return 0.0
    return sum(math.dist(goal.object, goal.goal) for goal in left) + min(
        math.dist(goal.object, scene.tcp) for goal in left
    )


def _transport_target(goal: PickPlaceGoal, scene: SceneSnapshot) -> Point:
    """Where the TCP should go with the object between the fingers."""
    target = goal.goal + (scene.tcp - goal.object)
    if goal.put_down:
        beside = math.hypot(*(goal.goal - goal.object)[:2])
        target[2] += min(max(FUNNEL * (beside - ALIGNED), 0.0), CARRY)
    return target


def _grasp(goal: PickPlaceGoal, scene: SceneSnapshot) -> PlannedMove:
    """How to get the object between the fingers."""
    offset = scene.tcp - goal.object
    beside = math.hypot(offset[0], offset[1])
    if scene.gripper_closed > 0.25 and any(math.dist(one.object, scene.tcp) < NEAR for one in scene.goals):
        return PlannedMove(scene.tcp_target, -1)  # release first what is between the fingers
    target = goal.object.copy()
    is_open = scene.gripper_closed < 0.15
    target[2] += min(max(FUNNEL * (beside - ALIGNED), 0.0), HOVER) if is_open else HOVER
    if beside > BESIDE and offset[2] < HOVER - 0.02:
        target[:2] = scene.tcp_target[:2]  # rise first
    if is_open and beside < ALIGNED and abs(offset[2]) < LEVEL:
        return PlannedMove(target, 1)
    return PlannedMove(target, -1 if scene.gripper_command > 0.02 else 0)
