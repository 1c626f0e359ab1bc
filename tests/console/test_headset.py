"""A headset drives the robot: whole episodes by its messages, and what must never happen on the way."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gym_hil
from gym_hil.console import Console
from gym_hil.console.headset import FULL_STEP
from gym_hil.console.messages import Input, decode
from gym_hil.teleop import Button, Event, InputDevice
from gym_hil.teleop.hand_tracking import Hand
from tests.teleop.clock import Clock
from tests.teleop.test_hand_tracking import angle_between

SESSION = Path(__file__).parents[1] / "data" / "headset_session.json"
STAY = np.array([0, 0, 0, 0, 0, 0, 1], np.float32)
RATE = 60  # messages a second
STEP = 0.1  # s
DOWN = (0.0, 0.0, 0.0, 1.0)


class Operator:
    """Wears a headset that sends `RATE` messages a second while the environment makes steps of `STEP`.

    Attributes:
        delay: draws a message's way, in s; None for one that is lost.
    """

    def __init__(self, env: Any, clock: Clock):
        self.env, self.clock = env, clock
        self.device = env.get_wrapper_attr("device")
        self.base = env.unwrapped
        self.hand = Hand(0.0, "right", (0.0, 1.2, -0.3), DOWN, 0.0, 0.0, 0.0, (0.0, 0.0))
        self.delay: Any = lambda: 0.0
        self.under_way: list[tuple[float, Input]] = []
        self.info: dict[str, Any] = {}
        self.targets = [self.base.tcp_target]
        self.talks = True

    def send(self, hand: Hand | None, **changes: Any) -> None:
        fields: dict[str, Any] = {"motion": (0.0,) * 6, "held": [], "changes": [], **changes}
        way = self.delay()
        if way is not None and self.talks:
            # One connection keeps the order, so what is slow holds up what comes after it.
            arrival = max([self.clock.now + way, *(at for at, _ in self.under_way)])
            self.under_way.append((arrival, Input(time=1000 * self.clock.now, hand=hand, **fields)))
        while self.under_way and self.under_way[0][0] <= self.clock.now:
            self.device.receive(self.under_way.pop(0)[1])

    def step(self, steps: int = 1, **changes: Any) -> None:
        """Let the hand change steadily within so many steps."""
        start, goal = self.hand, replace(self.hand, **changes)
        count = round(steps * STEP * RATE)
        for number in range(1, count + 1):
            share = number / count
            self.clock.now += 1 / RATE
            self.hand = replace(goal, time=1000 * self.clock.now)
            if start.position is not None and goal.position is not None:
                at = np.array(start.position) * (1 - share) + np.array(goal.position) * share
                self.hand = replace(self.hand, position=tuple(at))
            self.send(self.hand)
            if number % round(STEP * RATE) == 0:
                self.make_step()

    def make_step(self) -> None:
        *_, terminated, truncated, self.info = self.env.step(STAY)
        self.targets.append(self.base.tcp_target)
        self.info["over"] = terminated or truncated

    def idle(self, seconds: float) -> None:
        """Send nothing."""
        for _ in range(round(seconds / STEP)):
            self.clock.now += STEP
            self.make_step()

    def reach(self, goal: Any, *, within: float = 0.001, steps: int = 40) -> None:
        """Move the hand as the robot has to move, until the tool is there; the hand is brought back in between."""
        for _ in range(steps):
            way = np.array(goal) - self.base.tcp_target
            if np.linalg.norm(way) < within and np.linalg.norm(np.array(goal) - self.base.tcp_position) < 0.004:
                return
            x, y, z = np.clip(way, -0.02, 0.02)
            a, b, c = self.hand.position
            self.step(position=(a - y, b + z, c - x), squeeze=1.0)
        raise AssertionError(f"still {np.array(goal) - self.base.tcp_position} m away")

    def largest_step(self) -> float:
        return float(np.abs(np.diff(self.targets, axis=0)).max())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(console: Console, clock: Clock) -> Iterator[Any]:
    envs = []

    def made(id_: str = "gym_hil/PandaPickCubeMetaQuest-v1", seed: int = 0, **options: Any) -> Operator:
        env = gym.make(id_, device_options={"clock": clock}, reset_delay_seconds=0, **options)
        envs.append(env)
        env.reset(seed=seed)
        operator = Operator(env, clock)
        operator.step()
        return operator

    yield made
    for env in envs:
        env.close()


@pytest.fixture
def operator(make: Any) -> Operator:
    return make()


def test_cube_is_picked_and_lifted(operator: Operator) -> None:
    pick(operator)
    assert operator.info["succeed"]


def test_recorded_session_picks_the_cube_again(make: Any, clock: Clock) -> None:
    operator = make("gym_hil/PandaPickCubeMetaQuest-v0")
    for entry in json.loads(SESSION.read_text(encoding="utf-8")):
        if entry == "step":
            operator.make_step()
            continue
        clock.now = entry["time"] / 1000
        fields = {"type": "input", "time": entry["time"], "motion": [0] * 6, "held": [], "changes": []}
        operator.device.receive(decode(json.dumps({**fields, "hand": entry})))
    assert operator.info["succeed"]


def test_second_headset_watches(console: Console, open_page: Any) -> None:
    env = gym.make("gym_hil/PandaPickCubeMetaQuest-v1", reset_delay_seconds=0)
    env.reset(seed=0)
    env.step(STAY)
    pages = [open_page().connect().watch(1).take(), open_page().connect().watch(1)]
    hand = asdict(Hand(1.0, "right", (0.0, 1.2, -0.3), DOWN, 0.0, 1.0, 0.0, (0.0, 0.0)))
    engaged = []
    for page in reversed(pages):
        page.send(type="input", time=1.0, motion=[0] * 6, held=[], changes=[], hand=hand)
        page.sync()
        engaged.append(env.step(STAY)[4]["is_intervention"])
    assert engaged == [False, True]
    env.close()


def pick(operator: Operator) -> None:
    cube = operator.base.environment_state()[:3]
    operator.reach(np.add(cube, [0, 0, 0.06]))
    operator.reach(cube)
    operator.step(5, trigger=1.0)
    for _ in range(12):
        a, b, c = operator.hand.position  # type: ignore[misc]
        operator.step(position=(a, b + 0.02, c))
        if operator.info["over"]:
            return


def test_squeezing_takes_over_and_moves_nothing(operator: Operator) -> None:
    before = operator.base.tcp_target
    assert not operator.info["is_intervention"]
    operator.step(squeeze=1.0)
    assert operator.info["is_intervention"]
    assert np.abs(operator.base.tcp_target - before).max() < 1e-4
    assert angle_between(operator.base.tcp_rotation_target, operator.base.tcp_rotation) < 1.0


def test_tool_moves_and_turns_as_the_hand_does(operator: Operator) -> None:
    operator.step(squeeze=1.0)
    before, turned = operator.base.tcp_target, operator.base.tcp_rotation_target
    half = math.radians(40) / 2
    operator.step(1, position=(0.0, 1.25, -0.36))
    # Frames of 5 degrees each about the vertical.
    for degrees in range(5, 45, 5):
        half = math.radians(degrees) / 2
        operator.clock.now += 1 / RATE
        operator.hand = replace(
            operator.hand, time=1000 * operator.clock.now, orientation=(0.0, math.sin(half), 0.0, math.cos(half))
        )
        operator.send(operator.hand)
    operator.step(12)
    assert np.linalg.norm(operator.base.tcp_target - before - [0.06, 0, 0.05]) < 0.001
    cos, sin = math.cos(2 * half), math.sin(2 * half)
    wanted = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ turned
    assert angle_between(operator.base.tcp_rotation_target, wanted) < 0.5


def test_operator_goes_on_driving_while_the_hand_is_brought_back(operator: Operator) -> None:
    operator.step(squeeze=1.0)
    operator.step(4, position=(0.0, 1.2, -0.4))
    reached = operator.base.tcp_target
    operator.step(squeeze=0.0)
    operator.step(4, position=(0.0, 1.2, -0.3))
    np.testing.assert_array_equal(operator.base.tcp_target, reached)
    assert operator.info["is_intervention"]
    operator.step(squeeze=1.0)
    np.testing.assert_array_equal(operator.base.tcp_target, reached)


@pytest.mark.parametrize(("mode", "after"), [("toggle", True), ("hold", False), ("auto", False)])
def test_modes_decide_what_letting_go_means(make: Any, mode: str, after: bool) -> None:
    operator = make(intervention=mode)
    operator.step(squeeze=1.0)
    assert operator.info["is_intervention"]
    operator.step(10)  # a hand at rest holds on
    assert operator.info["is_intervention"]
    operator.step(8, squeeze=0.0)
    assert operator.info["is_intervention"] == after


def test_buttons_of_the_controller_are_those_of_the_page(operator: Operator) -> None:
    bindings = operator.device.page_bindings(1, ())
    used = {"SUCCESS", "FAILURE", "RERECORD", "INTERVENE", "STOP", "DELETE_LAST", "QUIT"}
    assert set(bindings.headset.values()) == used
    assert {bindings.headset["stopped a"], bindings.headset["stopped b"]} == {"DELETE_LAST", "QUIT"}
    assert {row[0] for row in bindings.legend[0].rows} > {"squeeze (grip)", "trigger", "B or Y"}


def test_success_is_delivered_while_the_hand_drives(operator: Operator) -> None:
    operator.step(squeeze=1.0)
    operator.clock.now += 0.01
    operator.send(operator.hand, changes=[("press", Button.SUCCESS), ("release", Button.SUCCESS)])
    assert operator.device.poll().events == (Event.SUCCESS,)


def test_policys_cube_is_not_dropped_by_taking_over(operator: Operator) -> None:
    operator.step(squeeze=1.0)
    assert operator.info["action_intervention"][6] == 1.0
    operator.step(trigger=1.0)
    assert operator.info["action_intervention"][6] == 2.0
    operator.step(trigger=0.0)
    assert operator.info["action_intervention"][6] == 0.0
    operator.step(8)
    assert operator.info["action_intervention"][6] == 1.0


def test_hand_that_moves_during_an_emergency_stop_moves_nothing_afterwards(operator: Operator) -> None:
    stop = [("press", Button.STOP), ("release", Button.STOP)]
    operator.step(squeeze=1.0)
    operator.send(operator.hand, changes=stop)
    before = operator.base.tcp_target
    operator.step(4, position=(0.1, 1.2, -0.4))
    operator.send(operator.hand, changes=stop)
    operator.step(3)
    assert operator.info["is_intervention"]
    np.testing.assert_array_equal(operator.base.tcp_target, before)
    operator.step(3, position=(0.1, 1.2, -0.43))
    assert np.linalg.norm(operator.base.tcp_target - before) == pytest.approx(0.03, abs=0.002)


def test_hand_out_of_sight_stops_the_tool_and_nothing_else(operator: Operator) -> None:
    operator.step(squeeze=1.0)
    operator.step(4, position=(0.0, 1.2, -0.4))
    operator.step(2)
    before = operator.base.tcp_target
    operator.step(30, position=None)
    assert operator.info["is_intervention"]
    np.testing.assert_array_equal(operator.base.tcp_target, before)
    operator.step(1, position=(0.3, 1.0, -0.2))
    np.testing.assert_array_equal(operator.base.tcp_target, before)


@pytest.mark.parametrize(("seconds", "drives"), [(1.0, True), (3.0, False)])
def test_session_that_is_back_in_time_drives_on(operator: Operator, seconds: float, drives: bool) -> None:
    operator.step(squeeze=1.0)
    operator.step(4, position=(0.0, 1.2, -0.4))
    for _ in range(round(seconds / STEP)):  # the page is open, the session is not
        for _ in range(round(STEP * RATE)):
            operator.clock.now += 1 / RATE
            operator.send(None)
        operator.make_step()
    before = operator.base.tcp_target
    operator.step(position=(0.2, 1.0, -0.2), squeeze=0.0)
    assert operator.info["is_intervention"] == drives
    np.testing.assert_array_equal(operator.base.tcp_target, before)
    operator.step(squeeze=1.0)
    assert operator.info["is_intervention"]


def test_page_drives_after_the_session(operator: Operator) -> None:
    operator.step(squeeze=1.0)
    operator.clock.now += 0.01
    operator.send(None, held=[Button.FORWARD], changes=[("press", Button.FORWARD)])
    operator.make_step()
    assert operator.info["action_intervention"][0] == 1.0


@pytest.mark.parametrize("seed", range(4))
def test_radio_with_delays_and_losses_never_moves_faster_than_a_step(operator: Operator, seed: int) -> None:
    chance = random.Random(seed)
    operator.delay = lambda: None if chance.random() < 0.1 else chance.uniform(0, 0.3)
    operator.step(squeeze=1.0)
    for _ in range(15):
        a, b, c = operator.hand.position  # type: ignore[misc]
        operator.step(2, position=(a + chance.uniform(-0.1, 0.1), b + chance.uniform(-0.1, 0.1), c - 0.02))
    assert operator.largest_step() <= 0.025 + 1e-6
    assert operator.info["is_intervention"]
    # Silence: what is under way is lost as well.
    operator.under_way, operator.talks = [], False
    operator.idle(0.3)
    before = operator.base.tcp_target
    operator.idle(1.0)
    np.testing.assert_array_equal(operator.base.tcp_target, before)
    operator.talks, operator.delay = True, lambda: 0.08
    operator.step(4)
    a, b, c = operator.hand.position  # type: ignore[misc]
    operator.step(4, position=(a, b + 0.05, c))
    assert operator.info["is_intervention"]
    assert operator.base.tcp_target[2] > before[2] + 0.02
    assert operator.largest_step() <= 0.025 + 1e-6


def test_reset_under_a_squeezed_clutch_does_not_jump(operator: Operator) -> None:
    operator.step(squeeze=1.0)
    operator.step(4, position=(0.1, 1.2, -0.4))
    operator.env.reset(seed=0)
    before = operator.base.tcp_target
    operator.step(2)
    np.testing.assert_array_equal(operator.base.tcp_target, before)
    assert not operator.info["is_intervention"]


def test_touches_are_counted(operator: Operator) -> None:
    assert operator.device.page_status() == {"hand_scale": 1.0, "touches": 0}
    pick(operator)
    assert operator.device.page_status()["touches"] >= 2


def test_environment_that_does_not_say_where_its_tool_is_follows_the_hand(console: Console, clock: Clock) -> None:
    class Silent(gym.Env[Any, Any]):
        action_space = gym.spaces.Box(-1, 1, (3,), np.float32)
        observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)

        def __init__(self) -> None:
            self.moved = np.zeros(3)
            self.tcp_target = None

        def reset(self, **_: Any) -> Any:
            return np.zeros(2, np.float32), {}

        def step(self, action: Any) -> Any:
            self.moved += action * FULL_STEP[0]
            return np.zeros(2, np.float32), 0.0, False, False, {}

    env = gym_hil.wrap(Silent(), device="meta_quest", device_options={"clock": clock}, reset_delay_seconds=0)
    env.reset()
    device = env.get_wrapper_attr("device")
    hand = Hand(0.0, "right", (0.0, 1.0, 0.0), DOWN, 0.0, 1.0, 0.0, (0.0, 0.0))
    for frame in range(40):
        clock.now += 1 / RATE
        at = (0.0, 1.0 + 0.0025 * frame, 0.0)
        now = replace(hand, time=1000 * clock.now, position=at)
        device.receive(Input(time=now.time, motion=(0.0,) * 6, held=[], changes=[], hand=now))
        if frame % 6 == 5:
            env.step(np.zeros(3, np.float32))
    env.step(np.zeros(3, np.float32))
    np.testing.assert_allclose(env.unwrapped.moved, [0, 0, 0.0975], atol=1e-6)
    env.close()


@pytest.mark.parametrize("alias", ["meta_quest", "xr"])
def test_device_turns_by_default_and_says_how_to_get_there(console: Console, alias: str) -> None:
    env = gym.make("gym_hil/PandaPickCube-v1", device=alias)
    assert env.action_space.shape == (7,)
    assert f"adb reverse tcp:{console.port} tcp:{console.port}" in env.get_wrapper_attr("device").way_there
    env.close()
    env = gym.make("gym_hil/PandaPickCube-v1", device=alias, orientation=False)
    assert env.action_space.shape == (4,)
    env.close()


@pytest.mark.parametrize("together", [["meta_quest", "web"], ["web", "xr"], ["xr", "meta_quest"]])
def test_headset_beside_the_page_is_the_one_device_of_the_page(console: Console, together: list[str]) -> None:
    pad = InputDevice()
    devices = [pad, *together]
    env = gym.make("gym_hil/PandaPickCube-v1", device=devices, intervention="hold", reset_delay_seconds=0)
    assert env.action_space.shape == (7,)
    first, headset = env.get_wrapper_attr("device").devices
    assert first is pad
    assert env.get_wrapper_attr("channel").device is headset
    env.reset(seed=0)
    headset.receive(Input(time=1.0, motion=(0.0,) * 6, held=[Button.INTERVENE], changes=[]))  # a key of the page
    assert env.step(STAY)[4]["is_intervention"]
    env.close()


def test_message_with_a_hand_is_read() -> None:
    hand = Hand(5.0, "left", (0.1, 1.2, -0.3), DOWN, 0.5, 1.0, 0.0, (0.0, -1.0))
    fields = {"type": "input", "time": 5.0, "motion": [0] * 6, "held": [], "changes": []}
    assert decode(json.dumps({**fields, "hand": asdict(hand)})).hand == hand  # type: ignore[union-attr]
