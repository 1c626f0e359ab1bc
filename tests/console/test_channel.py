"""What an environment publishes, and how an operator makes it wait."""

from __future__ import annotations

import threading
from collections.abc import Callable

import gymnasium as gym
import numpy as np

from gym_hil.console import Console
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
    page.say(type="pause", on=True)
    page.wait(lambda: page.frames[-1]["status"]["paused"])
    stepping = threading.Thread(target=driven.step, args=[STAY])
    stepping.start()
    page.input()
    page.sync()
    assert stepping.is_alive()
    page.say(type="pause", on=False)
    stepping.join(10)
    assert not stepping.is_alive()
    assert driven.get_wrapper_attr("seconds_paused") > 0
    page.wait(lambda: not page.frames[-1]["status"]["paused"])


def test_spectator_cannot_pause(driven: gym.Env, open_page: OpenPage) -> None:
    open_page().connect().watch(1).take()
    page = open_page().connect().watch(1)
    page.say(type="pause", on=True)
    page.sync()
    assert not driven.get_wrapper_attr("channel").paused


def test_pause_ends_when_the_operator_leaves(driven: gym.Env, open_page: OpenPage) -> None:
    page = open_page().connect().watch(1).take()
    page.say(type="pause", on=True)
    page.say(type="release")
    page.sync()
    assert not driven.get_wrapper_attr("channel").paused


def test_pause_ends_when_the_seat_falls_free(driven: gym.Env, open_page: OpenPage) -> None:
    page = open_page().connect().watch(1).take()
    page.say(type="pause", on=True)
    page.sync()
    channel = driven.get_wrapper_attr("channel")
    assert channel.paused
    channel.seat.release(page.name)
    driven.step(STAY)
    assert not channel.paused


def test_closing_ends_a_pause(driven: gym.Env, open_page: OpenPage) -> None:
    page = open_page().connect().watch(1).take()
    page.say(type="pause", on=True)
    channel = driven.get_wrapper_attr("channel")
    wait_until(lambda: channel.paused)
    waiting = threading.Thread(target=channel.wait_while_paused)
    waiting.start()
    channel.close()
    waiting.join(10)
    assert not waiting.is_alive()
