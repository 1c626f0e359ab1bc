"""Goals: which are reached, how far it still is, and the next move."""

import numpy as np
import pytest

from gym_hil.teleop.scripted.pick_place import (
    PickPlaceGoal,
    PickPlacePlanner,
    SceneSnapshot,
    is_reached,
    remaining_distance,
)

PLACE = np.array([0.5, 0.1, 0.02])
LIFT = np.array([0, 0, 0.12])


def scene(*goals: PickPlaceGoal, tcp: tuple[float, float, float] = (0.4, 0, 0.2), closed: float = 0.0) -> SceneSnapshot:
    return SceneSnapshot(np.array(tcp), np.array(tcp), closed, closed, goals)


@pytest.mark.parametrize(
    ("offset", "put_down", "reached"),
    [
        ((0.019, -0.019, 0.005), True, True),
        ((0.021, 0, 0), True, False),
        ((0, 0, 0.05), True, False),
        ((0, 0, 0.005), False, True),
        ((0, 0, -0.05), False, False),
    ],
)
def test_goal_is_reached_where_the_object_should_be(
    offset: tuple[float, float, float], put_down: bool, reached: bool
) -> None:
    assert is_reached(PickPlaceGoal(PLACE + offset, PLACE, put_down)) is reached


def test_reached_goals_need_no_move() -> None:
    done = scene(PickPlaceGoal(PLACE, PLACE, True))
    assert PickPlacePlanner().plan(done) is None
    assert remaining_distance(done) == 0.0


def test_remaining_distance_falls_when_the_gripper_or_an_object_gets_nearer() -> None:
    far, near = PLACE - [0.2, 0, 0], PLACE - [0.1, 0, 0]
    start = remaining_distance(scene(PickPlaceGoal(far, PLACE, True)))
    assert remaining_distance(scene(PickPlaceGoal(far, PLACE, True), tcp=(0.35, 0.05, 0.1))) < start
    assert remaining_distance(scene(PickPlaceGoal(near, PLACE, True), tcp=(0.5, 0, 0.2))) < start


def test_nearest_object_comes_first_and_stays_the_current_one() -> None:
    left, right = (PickPlaceGoal(np.array([0.3, y, 0.02]), PLACE, True) for y in (0.2, -0.2))
    planner = PickPlacePlanner()
    for y in (0.1, -0.1):
        move = planner.plan(scene(left, right, tcp=(0.3, y, 0.2)))
        assert move is not None
        assert move.tcp_target[1] == 0.2


def test_low_gripper_beside_an_object_rises_before_it_crosses() -> None:
    move = PickPlacePlanner().plan(scene(PickPlaceGoal(PLACE, PLACE + LIFT, False), tcp=(0.4, 0.1, 0.02)))
    assert move is not None
    np.testing.assert_array_equal(move.tcp_target[:2], [0.4, 0.1])
    assert move.tcp_target[2] > 0.06


def test_closed_gripper_opens_before_it_goes_down() -> None:
    move = PickPlacePlanner().plan(scene(PickPlaceGoal(PLACE, PLACE + LIFT, False), tcp=(0.5, 0.1, 0.2), closed=1.0))
    assert move is not None
    assert move.gripper == -1
    assert move.tcp_target[2] > 0.06
