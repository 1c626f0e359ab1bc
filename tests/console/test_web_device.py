"""Input from the page drives the robot, each press counts once, and a lost page holds nothing."""

from __future__ import annotations

import random
from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest

from gym_hil.console import Console
from gym_hil.console.messages import Input
from gym_hil.console.web_device import CODES, WebDevice
from gym_hil.teleop import Button, Event
from gym_hil.teleop.input_state import EVENTS
from gym_hil.teleop.keyboard import KEYS
from tests.console.page import Page
from tests.teleop.clock import Clock

OpenPage = Callable[..., Page]
STAY = np.array([0, 0, 0, 1], np.float32)


def message(**fields: object) -> Input:
    return Input(**{"time": 0.0, "motion": (0.0,) * 6, "held": [], "changes": [], "target": None, **fields})  # type: ignore[arg-type]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def device(console: Console, clock: Clock) -> WebDevice:
    return WebDevice(console=console, clock=clock)


def test_press_and_release_in_one_message_counts_once(device: WebDevice) -> None:
    device.receive(message(changes=(("press", Button.SUCCESS), ("release", Button.SUCCESS))))
    assert device.poll().events == (Event.SUCCESS,)
    assert device.poll().events == ()


def test_held_button_is_one_press_and_acts_until_it_is_up(device: WebDevice) -> None:
    device.receive(message(changes=(("press", Button.CLOSE),), held=(Button.CLOSE,)))
    device.receive(message(held=(Button.CLOSE,)))
    assert [device.poll().gripper for _ in range(2)] == [1, 1]
    device.receive(message(changes=(("release", Button.CLOSE),)))
    assert device.poll().gripper == 0


def test_button_that_was_let_go_and_pressed_again_counts_twice(device: WebDevice) -> None:
    device.receive(message(changes=(("press", Button.RERECORD),), held=(Button.RERECORD,)))
    again = (("release", Button.RERECORD), ("press", Button.RERECORD))
    device.receive(message(changes=again, held=(Button.RERECORD,)))
    assert device.poll().events == (Event.RERECORD, Event.RERECORD)


@pytest.mark.parametrize("seed", range(20))
def test_random_presses_are_delivered_exactly_once_and_in_order(device: WebDevice, clock: Clock, seed: int) -> None:
    chance = random.Random(seed)
    down: set[Button] = set()
    expected: list[Event] = []
    events: list[Event] = []
    for _ in range(50):
        changes = []
        for button in chance.choices([Button.SUCCESS, Button.FAILURE, Button.RERECORD], k=chance.randrange(6)):
            pressed = button not in down
            (down.add if pressed else down.remove)(button)
            changes.append(("press" if pressed else "release", button))
            expected += [EVENTS[button]] * pressed
        device.receive(message(changes=tuple(changes), held=tuple(down)))
        clock.now += 1 / 60
        if chance.random() < 0.3:
            events += device.poll().events
    events += device.poll().events
    assert events == expected


@pytest.mark.parametrize("mode", ["toggle", "hold", "auto"])
@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_silence_stops_motion_at_once_and_the_intervention_after_two_seconds(
    device: WebDevice, clock: Clock, mode: str, seconds: float
) -> None:
    device.set_intervention(mode)
    held = (Button.FORWARD, Button.INTERVENE)
    device.receive(message(held=held, changes=(("press", Button.INTERVENE),), motion=(0, 1, 0, 0, 0, 0)))
    assert device.poll().engaged
    clock.now += seconds
    command = device.poll()
    assert command.engaged == (seconds < 2)
    assert not command.motion.any()
    device.receive(message(held=held))  # still holding the keys when the connection is back, which is no new press
    assert device.poll().engaged == (mode != "toggle" or seconds < 2)


@pytest.mark.parametrize(("seconds", "end"), [(1.0, "input is back"), (3.0, "handed back")])
def test_gap_while_driving_is_an_event_and_so_is_its_end(
    console: Console, clock: Clock, monkeypatch: pytest.MonkeyPatch, seconds: float, end: str
) -> None:
    env = gym.make("gym_hil/PandaPickCubeWeb-v1", device_options={"clock": clock}, reset_delay_seconds=0)
    env.reset(seed=0)
    env.step(STAY)
    events: list[object] = []
    monkeypatch.setattr(env.get_wrapper_attr("channel"), "_send", lambda channel, message: events.append(message))
    device = env.get_wrapper_attr("device")
    device.receive(message(changes=(("press", Button.INTERVENE), ("release", Button.INTERVENE))))
    env.step(STAY)
    for _ in range(2):
        clock.now += 0.3
        env.step(STAY)
    clock.now += seconds - 0.6
    if seconds < 2:
        device.receive(message())
    for _ in range(2):
        env.step(STAY)
    texts = [message.text for message in events if getattr(message, "kind", None) == "connection"]
    assert [text.split(":")[0] for text in texts[:1]] == ["no input from the page"]
    assert len(texts) == 2
    assert end in texts[1]
    env.close()


def test_losing_the_page_needs_no_timeout(device: WebDevice) -> None:
    device.receive(message(held=(Button.FORWARD,), changes=(("press", Button.INTERVENE),), target=(1, 1, 1)))
    device.release()
    command = device.poll()
    assert not command.engaged
    assert not command.motion.any()


def test_dragged_target_is_reached_without_overshoot(console: Console, clock: Clock) -> None:
    env = gym.make("gym_hil/PandaPickCubeWeb-v1", device_options={"clock": clock}, reset_delay_seconds=0)
    env.reset(seed=0)
    env.step(STAY)
    device = env.get_wrapper_attr("device")
    goal = (0.42, 0.11, 0.21)
    device.receive(message(changes=(("press", Button.INTERVENE), ("release", Button.INTERVENE)), target=goal))
    base = env.unwrapped
    distances = []
    for _ in range(20):
        device.receive(message(target=goal))
        assert env.step(STAY)[4]["is_intervention"]
        distances.append(np.linalg.norm(base.tcp_target - goal))
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-6
    device.receive(message())
    before = base.tcp_target
    env.step(STAY)
    np.testing.assert_array_equal(base.tcp_target, before)
    env.close()


def test_frames_tell_which_input_they_show(driven: gym.Env, open_page: OpenPage) -> None:
    page = open_page().connect().watch(1).take()
    page.input(clock=1234.5)
    page.sync()
    driven.step(STAY)
    page.wait(lambda: page.frames[-1]["input_time"] == 1234.5)


def test_input_reaches_the_very_next_step(driven: gym.Env, open_page: OpenPage) -> None:
    page = open_page().connect().watch(1).take()
    driven.step(STAY)
    page.input(changes=[["press", "INTERVENE"], ["release", "INTERVENE"]], motion=[1, 0, 0, 0, 0, 0])
    page.sync()
    info = driven.step(STAY)[4]
    assert info["is_intervention"]
    assert info["action_intervention"].tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("how", ["close", "kill"])
def test_page_that_is_gone_drives_no_longer(driven: gym.Env, open_page: OpenPage, how: str) -> None:
    page, witness = open_page().connect().watch(1).take(), open_page().connect().watch(1)
    driven.step(STAY)
    page.input(changes=[["press", "INTERVENE"], ["release", "INTERVENE"]], motion=[1, 0, 0, 0, 0, 0])
    page.sync()
    assert driven.step(STAY)[4]["is_intervention"]
    getattr(page, how)()
    witness.wait(lambda: witness.latest("lock")["pages"] == 1)
    before = driven.unwrapped.tcp_target
    info = driven.step(STAY)[4]
    assert info["is_intervention"]  # it may come back: the robot holds still for 2 s
    np.testing.assert_array_equal(driven.unwrapped.tcp_target, before)


def test_mode_and_legend_are_told_from_the_bindings(driven: gym.Env, open_page: OpenPage) -> None:
    page = open_page().connect().watch(1)
    bindings = page.latest("bindings")
    assert bindings["intervention"] == "toggle"
    keys = {CODES[key]: button.name for key, button in KEYS.items() if not button.name.startswith("TURN")}
    assert bindings["keys"] == keys
    assert bindings["pad"]["5"] == "INTERVENE"
    assert set(bindings["buttons"]) == {name for name in Button.__members__ if not name.startswith("TURN")}
    rows = {tuple(row) for group in bindings["legend"] for row in group["rows"]}
    assert ("Space", "take over / hand back") in rows
    driven.get_wrapper_attr("device").set_intervention("hold")
    page.wait(lambda: page.latest("bindings")["intervention"] == "hold")
    assert page.latest("bindings")["buttons"]["INTERVENE"] == "drive while held"


def test_closed_device_takes_no_more_input(driven: gym.Env, open_page: OpenPage) -> None:
    page = open_page().connect().watch(1).take()
    driven.get_wrapper_attr("device").close()
    page.wait(lambda: page.latest("bindings")["intervention"] is None)


def test_description_has_the_link(device: WebDevice, console: Console) -> None:
    assert console.url in device.describe()
    assert "Space" in device.describe()
