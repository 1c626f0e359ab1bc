"""How to carry things to their places with a two-finger gripper, decided anew from each look at the scene.

Nothing is remembered but which thing is being carried, so it does not matter who moved the arm or the things before: a
thing that was pushed is followed, one that was dropped is picked up again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Point = NDArray[np.float64]  # (3,) m

HOVER = 0.06  # m above a thing's centre: open fingers pass over a thing of 4 cm
CARRY = 0.05  # m above its place: a carried thing passes over the others
ALIGNED = 0.012  # m beside a thing that still fit between the fingers with room to spare
BESIDE = 0.03  # m; further off than this, a low hand would push the thing away
LEVEL = 0.01  # m off a thing's height at which the fingers still meet it well
PLACED = 0.02  # m off its place, in x and in y, that counts as there
LANDED = 0.012  # m above the height at which it stands
FUNNEL = 3.0  # how much higher than its goal the hand stays for each metre beside it
NEAR = 0.035  # m from the hand: between the fingers, or touched by them


class Errand(NamedTuple):
    """A thing and where it belongs.

    Attributes:
        thing: (3,) m, its centre.
        place: (3,) m, where its centre should be.
        put_down: True if it should be let go there, False if held.
    """

    thing: Point
    place: Point
    put_down: bool


class View(NamedTuple):
    """What can be seen of the scene at one moment.

    Attributes:
        hand: (3,) m, the point between the finger tips.
        aim: (3,) m, where the controller pulls it to.
        command: what the gripper was told, 0 open to 1 closed.
        closed: how far it really is.
        errands: everything that there is to do.
    """

    hand: Point
    aim: Point
    command: float
    closed: float
    errands: Sequence[Errand]


class Wish(NamedTuple):
    """What to do next.

    Attributes:
        aim: (3,) m, where the hand should go.
        gripper: -1 opens, 0 leaves, +1 closes.
    """

    aim: Point
    gripper: int


class Carrier:
    """Does the errands one after the other, the nearest first."""

    def __init__(self) -> None:
        self._current = 0
        self._closed_before = 0.0

    def reset(self) -> None:
        """Forget the last episode."""
        self._current, self._closed_before = 0, 0.0

    def decide(self, view: View) -> Wish | None:
        """The next thing to do, or None when everything is done."""
        # Fingers that have nearly stopped short of each other hold something.
        stopped = abs(view.closed - self._closed_before) < 0.1
        self._closed_before = view.closed
        errand = self._choose(view)
        if errand is None:
            return None
        between = _distance(errand.thing, view.hand) < NEAR
        if view.command > 0.5 and between:
            if not stopped:
                return Wish(view.aim, 0)
            if view.closed < 0.9:
                return Wish(_carry(errand, view), 0)
        return _fetch(errand, view)

    def _choose(self, view: View) -> Errand | None:
        open_ones = [k for k, errand in enumerate(view.errands) if not is_done(errand)]
        if not open_ones:
            return None
        if self._current not in open_ones:
            self._current = min(open_ones, key=lambda k: _distance(view.errands[k].thing, view.hand))
        return view.errands[self._current]


def is_done(errand: Errand) -> bool:
    """True when the thing is where it belongs."""
    x, y, z = (errand.thing - errand.place).tolist()
    if errand.put_down:
        return max(abs(x), abs(y)) < PLACED and z < LANDED
    return math.hypot(x, y, z) < LANDED


def effort(view: View) -> float:
    """How far everything still has to go, in m: the things to their places, and the hand to the nearest of them."""
    left = [errand for errand in view.errands if not is_done(errand)]
    if not left:
        return 0.0
    things = sum(_distance(errand.thing, errand.place) for errand in left)
    return things + min(_distance(errand.thing, view.hand) for errand in left)


def _carry(errand: Errand, view: View) -> Point:
    """Where the hand should go with a thing in it."""
    aim = errand.place + (view.hand - errand.thing)
    if errand.put_down:
        off = math.hypot(*(errand.place - errand.thing)[:2])
        aim[2] += min(max(FUNNEL * (off - ALIGNED), 0.0), CARRY)
    return aim


def _fetch(errand: Errand, view: View) -> Wish:
    """How to get at a thing."""
    off = view.hand - errand.thing
    beside = math.hypot(off[0], off[1])
    if view.closed > 0.25 and any(_distance(one.thing, view.hand) < NEAR for one in view.errands):
        return Wish(view.aim, -1)  # first let go of whatever is between the fingers
    aim = errand.thing.copy()
    is_open = view.closed < 0.15
    aim[2] += min(max(FUNNEL * (beside - ALIGNED), 0.0), HOVER) if is_open else HOVER
    if beside > BESIDE and off[2] < HOVER - 0.02:
        aim[:2] = view.aim[:2]  # rise first
    if is_open and beside < ALIGNED and abs(off[2]) < LEVEL:
        return Wish(aim, 1)
    return Wish(aim, -1 if view.command > 0.02 else 0)


def _distance(a: Point, b: Point) -> float:
    return math.dist(a, b)
