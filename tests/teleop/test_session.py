"""Waiting, ready, running and outcome: what starts an episode, and what the operator decides between episodes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gym_hil  # noqa: F401
from gym_hil.status import StatusLine
from gym_hil.teleop import Button, InputDevice
from gym_hil.teleop import session as session_module
from gym_hil.teleop.session import Choice, OperatorSession


class Clock:
    """Time that advances by sleeping only; a script says what happens when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.script: list[tuple[float, Callable[[], Any]]] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < 100, "waited in vain"
        while self.script and self.script[0][0] <= self.now:
            self.script.pop(0)[1]()


class Board:
    """What a page would show."""

    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []
        self.farewell = ""

    def set_session(self, **fields: Any) -> None:
        self.shown.append(fields)

    def note_stop(self, on: bool) -> None:
        self.stopped = on

    def discard_last_episode(self) -> None:
        self.shown.append({"phase": "discarded"})


class Stage(gym.Wrapper[Any, Any, Any, Any]):
    """An environment with a page."""

    channel: Any = None


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(session_module, "time", clock)
    return clock


@pytest.fixture
def device(clock: Clock) -> InputDevice:
    return InputDevice(clock=clock.monotonic, silence_timeout=1e9)


@pytest.fixture
def make(device: InputDevice) -> Iterator[Callable[..., OperatorSession]]:
    made: list[Stage] = []

    def make_one(**options: Any) -> OperatorSession:
        stage = Stage(gym.make("gym_hil/PandaPickCube-v0", device=device, reset_delay_seconds=0))
        stage.channel = Board()
        made.append(stage)
        stage.reset(seed=0)
        status = StatusLine(io.StringIO(), interval=0.0, clock=lambda: 0.0)
        options = {"activity": "recording", "has_policy": False, "dataset": "me/pick", "episodes": 4, **options}
        session = OperatorSession(stage, status, **options)
        session.prepare(1)
        return session

    yield make_one
    for stage in made:
        stage.close()


def phases(session: OperatorSession) -> list[str]:
    return [fields["phase"] for fields in session._channel.shown]


def test_the_first_motion_of_an_operator_who_has_taken_over_starts(make, device, clock):
    session = make()
    device.inputs.set_motion(np.zeros(6))
    clock.script = [
        (5.0, lambda: device.inputs.tap(Button.SUCCESS)),  # there, and no more than that
        (6.0, lambda: device.inputs.set_motion([1, 0, 0, 0, 0, 0])),  # not taken over
        (7.0, lambda: device.inputs.set_motion(np.zeros(6))),
        (8.0, lambda: device.inputs.tap(Button.INTERVENE)),
        (9.0, lambda: device.inputs.set_motion([0, 0, 1, 0, 0, 0])),
    ]
    assert session.wait_until_ready() is Choice.GO
    assert clock.now == pytest.approx(9.0, abs=0.1)
    shown = [(fields["phase"], fields["waiting"]) for fields in session._channel.shown[1:]]
    assert shown == [
        ("waiting", session_module.DEVICE_WAITS),
        ("ready", "take over and move to start"),
        ("ready", "move to start"),
    ]


def test_a_countdown_starts_when_the_operator_is_there_and_not_while_stopped(make, device, clock):
    session = make(countdown=3.0)
    clock.script = [(5.0, lambda: device.inputs.tap(Button.STOP)), (20.0, lambda: device.inputs.tap(Button.STOP))]
    assert session.wait_until_ready() is Choice.GO
    assert clock.now == pytest.approx(23.0, abs=0.1)


def test_with_a_policy_the_operator_is_waited_for_and_nothing_else(make, device, clock):
    session = make(has_policy=True)
    clock.script = [(5.0, lambda: device.inputs.tap(Button.FAILURE))]
    assert session.wait_until_ready() is Choice.GO
    assert clock.now == pytest.approx(5.0, abs=0.1)


def test_after_an_episode_that_was_not_driven_the_first_motion_is_waited_for(make, device, clock):
    session = make(countdown=0.0)
    device.inputs.tap(Button.INTERVENE)
    session.note_undriven()
    clock.script = [(9.0, lambda: device.inputs.tap(Button.FORWARD))]
    assert session.wait_until_ready() is Choice.GO
    assert clock.now == pytest.approx(9.0, abs=0.1)


@pytest.mark.parametrize(
    ("button", "choice"), [(Button.DELETE_LAST, Choice.DELETE), (Button.QUIT, Choice.QUIT), (Button.RERECORD, None)]
)
def test_between_episodes_the_last_one_can_be_deleted_and_the_recording_ended(make, device, clock, button, choice):
    session = make()
    session.last = "episode 1"
    clock.script = [
        (1.0, lambda: device.inputs.tap(button)),
        (2.0, lambda: device.inputs.tap(button)),
        (3.0, lambda: device.inputs.tap(Button.INTERVENE)),
        (3.5, lambda: device.inputs.tap(Button.FORWARD)),
    ]
    assert session.wait_until_ready() is (choice or Choice.GO)
    assert session._channel.shown[1]["choices"] == ["DELETE_LAST", "QUIT"]


def test_nothing_is_deleted_where_nothing_was_recorded(make, device, clock):
    session = make()
    clock.script = [(1.0, lambda: [device.inputs.tap(Button.DELETE_LAST) for _ in range(2)])]
    clock.script += [(2.0, lambda: [device.inputs.tap(Button.QUIT) for _ in range(2)])]
    assert session.wait_until_ready() is Choice.QUIT
    assert session._channel.shown[1]["choices"] == ["QUIT"]


@pytest.mark.parametrize(
    ("button", "presses", "choice"),
    [
        (Button.SUCCESS, 1, Choice.GO),
        (Button.RERECORD, 1, Choice.AGAIN),
        (Button.DELETE_LAST, 2, Choice.DELETE),
        (Button.QUIT, 2, Choice.QUIT),
    ],
)
def test_an_episode_is_kept_recorded_again_or_deleted(make, device, clock, button, presses, choice):
    session = make()
    clock.script = [(1.0 + number, lambda: device.inputs.tap(button)) for number in range(presses)]
    assert session.decide("episode 1 of 4: success after 9 steps", is_last=False) is choice
    assert clock.now == pytest.approx(float(presses), abs=0.1)
    assert session._channel.shown[-1]["outcome"] == "episode 1 of 4: success after 9 steps"


@pytest.mark.parametrize("is_last", [False, True])
def test_an_episode_is_kept_after_a_while_but_not_between_two_presses(make, device, clock, is_last):
    session = make()
    seconds = session_module.LAST_DECISION_SECONDS if is_last else session_module.DECISION_SECONDS
    clock.script = [(seconds - 0.5, lambda: device.inputs.tap(Button.DELETE_LAST))]
    assert session.decide("episode 1", is_last=is_last) is Choice.GO
    assert clock.now == pytest.approx(seconds - 0.5 + 3.0, abs=0.1)


def test_a_program_is_not_waited_for(clock):
    env = gym.make("gym_hil/PandaPickCube-v0", device="scripted")
    session = OperatorSession(env, StatusLine(io.StringIO()), activity="recording", has_policy=False, countdown=5.0)
    session.prepare(1)
    assert session.wait_until_ready() is Choice.GO
    assert session.decide("episode 1", is_last=True) is Choice.GO
    assert clock.now == 0
    env.close()


def test_emergency_stop_and_what_is_pending_are_noted(make, device, clock):
    session = make()
    env = session._env
    device.inputs.tap(Button.STOP)
    _, _, _, _, info = env.step(env.action_space.sample())
    assert info["is_intervention"]
    device.inputs.tap(Button.RERECORD)
    device.inputs.tap(Button.SUCCESS)
    assert session.notes() == ["ends as a success at the next step", session_module.STOPPED]
