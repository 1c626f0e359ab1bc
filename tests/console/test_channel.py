"""What an environment publishes, how an operator makes it wait, and which page holds the control lock."""

from __future__ import annotations

import threading
from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest

from gym_hil.console import Console
from gym_hil.console.channel import ControlLock
from gym_hil.teleop import Button
from tests.console.page import Page, wait_until

OpenPage = Callable[..., Page]
STAY = np.array([0, 0, 0, 1], np.float32)


def test_environment_fills_in_what_it_knows(console: Console, base: gym.Env, open_page: OpenPage) -> None:
    channel = console.channel_for(base)
    channel.publish({"step": 3})
    page = open_page().connect().watch(channel.number)
    page.wait(lambda: len(page.frames) == 1)
    status = page.frames[0]["status"]
    assert status["step"] == 3
    assert status["episode"] is None
    np.testing.assert_allclose(status["tcp"], base.tcp_position, atol=1e-5)
    np.testing.assert_allclose(page.frames[0]["poses"][7:14], [*base.data.xpos[1], *base.data.xquat[1]], atol=1e-6)


def test_published_status_does_not_hide_the_emergency_stop(
    console: Console, driven: gym.Env, open_page: OpenPage
) -> None:
    channel = driven.get_wrapper_attr("channel")
    driven.reset(seed=0)
    channel.device.inputs.tap(Button.SUCCESS)
    channel.device.inputs.tap(Button.STOP)
    channel.publish({"step": 3, "stopped": False, "pending": None})
    page = open_page().connect().watch(channel.number)
    page.wait(lambda: bool(page.frames))
    assert page.frames[-1]["status"]["stopped"]
    assert page.frames[-1]["status"]["pending"] is not None


def test_published_state_is_a_copy(console: Console, base: gym.Env) -> None:
    channel = console.channel_for(base)
    channel.publish({})
    before = channel.frame()
    base.data.xpos += 1
    assert channel.frame() == before


def test_one_environment_has_one_channel(console: Console, base: gym.Env) -> None:
    channel = console.channel_for(base)
    assert console.channel_for(base) is channel
    channel.close()
    channel.close()
    assert console.channel_for(base) is not channel


def test_pause_makes_the_next_step_wait(driven: gym.Env, open_page: OpenPage) -> None:
    page = open_page().connect().watch(1).take()
    page.send(type="pause", on=True)
    page.wait(lambda: page.frames[-1]["status"]["paused"])
    stepping = threading.Thread(target=driven.step, args=[STAY])
    stepping.start()
    page.input()
    page.sync()
    assert stepping.is_alive()
    page.send(type="pause", on=False)
    stepping.join(10)
    assert not stepping.is_alive()
    assert driven.get_wrapper_attr("seconds_paused") > 0
    page.wait(lambda: not page.frames[-1]["status"]["paused"])


def test_who_takes_over_during_a_pause_drives_the_next_step(driven: gym.Env, open_page: OpenPage) -> None:
    driven.step(STAY)
    page = open_page().connect().watch(1).take()
    page.send(type="pause", on=True)
    page.wait(lambda: page.frames[-1]["status"]["paused"])
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.append(driven.get_wrapper_attr("operator_drives")()))
    asking.start()
    page.tap("INTERVENE")
    page.sync()
    assert answers == []
    page.send(type="pause", on=False)
    asking.join(10)
    assert answers == [True]


def test_spectator_cannot_pause(driven: gym.Env, open_page: OpenPage) -> None:
    open_page().connect().watch(1).take()
    page = open_page().connect().watch(1)
    page.send(type="pause", on=True)
    page.sync()
    assert not driven.get_wrapper_attr("channel").paused


def test_pause_ends_when_the_operator_leaves(driven: gym.Env, open_page: OpenPage) -> None:
    page = open_page().connect().watch(1).take()
    page.send(type="pause", on=True)
    page.send(type="release")
    page.sync()
    assert not driven.get_wrapper_attr("channel").paused


def test_pause_ends_when_the_seat_falls_free(driven: gym.Env, open_page: OpenPage) -> None:
    page = open_page().connect().watch(1).take()
    page.send(type="pause", on=True)
    page.sync()
    channel = driven.get_wrapper_attr("channel")
    assert channel.paused
    channel.lock.release(page.name)
    driven.step(STAY)
    assert not channel.paused


def test_closing_ends_a_pause(driven: gym.Env, open_page: OpenPage) -> None:
    page = open_page().connect().watch(1).take()
    page.send(type="pause", on=True)
    channel = driven.get_wrapper_attr("channel")
    wait_until(lambda: channel.paused)
    waiting = threading.Thread(target=channel.wait_while_paused)
    waiting.start()
    channel.close()
    waiting.join(10)
    assert not waiting.is_alive()


@pytest.fixture
def lock() -> ControlLock:
    return ControlLock(timeout=10.0)


def test_lock_goes_to_the_first_page_and_not_to_the_next(lock: ControlLock) -> None:
    assert lock.holder(0.0) is None
    assert lock.take("a", 0.0)
    assert not lock.take("b", 1.0)
    assert lock.take("a", 1.0)
    assert lock.holder(1.0) == "a"


def test_only_the_holder_releases_the_lock(lock: ControlLock) -> None:
    lock.take("a", 0.0)
    assert not lock.release("b")
    assert lock.release("a")
    assert lock.take("b", 0.0)


def test_silence_frees_the_lock_and_every_input_starts_the_time_anew(lock: ControlLock) -> None:
    lock.take("a", 0.0)
    assert lock.renew("a", 9.0)
    assert not lock.renew("b", 18.0)
    assert not lock.take("b", 18.9)
    assert lock.take("b", 19.1)
    assert not lock.renew("a", 19.2)


def test_page_that_returns_after_a_silence_still_holds_a_lock_that_no_other_page_took(lock: ControlLock) -> None:
    lock.take("a", 0.0)
    assert lock.renew("a", 30.0)
    assert not lock.take("b", 30.0)


def test_countdown_starts_when_the_holder_has_gone_silent(lock: ControlLock) -> None:
    assert lock.free_in(0.0) is None
    lock.take("a", 0.0)
    assert lock.free_in(0.5) is None
    assert lock.free_in(4.0) == pytest.approx(6.0)
    assert lock.free_in(10.5) is None
