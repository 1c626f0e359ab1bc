"""A tracked hand: poses of a controller, a hand or a phone become displacements of the tool."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gym_hil.rotations import quaternion_matrix, rotation_vector

CLUTCH_ON, CLUTCH_OFF = 0.5, 0.4  # of the squeeze; two values, so that a trembling finger does not let go
GRIPPER_CLOSE, GRIPPER_OPEN = 0.6, 0.3  # of the trigger
SCALE = (0.2, 1.0)  # m that the tool moves for each m of the hand, minimum and maximum
SCALE_SECONDS = 1.5  # of a stick held to its end, from one end of the scale to the other
STICK_DEADZONE = 0.2
FRAME = 1 / 60  # s, the longest time between two frames of a headset
JUMP = 0.05, math.radians(35)  # m and rad between two frames; more than that is an error of the tracking
GAP = 0.5  # s without a measurement, after which the hand starts anew from where it is
FAR = 1000.0  # m from the origin; a hand that is measured farther away is an error
TIME_TOLERANCE = 0.1  # s, by which a message may be late without counting as delayed
OPENING = 0.5  # s for which letting the trigger go opens the gripper
WEBXR_TO_BASE = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # x right, y up, z back -> x, y, z

Numbers3: TypeAlias = tuple[float, float, float]
Numbers4: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Hand:
    """The hand that drives, as it was measured."""

    time: float  # ms on the page's clock, of the measurement
    side: Literal["left", "right"]  # which hand
    position: Numbers3 | None  # m, in a WebXR reference space: x right, y up, z back; None while it is not tracked
    orientation: Numbers4  # quaternion, w last
    yaw: float  # rad about the vertical, counter-clockwise: the direction that the operator takes for forward
    squeeze: float  # of the clutch, 0 to 1
    trigger: float  # 0 to 1
    stick: tuple[float, float]  # right and back, each -1 to 1


class Displacement(NamedTuple):
    """How far the hand has moved and turned since the previous call of `HandTracking.take`.

    Attributes:
        clutch: number of the squeeze that it belongs to, from 1; 0 while the clutch is open.
        position: (3,) m, robot base frame.
        rotation: (3, 3), by which the tool is turned in the robot base frame.
    """

    clutch: int
    position: NDArray[np.float64]
    rotation: NDArray[np.float64]


class HandTracking:
    """Follows a hand. The clutch connects it to the tool; what counts then is how it moves, not where it is.

    While the clutch is squeezed, the hand's displacement times `scale`, and its rotation, add up until they are taken.
    Forward is the yaw of the moment at which the clutch was squeezed. Nothing adds up

    - between two frames that are further apart than a hand moves, `JUMP`;
    - while the hand is not tracked, or its pose is not finite;
    - over more than `GAP` between two measurements, or while messages arrive that such a gap of the connection has
      delayed;
    - when the other hand takes over.

    The displacement then starts anew from the next frame. Frames that are older than the newest are ignored; a clock
    that goes back by more than `GAP` is that of a page that was loaded again.

    Args:
        clock: s, never goes back; by which messages arrive.

    Attributes:
        scale: m that the tool moves for each m of the hand.
        clutch: number of the present squeeze, from 1; 0 while the clutch is open.
        gripper: -1 opens, 0 holds, +1 closes.
        dropped: number of frames that were too far from the previous one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._lock = threading.Lock()
        self._clock = clock
        self._squeezes = 0
        self.scale, self.clutch, self.gripper, self.dropped = SCALE[1], 0, 0, 0
        self._side = ""
        self._opened = -math.inf  # s, when the trigger was let go
        self._time = -math.inf  # s, of the newest measurement
        self._arrived = -math.inf  # s
        self._held_up_until = -math.inf  # s on the page's clock; measurements before it come late
        self._position: NDArray[np.float64] | None = None  # where the next displacement starts; None for anywhere
        self._rotation = np.eye(3)
        self._to_base = WEBXR_TO_BASE
        self._sum, self._turn = np.zeros(3), np.eye(3)

    def update(self, hand: Hand) -> None:
        """Take in a frame; from any thread."""
        with self._lock:
            measured, now = hand.time / 1000, self._clock()
            passed = measured - self._time
            if not math.isfinite(measured) or -GAP < passed <= 0:
                return
            if passed <= 0:
                self._held_up_until = -math.inf
            elif now - self._arrived > GAP and self._arrived > -math.inf:
                self._held_up_until = self._time + now - self._arrived - TIME_TOLERANCE
            goes_on = 0 < passed <= GAP and measured >= self._held_up_until and hand.side == self._side
            self._time, self._arrived, self._side = measured, now, hand.side
            self._squeeze(hand)
            self._pull(hand.trigger)
            self._change_scale(hand.stick, min(max(passed, 0.0), GAP))
            self._move(hand, frames=max(passed / FRAME, 1.0), goes_on=goes_on)

    def take(self) -> Displacement:
        """The displacement since the last call; from any thread."""
        with self._lock:
            taken = Displacement(self.clutch, self._sum, self._turn)
            self._sum, self._turn = np.zeros(3), np.eye(3)
            return taken

    def release(self) -> None:
        """Open the clutch and leave the gripper, as when the session ends."""
        with self._lock:
            self.clutch, self.gripper, self._position = 0, 0, None

    def forget(self) -> None:
        """Drop what was not taken, as while the operator does not drive; the clutch stays as it is."""
        with self._lock:
            self.gripper = max(self.gripper, 0)
            self._sum, self._turn = np.zeros(3), np.eye(3)

    def _squeeze(self, hand: Hand) -> None:
        if self.clutch and not hand.squeeze >= CLUTCH_OFF:
            self.clutch = 0
        elif not self.clutch and hand.squeeze > CLUTCH_ON:
            self._squeezes += 1
            self.clutch, self._position = self._squeezes, None
            self._sum, self._turn = np.zeros(3), np.eye(3)
            cos, sin = math.cos(hand.yaw), math.sin(hand.yaw)
            self._to_base = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]]) @ WEBXR_TO_BASE

    def _pull(self, trigger: float) -> None:
        if trigger >= GRIPPER_CLOSE:
            self.gripper = 1
        elif trigger <= GRIPPER_OPEN and self.gripper == 1:
            # Only a trigger that was pulled opens: taking over does not drop what the policy has gripped.
            self.gripper, self._opened = -1, self._time
        elif self.gripper == -1 and not 0 <= self._time - self._opened < OPENING:
            self.gripper = 0

    def _change_scale(self, stick: tuple[float, float], seconds: float) -> None:
        right, back = stick
        if abs(back) > max(STICK_DEADZONE, abs(right)):
            change = (SCALE[1] / SCALE[0]) ** (-max(-1.0, min(back, 1.0)) * seconds / SCALE_SECONDS)
            self.scale = min(max(self.scale * change, SCALE[0]), SCALE[1])

    def _move(self, hand: Hand, *, frames: float, goes_on: bool) -> None:
        before, rotation_before = self._position, self._rotation
        pose = _usable_pose(hand)
        if pose is None:
            self._position = None
            return
        self._position, self._rotation = pose
        if before is None or not goes_on or not self.clutch:
            return
        moved, turned = self._position - before, self._rotation @ rotation_before.T
        angle = float(np.linalg.norm(rotation_vector(turned)))
        if float(np.linalg.norm(moved)) > JUMP[0] * frames or angle > JUMP[1] * frames:
            self.dropped += 1
            return
        self._sum = self._sum + self.scale * (self._to_base @ moved)
        self._turn = self._to_base @ turned @ self._to_base.T @ self._turn


def _usable_pose(hand: Hand) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Position (3,) in m and rotation (3, 3) in the reference space; None where they are missing or no numbers."""
    if hand.position is None:
        return None
    position, quaternion = np.array(hand.position, float), np.array(hand.orientation, float)
    if not (np.abs(position).max() < FAR and np.abs(quaternion).max() < 2.0):  # False for what is no number
        return None
    if float(np.linalg.norm(quaternion)) < 0.5:
        return None
    return position, quaternion_matrix(np.roll(quaternion, 1))
