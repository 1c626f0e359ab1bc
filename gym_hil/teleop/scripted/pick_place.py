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

from gym_hil.rotations import rotation_vector

Point = NDArray[np.float64]  # (3,) m
Rotation = NDArray[np.float64]  # (3, 3), of the tool in the base frame

HOVER = 0.06  # m above an object's centre: open fingers pass over an object of 4 cm
CARRY = 0.05  # m above its goal: a carried object passes over the others
ALIGNED = 0.012  # m beside an object that still fits between the fingers with room to spare
BESIDE = 0.03  # m; further off than this, a low gripper would push the object away
LEVEL = 0.01  # m off an object's height at which the fingers still grip it well
PLACED = 0.02  # m off its goal, in x and in y, that counts as there
LANDED = 0.012  # m above the height at which it stands
SEATED = 0.002  # m likewise, in a socket
FUNNEL = 3.0  # how much higher than its goal the gripper stays for each metre beside it
NEAR = 0.035  # m from the TCP: between the fingers, or touched by them
STRAIGHT = 0.2  # rad off the orientation in which the fingers grip an object well; half as much for a socket
INSERTABLE = 0.0015, 0.03  # m beside a socket's centre, and rad, at which an object may go in
INSIDE = 0.004, 0.006  # m deep, and m beside the centre, at which it has found the hole
PRECISE = 0.015, 0.2  # m beside a socket, nearer than which the operator goes at this share of full speed
QUARTER = math.pi / 2  # rad, after which a square looks the same


class PickPlaceGoal(NamedTuple):
    """An object and where it should be.

    Attributes:
        object: (3,) m, its centre.
        goal: (3,) m, where its centre should be.
        put_down: True if it should be released there, False if held.
        object_yaw: rad about the vertical, modulo a quarter of a turn: where its sides are; None for any.
        goal_yaw: rad likewise, how it should be turned there; None for any.
        grip_height: m above its centre, where the fingers should grip it.
        socket_depth: m, of the socket in which it should stand; 0 for a place on a plane.
    """

    object: Point
    goal: Point
    put_down: bool
    object_yaw: float | None = None
    goal_yaw: float | None = None
    grip_height: float = 0.0
    socket_depth: float = 0.0

    @property
    def grip(self) -> Point:
        """(3,) m, the point that should be between the finger tips."""
        return self.object + np.array([0.0, 0.0, self.grip_height])

    @property
    def turn(self) -> float:
        """Rad by which the object has to be turned to stand as it should, the short way."""
        if self.goal_yaw is None or self.object_yaw is None:
            return 0.0
        return _within_a_quarter(self.goal_yaw - self.object_yaw)


class SceneSnapshot(NamedTuple):
    """What the planner sees of the scene at one moment."""

    tcp: Point  # (3,) m, the point between the finger tips
    tcp_target: Point  # (3,) m, where the controller pulls it to
    tool: Rotation  # (3, 3), the tool's orientation in the base frame
    tool_target: Rotation  # (3, 3), the orientation that the controller turns it to
    gripper_command: float  # 0 open to 1 closed
    gripper_closed: float  # how far it really is
    goals: Sequence[PickPlaceGoal]  # one for each object of the task


class PlannedMove(NamedTuple):
    """What to do next."""

    tcp_target: Point  # (3,) m, where the TCP should go
    gripper: int  # -1 opens, 0 leaves, +1 closes
    rotation: Point  # (3,) rad, rotation vector in the base frame by which the tool's target should turn
    speed: float = 1.0  # share of full speed at which the motion should be made


class PickPlacePlanner:
    """Reaches the goals one after the other, the nearest object first.

    Args:
        turns: whether the tool can be turned; otherwise it is taken as it is.
    """

    def __init__(self, *, turns: bool = False) -> None:
        self._turns = turns
        self.reset()

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
        if scene.gripper_command > 0.5 and math.dist(goal.grip, scene.tcp) < NEAR:
            if not stopped:
                return PlannedMove(scene.tcp_target, 0, np.zeros(3))
            if scene.gripper_closed < 0.9:
                tool = self._straight(scene, _yaw(scene.tool) + goal.turn)
                speed = PRECISE[1] if goal.socket_depth and _beside(goal) < PRECISE[0] else 1.0
                return self._move(scene, tool, _transport_target(goal, scene), 0)._replace(speed=speed)
        # Near to the yaw where the arm started, its wrist is far from its limits.
        tool = self._straight(
            scene, _within_a_quarter(_yaw(scene.tool) if goal.object_yaw is None else goal.object_yaw)
        )
        return self._move(scene, tool, *_grasp(goal, scene, straight=_angle(tool, scene.tool) < STRAIGHT))

    def _straight(self, scene: SceneSnapshot, yaw: float) -> Rotation:
        """The orientation of a tool that points down, with this yaw; where the tool cannot be turned, what it is."""
        if not self._turns:
            return scene.tool
        cos, sin = math.cos(yaw), math.sin(yaw)
        return np.array([[cos, sin, 0.0], [sin, -cos, 0.0], [0.0, 0.0, -1.0]])

    def _move(self, scene: SceneSnapshot, tool: Rotation, target: Point, gripper: int) -> PlannedMove:
        turn = rotation_vector(tool @ scene.tool_target.T) if self._turns else np.zeros(3)
        return PlannedMove(target, gripper, turn)

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
        return max(abs(x), abs(y)) < PLACED and z < (SEATED if goal.socket_depth else LANDED)
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
    beside = _beside(goal)
    if goal.socket_depth:
        bottom = goal.object[2] - goal.goal[2]
        inside = bottom < goal.socket_depth - INSIDE[0] and beside < INSIDE[1]
        if inside or (beside < INSERTABLE[0] and abs(goal.turn) < INSERTABLE[1]):
            target[2] = scene.tcp_target[2] - 0.01  # press it in gently
        else:
            target[2] = scene.tcp[2] + goal.socket_depth + 0.02 - bottom
    elif goal.put_down:
        target[2] += min(max(FUNNEL * (beside - ALIGNED), 0.0), CARRY)
    return target


def _within_a_quarter(angle: float) -> float:
    """The angle within an eighth of a turn to either side, at which a square looks the same."""
    return (angle + QUARTER / 2) % QUARTER - QUARTER / 2


def _beside(goal: PickPlaceGoal) -> float:
    """M between the object and its goal, seen from above."""
    return math.hypot(*(goal.goal - goal.object)[:2].tolist())


def _grasp(goal: PickPlaceGoal, scene: SceneSnapshot, *, straight: bool) -> tuple[Point, int]:
    """How to get the object between the fingers: where the TCP should go, and what the gripper should do."""
    offset = scene.tcp - goal.grip
    beside = math.hypot(offset[0], offset[1])
    if scene.gripper_closed > 0.25 and any(math.dist(one.grip, scene.tcp) < NEAR for one in scene.goals):
        return scene.tcp_target, -1  # release first what is between the fingers
    target = goal.grip
    is_open = scene.gripper_closed < 0.15
    target[2] += min(max(FUNNEL * (beside - ALIGNED), 0.0), HOVER) if is_open and straight else HOVER
    if beside > BESIDE and offset[2] < HOVER - 0.02:
        target[:2] = scene.tcp_target[:2]  # rise first
    if is_open and straight and beside < ALIGNED and abs(offset[2]) < (LEVEL / 2 if goal.socket_depth else LEVEL):
        return target, 1
    return target, -1 if scene.gripper_command > 0.02 else 0


def _yaw(tool: Rotation) -> float:
    """Rad about the vertical, 0 where the fingers move along the base's y."""
    return math.atan2(tool[1, 0], tool[0, 0])


def _angle(one: Rotation, other: Rotation) -> float:
    """Rad between two orientations."""
    return float(np.linalg.norm(rotation_vector(one @ other.T)))
