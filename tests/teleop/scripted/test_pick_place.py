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
DOWN = np.diag([1.0, -1.0, -1.0])  # a tool that points down, the fingers along y


def scene(*goals: PickPlaceGoal, tcp: tuple[float, float, float] = (0.4, 0, 0.2), closed: float = 0.0) -> SceneSnapshot:
    return SceneSnapshot(np.array(tcp), np.array(tcp), DOWN, DOWN, closed, closed, goals)


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


@pytest.mark.parametrize(("yaw", "turn"), [(0.3, 0.3), (0.3 + np.pi / 2, 0.3), (-0.3 - np.pi, -0.3)])
def test_tool_turns_the_short_way_onto_the_sides_before_it_goes_down(yaw: float, turn: float) -> None:
    goal = PickPlaceGoal(PLACE, PLACE + LIFT, False, object_yaw=yaw)
    move = PickPlacePlanner(turns=True).plan(scene(goal, tcp=(0.5, 0.1, 0.02)))
    assert move is not None
    np.testing.assert_allclose(move.rotation, [0, 0, turn], atol=1e-9)
    assert (move.tcp_target[2] > 0.06, move.gripper) == (True, 0)


def test_object_goes_into_a_socket_only_when_it_is_aligned_with_it() -> None:
    above = PickPlaceGoal(
        PLACE + np.array([0.005, 0, 0.05]), PLACE, True, object_yaw=0.0, goal_yaw=0.0, socket_depth=0.025
    )
    planner = PickPlacePlanner(turns=True)
    heights = []
    for object_ in (above.object, PLACE + np.array([0, 0, 0.05])):
        held = scene(above._replace(object=object_), tcp=tuple(object_), closed=0.5)._replace(gripper_command=1.0)
        planner.plan(held)  # sees the fingers at rest the second time
        move = planner.plan(held)
        assert move is not None
        heights.append(move.tcp_target[2] - object_[2])
    assert heights[0] > -0.006
    assert heights[1] == pytest.approx(-0.01)
