"""A tracked hand: what adds up while the clutch is squeezed, and what never does."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_hil.teleop.hand_tracking import GAP, JUMP, SCALE, WEBXR_TO_BASE, Displacement, Hand, HandTracking
from tests.teleop.clock import Clock

FRAME = 1000 / 72  # ms
REST = Hand(0.0, "right", (0.1, 1.2, -0.3), (0.0, 0.0, 0.0, 1.0), 0.0, 0.0, 0.0, (0.0, 0.0))
ANGLES = st.floats(-math.pi, math.pi)


def about(axis: np.ndarray, angle: float) -> np.ndarray:
    """Quaternion, w last."""
    return np.append(np.sin(angle / 2) * axis / np.linalg.norm(axis), np.cos(angle / 2))


def matrix(quaternion: np.ndarray) -> np.ndarray:
    x, y, z, w = quaternion
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * skew + 2 * skew @ skew


def angle_between(one: np.ndarray, other: np.ndarray) -> float:
    """Degrees."""
    return math.degrees(math.acos(np.clip((np.trace(one @ other.T) - 1) / 2, -1, 1)))


class Wearer:
    """A hand that is measured 72 times a second, by a connection without delay unless a test says otherwise."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.tracking = HandTracking(self.clock)
        self.hand = REST

    def show(self, seconds: float = FRAME / 1000, **changes: object) -> None:
        """A frame, so many seconds after the one before."""
        self.clock.now += seconds
        self.hand = replace(self.hand, time=self.hand.time + 1000 * seconds, **changes)  # type: ignore[arg-type]
        self.tracking.update(self.hand)

    def squeeze(self, **changes: object) -> None:
        self.show(squeeze=0.0, **changes)
        self.show(squeeze=1.0, **changes)

    def move(self, by: np.ndarray, turn: np.ndarray | None = None, frames: int = 30) -> None:
        """Move steadily, and turn by a rotation vector, in the reference space."""
        start, angle = np.array(self.hand.position), 0.0 if turn is None else float(np.linalg.norm(turn))
        before = self.hand.orientation
        for share in np.linspace(0, 1, frames + 1)[1:]:
            quaternion = before if turn is None else multiply(about(turn, share * angle), np.array(before))
            self.show(position=tuple(start + share * by), orientation=tuple(quaternion))

    def taken(self) -> Displacement:
        return self.tracking.take()


def multiply(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    a, b = one[:3], other[:3]
    return np.append(one[3] * b + other[3] * a + np.cross(a, b), one[3] * other[3] - a @ b)


@pytest.fixture
def wearer() -> Wearer:
    return Wearer()


def test_squeezing_alone_moves_nothing(wearer: Wearer) -> None:
    wearer.move(np.array([0.3, 0.1, 0.2]))
    wearer.squeeze()
    clutch, position, rotation = wearer.taken()
    assert clutch == 1
    assert np.abs(position).max() < 1e-12
    np.testing.assert_array_equal(rotation, np.eye(3))


@pytest.mark.parametrize(
    ("webxr", "base"), [((0, 0, -0.2), (0.2, 0, 0)), ((-0.2, 0, 0), (0, 0.2, 0)), ((0, 0.2, 0), (0, 0, 0.2))]
)
def test_forward_left_and_up_are_those_of_the_robot(wearer: Wearer, webxr: tuple, base: tuple) -> None:
    wearer.squeeze()
    wearer.move(np.array(webxr))
    np.testing.assert_allclose(wearer.taken().position, base, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(
    st.tuples(*[st.floats(-0.4, 0.4)] * 3),
    st.tuples(*[st.floats(-1.5, 1.5)] * 3).filter(lambda turn: np.linalg.norm(turn) > 1e-3),
    ANGLES,
    st.floats(*SCALE),
)
def test_tool_follows_hand_wherever_the_operator_looks(moved: tuple, turned: tuple, yaw: float, scale: float) -> None:
    wearer = Wearer()
    wearer.tracking.scale = scale
    wearer.squeeze(yaw=yaw, orientation=tuple(about(np.array([1.0, 2.0, 3.0]), 1.0)))
    # What the operator does forward, left and up, whichever way they look.
    here = matrix(about(np.array([0.0, 1.0, 0.0]), yaw))
    wearer.move(here @ np.array(moved), here @ np.array(turned), frames=60)
    _, position, rotation = wearer.taken()
    assert np.linalg.norm(position - scale * WEBXR_TO_BASE @ moved) < 1e-3
    wanted = matrix(about(WEBXR_TO_BASE @ turned, float(np.linalg.norm(turned))))
    assert angle_between(rotation, wanted) < 0.5


def test_yaw_is_that_of_the_squeeze(wearer: Wearer) -> None:
    wearer.squeeze(yaw=math.pi / 2)
    wearer.show(yaw=0.0)
    wearer.move(np.array([-0.1, 0.0, 0.0]))  # forward for who looks left
    np.testing.assert_allclose(wearer.taken().position, [0.1, 0, 0], atol=1e-12)


def test_hand_is_brought_back_between_two_squeezes(wearer: Wearer) -> None:
    for squeeze in (1, 2):
        wearer.squeeze()
        wearer.move(np.array([0.0, 0.0, -0.1]))
        clutch, position, _ = wearer.taken()
        assert clutch == squeeze
        np.testing.assert_allclose(position, [0.1, 0, 0], atol=1e-12)
        wearer.show(squeeze=0.0)
        wearer.move(np.array([0.0, 0.0, 0.1]), np.array([0.5, 0.0, 0.0]))
        assert wearer.taken().clutch == 0


def test_clutch_does_not_tremble(wearer: Wearer) -> None:
    squeezes = []
    for value in (0.3, 0.49, 0.51, 0.45, 0.51, 0.39, 0.49, 0.51):
        wearer.show(squeeze=value)
        squeezes.append(wearer.tracking.clutch)
    assert squeezes == [0, 0, 1, 1, 1, 0, 0, 2]


def test_trigger_closes_and_opens_with_hysteresis_and_only_what_it_closed(wearer: Wearer) -> None:
    gripper = []
    for value in (0.0, 0.5, 0.61, 0.4, 0.29, 0.5, 0.61):
        wearer.show(trigger=value)
        gripper.append(wearer.tracking.gripper)
    assert gripper == [0, 0, 1, 1, -1, -1, 1]
    wearer.show(trigger=0.0)
    wearer.show(0.49)
    assert wearer.tracking.gripper == -1
    wearer.show(0.02)
    assert wearer.tracking.gripper == 0


def test_stick_changes_the_scale_between_its_limits(wearer: Wearer) -> None:
    def hold(stick: tuple[float, float]) -> float:
        for _ in range(150):
            wearer.show(stick=stick)
        return wearer.tracking.scale

    assert hold((0.0, 1.0)) == SCALE[0]
    assert hold((0.0, 0.1)) == SCALE[0]
    assert hold((1.0, -0.9)) == SCALE[0]
    assert hold((0.0, -1.0)) == SCALE[1]


@pytest.mark.parametrize("turn", [None, JUMP[1] * 1.2])
def test_jump_of_the_tracking_is_dropped_and_so_is_the_way_back(wearer: Wearer, turn: float | None) -> None:
    wearer.squeeze()
    start = wearer.hand
    far = {"position": tuple(np.add(start.position, [JUMP[0] * 1.2, 0, 0]))} if turn is None else {}
    turned = {} if turn is None else {"orientation": tuple(about(np.array([0.0, 1.0, 0.0]), turn))}
    wearer.show(**far, **turned)
    wearer.show(position=start.position, orientation=start.orientation)
    wearer.move(np.array([0.0, 0.0, -0.1]))
    _, position, rotation = wearer.taken()
    np.testing.assert_allclose(position, [0.1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(rotation, np.eye(3), atol=1e-12)
    assert wearer.tracking.dropped == 2


@pytest.mark.parametrize(
    "lost",
    [
        {"position": None},
        {"position": (math.nan, 1.0, 0.0)},
        {"position": (math.inf, 1.0, 0.0)},
        {"orientation": (0.0, 0.0, 0.0, 0.0)},
        {"orientation": (0.0, math.nan, 0.0, 1.0)},
    ],
)
def test_hand_out_of_sight_holds_still_and_goes_on_without_a_jump(wearer: Wearer, lost: dict) -> None:
    wearer.squeeze()
    wearer.move(np.array([0.0, 0.0, -0.1]))
    for _ in range(10):
        wearer.show(**lost)
    elsewhere = (0.12, 1.21, -0.41)
    wearer.show(position=elsewhere, orientation=REST.orientation)
    np.testing.assert_allclose(wearer.taken().position, [0.1, 0, 0], atol=1e-12)
    wearer.move(np.array([0.0, 0.0, -0.1]))
    assert wearer.taken().clutch == 1
    assert wearer.tracking.dropped == 0


def test_other_hand_takes_over_without_a_jump(wearer: Wearer) -> None:
    wearer.squeeze()
    wearer.show(side="left", position=(0.11, 1.2, -0.3))
    np.testing.assert_array_equal(wearer.taken().position, np.zeros(3))
    wearer.move(np.array([0.0, 0.1, 0.0]))
    np.testing.assert_allclose(wearer.taken().position, [0, 0, 0.1], atol=1e-12)


def test_frames_of_the_past_are_ignored(wearer: Wearer) -> None:
    wearer.squeeze()
    wearer.tracking.update(replace(wearer.hand, time=wearer.hand.time - 20, position=(0.12, 1.2, -0.3), squeeze=0.0))
    assert wearer.taken().clutch == 1
    np.testing.assert_array_equal(wearer.taken().position, np.zeros(3))


def test_page_that_was_loaded_again_has_a_clock_of_its_own(wearer: Wearer) -> None:
    wearer.hand = replace(wearer.hand, time=1e6)
    wearer.squeeze()
    wearer.hand = replace(REST, time=10.0)
    wearer.squeeze()
    wearer.move(np.array([0.0, 0.0, -0.1]))
    np.testing.assert_allclose(wearer.taken().position, [0.1, 0, 0], atol=1e-12)


def test_what_a_silent_connection_held_up_does_not_move_the_tool_when_it_is_back(wearer: Wearer) -> None:
    wearer.squeeze()
    wearer.clock.now += 1.0
    # Everything that was measured meanwhile arrives at once.
    position, count = np.array(wearer.hand.position), 71
    for frame in range(count):
        late = replace(
            wearer.hand,
            time=wearer.hand.time + (frame + 1) * FRAME,
            position=tuple(np.add(position, [0, 0, -0.004 * (frame + 1)])),
        )
        wearer.tracking.update(late)
    moved = wearer.taken().position
    assert 0 <= moved[0] < 0.004 * 9  # the last tenth of a second may count
    wearer.hand = late
    wearer.move(np.array([0.0, 0.0, -0.1]))
    np.testing.assert_allclose(wearer.taken().position, [0.1, 0, 0], atol=1e-12)


def test_pause_of_the_headset_itself_starts_anew(wearer: Wearer) -> None:
    wearer.squeeze()
    wearer.show(GAP + 0.01, position=(0.1, 1.2, -0.6))
    np.testing.assert_array_equal(wearer.taken().position, np.zeros(3))


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            Hand,
            time=st.one_of(st.floats(0, 1e5), NUMBERS),
            side=st.sampled_from(["left", "right"]),
            position=st.one_of(st.none(), st.tuples(*[NUMBERS] * 3), st.tuples(*[st.floats(-2, 2)] * 3)),
            orientation=st.one_of(st.tuples(*[NUMBERS] * 4), st.just(REST.orientation)),
            yaw=NUMBERS.filter(math.isfinite),
            squeeze=st.one_of(st.sampled_from([0.0, 1.0]), NUMBERS),
            trigger=NUMBERS,
            stick=st.tuples(NUMBERS, NUMBERS),
        ),
        max_size=12,
    )
)
def test_whatever_is_sent_the_displacement_is_finite_and_the_scale_in_its_limits(hands: list[Hand]) -> None:
    wearer = Wearer()
    for hand in hands:
        wearer.clock.now += 0.01
        wearer.tracking.update(hand)
        clutch, position, rotation = wearer.taken()
        assert np.isfinite(position).all()
        assert np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-6
        assert SCALE[0] <= wearer.tracking.scale <= SCALE[1]
        assert clutch or not position.any()
