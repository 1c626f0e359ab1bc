"""What is shown of environments of other kinds: models that change, frames, and images of any shape."""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from gym_hil.console import Console, env_view
from gym_hil.console.images import as_image, observed_images
from gym_hil.wrappers.console_wrapper import ConsoleWrapper
from tests.console.foreign import Frames


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((48, 64, 3), (48, 64)),
        ((48, 64, 4), (48, 64)),
        ((48, 64, 1), (48, 64)),
        ((48, 64), (48, 64)),
        ((3, 48, 64), (48, 64)),
        ((4, 48, 64), (48, 64)),
        ((4, 48, 64, 3), (48, 64)),
        ((3000, 1500, 3), (1000, 500)),
        ((7, 7, 3), None),
        ((128,), None),
    ],
)
def test_arrays_that_are_images_are_shown(shape: tuple[int, ...], size: tuple[int, int] | None) -> None:
    image = as_image(np.zeros(shape, np.uint8))
    assert (None if image is None else image.shape) == (None if size is None else (*size, 3))


def test_images_of_an_observation_are_named_by_their_keys() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    left, right = {"rgb": image, "depth": image[..., 0] / 2.0}, {"rgb": image}
    assert list(observed_images({"left": left, "right": right, "state": np.zeros(3)})) == ["rgb", "right/rgb"]
    assert list(observed_images(image)) == ["observation"]


def test_an_environment_without_a_model_is_shown_by_its_frames(console: Console) -> None:
    env = ConsoleWrapper(Frames(render_mode="rgb_array"))
    env.reset()
    view = env.channel.view
    assert (view.description.bodies, view.description.big, view.description.note) == ([], "render()", None)
    rendered = env.unwrapped.rendered
    for _ in range(5):
        env.step(np.zeros(2, np.float32))
    assert env.unwrapped.rendered == rendered  # no page watches
    view.watched = True
    time.sleep(env_view.FRAME_PERIOD)
    env.step(np.zeros(2, np.float32))
    assert env.unwrapped.rendered == rendered + 1


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (None, "render() returned None"),
        (np.zeros((5, 5)), "render() returned an array (5, 5) float64"),
        ([], "render() returned []"),
        (ValueError("no display"), "render() failed: ValueError: no display"),
    ],
)
def test_a_frame_that_cannot_be_shown_is_explained_once_and_driving_goes_on(
    console: Console, frame: Any, why: str
) -> None:
    env = ConsoleWrapper(Frames(render_mode="rgb_array", frame=frame))
    env.reset()
    env.channel.view.watched = True
    for _ in range(3):
        env.step(np.zeros(2, np.float32))
    assert env.channel.view.description.note.startswith(why)
    assert env.unwrapped.rendered == 1


def test_an_environment_without_frames_says_how_to_see_it(console: Console) -> None:
    env = ConsoleWrapper(gym.make("FramesForTests-v0"))
    env.reset()
    assert 'gym.make("FramesForTests-v0", render_mode="rgb_array")' in env.channel.view.description.note


def test_a_model_whose_colours_change_is_described_anew(console: Console, base: gym.Env) -> None:
    channel = console.channel_for(base)
    channel.publish({"step": 1})
    before = channel.view.description
    channel.publish({"step": 2})
    assert channel.view.description is before
    base.model.geom_rgba[-1] = 0, 1, 0, 1
    channel.publish({"step": 3})
    after = channel.view.description
    assert (after.revision, after.geoms[-1].rgba) == (before.revision + 1, [0, 1, 0, 1])
    base.model.geom_rgba[-1] = before.geoms[-1].rgba


def test_values_that_are_no_numbers_do_not_stop_the_page(console: Console) -> None:
    env = ConsoleWrapper(Frames(render_mode="rgb_array", reward=float("nan")))
    env.reset()
    env.step(np.zeros(2, np.float32))
    assert b'"reward":null' in env.channel.frame()[2]
