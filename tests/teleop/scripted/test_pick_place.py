"""Errands: what is done, and what is left to do."""

import numpy as np
import pytest

from gym_hil.teleop.scripted.pick_place import Carrier, Errand, View, effort, is_done

PLACE = np.array([0.5, 0.1, 0.02])
LIFT = np.array([0, 0, 0.12])


def view(*errands: Errand, hand: tuple[float, float, float] = (0.4, 0, 0.2), closed: float = 0.0) -> View:
    return View(np.array(hand), np.array(hand), closed, closed, errands)


@pytest.mark.parametrize(
    ("off", "put_down", "done"),
    [
        ((0.019, -0.019, 0.005), True, True),
        ((0.021, 0, 0), True, False),
        ((0, 0, 0.05), True, False),
        ((0, 0, 0.005), False, True),
        ((0, 0, -0.05), False, False),
    ],
)
def test_thing_is_done_where_it_belongs(off: tuple[float, float, float], put_down: bool, done: bool) -> None:
    assert is_done(Errand(PLACE + off, PLACE, put_down)) is done


def test_nothing_left_to_do_is_no_wish_and_no_effort() -> None:
    done = view(Errand(PLACE, PLACE, True))
    assert Carrier().decide(done) is None
    assert effort(done) == 0.0


def test_effort_falls_when_the_hand_or_a_thing_gets_nearer() -> None:
    far, near = PLACE - [0.2, 0, 0], PLACE - [0.1, 0, 0]
    start = effort(view(Errand(far, PLACE, True)))
    assert effort(view(Errand(far, PLACE, True), hand=(0.35, 0.05, 0.1))) < start
    assert effort(view(Errand(near, PLACE, True), hand=(0.5, 0, 0.2))) < start


def test_nearest_thing_comes_first_and_stays_the_goal() -> None:
    left, right = (Errand(np.array([0.3, y, 0.02]), PLACE, True) for y in (0.2, -0.2))
    carrier = Carrier()
    assert carrier.decide(view(left, right, hand=(0.3, 0.1, 0.2))).aim[1] == 0.2
    assert carrier.decide(view(left, right, hand=(0.3, -0.1, 0.2))).aim[1] == 0.2


def test_low_hand_beside_a_thing_rises_before_it_crosses() -> None:
    wish = Carrier().decide(view(Errand(PLACE, PLACE + LIFT, False), hand=(0.4, 0.1, 0.02)))
    assert wish is not None
    np.testing.assert_array_equal(wish.aim[:2], [0.4, 0.1])
    assert wish.aim[2] > 0.06


def test_closed_gripper_opens_before_it_goes_down() -> None:
    wish = Carrier().decide(view(Errand(PLACE, PLACE + LIFT, False), hand=(0.5, 0.1, 0.2), closed=1.0))
    assert wish is not None
    assert wish.gripper == -1
    assert wish.aim[2] > 0.06
