"""Environments of other kinds on the page: another maker's model, frames without a model; a browser without WebGL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np

import gym_hil
from tests.console import foreign
from tests.console.browser import DESK, Stand, Visitor
from tests.console.test_page import image

RED, BLUE = (255, 0, 0), (0, 0, 255)


@contextmanager
def shown(visitor: Visitor, env: gym.Env) -> Iterator[gym.Env]:
    """An environment that is stepped while the page watches it."""
    env.reset(seed=0)
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.05):
            env.step(env.action_space.sample())

    stepping = threading.Thread(target=run)
    stepping.start()
    number = str(env.get_wrapper_attr("channel").number)
    visitor.wait(lambda: visitor.page.locator(f"#channels option[value='{number}']").count())
    visitor.page.select_option("#channels", number)
    visitor.until(f"page.frame?.channel === {number} && page.description?.revision === page.frame.revision")
    try:
        yield env
    finally:
        over.set()
        stepping.join()
        env.close()
        visitor.until("page.channel?.id === 1 && page.frame?.channel === 1")


def has_colour(visitor: Visitor, selector: str, colour: tuple[int, int, int]) -> bool:
    pixels = image(visitor, selector)
    return bool((np.abs(pixels - colour).max(axis=-1) < 60).mean() > 0.05)


def test_frames_and_images_of_an_environment_without_a_model_and_its_own_controls(visitor, stand):
    env = gym_hil.wrap(foreign.Frames(render_mode="rgb_array"), device="web", action_map="x=0,y=1")
    with shown(visitor, env):
        visitor.wait(lambda: has_colour(visitor, "#image", RED))
        assert has_colour(visitor, "#cameras canvas", BLUE)
        assert visitor.page.locator("#cameras figure").count() == 1
        assert visitor.page.locator("#view").is_hidden()
        assert visitor.page.locator("[data-button=CLOSE], [data-button=UP]").locator("visible=true").count() == 0
        assert visitor.page.locator("#gripper-row").is_hidden()
        assert "gripper" not in visitor.text("part-controls")
        assert "target" not in visitor.text("part-controls")
        visitor.page.click("#lock-button")
        visitor.wait(lambda: visitor.lock() == "you")
        visitor.page.keyboard.press("Space")
        visitor.wait(lambda: visitor.driver() == "you")


def test_an_environment_that_gives_no_frames_says_how_to_see_it(visitor, stand):
    with shown(visitor, gym_hil.wrap(gym.make("FramesForTests-v0"), device="web", action_map="x=0")):
        visitor.wait(lambda: 'render_mode="rgb_array"' in visitor.text("view-note"))


def test_a_model_of_another_maker_is_drawn_and_followed(visitor, stand):
    env = gym_hil.wrap(gym.make("Ant-v5"), device="web", action_map="x=0")
    visitor.draw()
    with shown(visitor, env):
        visitor.until("page.view.channel !== null && page.view.drawn > 0")
        visitor.wait(lambda: image(visitor, "#view").std() > 15)
        assert visitor.js("page.cameras.presets") == ["Free", "Top", "Side", "track"]
        torso = env.unwrapped.data.body("torso")
        visitor.wait(
            lambda: np.allclose(visitor.js("page.cameras.orbit.target.toArray()")[:2], torso.xpos[:2], atol=0.3)
        )
        assert visitor.js("page.drag.position") is None
        colours = visitor.js("page.description.geoms.length")
        env.unwrapped.model.geom_rgba[-1] = 0, 0, 1, 1
        visitor.until("page.description?.revision > 1 && page.view.channel !== null")
        assert visitor.js("page.description.geoms.length") == colours


def test_without_webgl_the_servers_images_are_shown(visitor: Visitor, browser: Any, stand: Stand) -> None:
    plain = Visitor(browser.new_context(**DESK), stand.console, drawn=False)
    assert "WebGL" in plain.text("toast")
    plain.until("document.getElementById('image').width === 480 && page.view === null")
    plain.wait(lambda: image(plain, "#image").std() > 20)
    plain.page.select_option("#presets", "wrist")
    plain.wait(lambda: plain.lock() == "other" and plain.driver() == "policy")
    with shown(plain, gym_hil.wrap(gym.make("Pusher-v5"), device="web")):
        # It has no cameras, and gives no frames as it was made.
        plain.wait(lambda: 'render_mode="rgb_array"' in plain.text("view-note"))
    # The browser itself reports an environment that was closed while the page was asking for its scene.
    assert [problem for problem in plain.problems if "404" not in problem] == []
    plain.leave(stand)
