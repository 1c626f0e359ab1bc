"""The page shows how the episodes go, whether the operator, the task or the time limit ends them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gym_hil
from gym_hil.console import Console, messages
from gym_hil.console.messages import ServerMessage
from gym_hil.teleop import Event, make_device
from gym_hil.teleop.sequence import SequenceDevice
from gym_hil.wrappers.console_wrapper import ConsoleWrapper

pytestmark = pytest.mark.usefixtures("console")

STAY = np.array([0, 0, 0, 1], np.float32)


class Page:
    """A channel's messages and what it published last, taken where they leave it."""

    def __init__(self, env: gym.Env) -> None:
        self.channel = env.get_wrapper_attr("channel")
        self.messages: list[ServerMessage] = []
        self.channel._send = lambda channel, message: self.messages.append(message) if message else None

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.channel._snapshot.status)

    @property
    def events(self) -> list[str]:
        return [message.kind for message in self.messages if isinstance(message, messages.LogEvent)]

    @property
    def episodes(self) -> list[dict[str, Any]]:
        return [asdict(episode) for episode in self.channel.history().episodes]


def make(rows: list[Any] = (), **options: Any) -> tuple[gym.Env, Page]:  # type: ignore[assignment]
    env = gym.make(
        "gym_hil/PandaPickCube-v0",
        device=[SequenceDevice(rows or [[0, 0, 0, 0]]), "web"],
        reset_delay_seconds=0,
        **options,
    )
    return env, Page(env)


def test_status_follows_the_episode() -> None:
    env, page = make()
    env.reset(seed=0)
    assert {"episode": 1, "step": 0, "max_steps": 100, "seconds_left": 10.0}.items() <= page.status.items()
    env.step(STAY)
    assert {"step": 1, "seconds_left": 9.9, "driver": "operator", "success": False}.items() <= page.status.items()
    env.step(STAY)
    assert page.status["driver"] == "policy"
    assert page.events == ["takeover", "handback"]
    env.close()


def test_success_is_an_event_and_an_episode() -> None:
    down, close, up = [0, 0, -1, 0], [0, 0, 0, 1], [0, 0, 1, 0]
    env, page = make([down] * 3 + [close] * 6 + [up] * 8)
    env.reset(seed=0)
    terminated = False
    while not terminated:
        _, _, terminated, _, _ = env.step(STAY)
    assert page.status["success"]
    assert page.events[-1] == "success"
    [episode] = page.episodes
    assert episode["success"]
    assert episode["steps"] == episode["interventions"] == page.status["step"]
    assert episode["episode_return"] == 1.0
    env.close()


@pytest.mark.parametrize(
    ("event", "kind"),
    [(Event.FAILURE, "failure"), (Event.RERECORD, "rerecord"), (Event.QUIT, "quit"), (Event.SUCCESS, "success")],
)
def test_the_operators_word_ends_the_episode(event: Event, kind: str) -> None:
    env, page = make()
    env.reset(seed=0)
    env.step(STAY)
    device = env.get_wrapper_attr("device").devices[1]
    button = next(button for button, meant in gym_hil.teleop.input_state.EVENTS.items() if meant is event)
    for _ in range(2 if button in gym_hil.teleop.input_state.CONFIRMED else 1):
        device.inputs.tap(button)
    env.step(STAY)
    assert page.events[-1] == kind
    assert page.episodes[-1]["success"] == (event is Event.SUCCESS)
    assert page.episodes[-1]["discarded"] == (event is Event.RERECORD)
    env.close()


@pytest.mark.parametrize("outside", [False, True])
def test_time_limit_ends_the_episode(outside: bool) -> None:
    env, page = make(max_episode_steps=-1 if outside else 3)
    env = gym.wrappers.TimeLimit(env, 3) if outside else env
    env.reset(seed=0)
    for _ in range(3):
        *_, truncated, _ = env.step(STAY)
    assert truncated
    assert (page.events[-1:] == ["timeout"]) is not outside
    env.reset()
    assert page.events[-1] == "timeout"
    assert page.episodes[-1]["steps"] == 3
    assert page.status["episode"] == 2
    env.close()


def test_auto_reset_begins_the_next_episode_in_the_step_that_resets() -> None:
    env, page = make(auto_reset=True, max_episode_steps=3)
    env.reset(seed=0)
    seen = []
    for _ in range(5):
        env.step(STAY)
        seen.append((page.status["episode"], page.status["step"]))
    assert seen == [(1, 1), (1, 2), (1, 3), (2, 0), (2, 1)]
    assert page.events.count("timeout") == len(page.episodes) == 1
    env.close()


@pytest.mark.parametrize(("given", "shown", "left"), [(60, 60, 5.8), (200, 200, 19.8), (-1, None, None)])
def test_page_shows_the_time_limit_in_force(given: int, shown: int | None, left: float | None) -> None:
    env, page = make(max_episode_steps=given)
    env.reset(seed=0)
    for _ in range(2):
        env.step(STAY)
    assert (page.status["max_steps"], page.status["seconds_left"]) == (shown, left)
    env.close()


def test_closed_environment_can_be_reset_again(console: Console) -> None:
    env = gym.make("gym_hil/PandaPickCubeWeb-v0", reset_delay_seconds=0)
    env.reset(seed=0)
    env.close()
    assert console.channels == []
    env.reset(seed=0)
    assert [channel.device is not None for channel in console.channels] == [True]
    env.close()


def test_environment_can_be_made_again_from_its_spec_in_another_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gym_hil.display.missing_display", lambda: "There is no display.")
    env = gym.make("gym_hil/PandaPickCube-v0", render_mode="rgb_array")
    again = gym.make(env.spec, render_mode="human")
    assert again.has_wrapper_attr("channel")
    assert not gym.make(again.spec, render_mode="rgb_array").has_wrapper_attr("channel")
    for made in (env, again):
        made.close()


def test_any_environment_with_a_model_can_be_shown(console: Console) -> None:
    env = ConsoleWrapper(gym_hil.PandaArrangeBoxesGymEnv())
    env.reset(seed=0)
    env.step(np.zeros(7))
    assert console.channels[0].title == "PandaArrangeBoxesGymEnv"
    assert console.channels[0].device is None
    env.close()


def test_wrapper_is_in_the_stack_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def has_console(**options: Any) -> bool:
        env = gym.make("gym_hil/PandaPickCube-v0", reset_delay_seconds=0, **options)
        found = env.has_wrapper_attr("channel")
        env.close()
        return found

    assert not has_console()
    assert has_console(device="web")
    assert has_console(device=["scripted", "web"])
    assert has_console(device=make_device([SequenceDevice([]), "web"]))
    monkeypatch.setattr("gym_hil.display.missing_display", lambda: "There is no display.")
    assert has_console(render_mode="human")
    assert has_console(use_viewer=True)
    assert not has_console(render_mode="rgb_array")
    monkeypatch.setattr("gym_hil.display.missing_display", lambda: None)
    assert not has_console(render_mode="human")


def test_request_for_help_is_shown_until_the_episode_ends() -> None:
    env, page = make()
    env.reset(seed=0)
    env.get_wrapper_attr("ask_for_help")(True)
    for _ in range(2):
        env.step(STAY)
    assert page.status["asks_for_help"]
    assert page.events.count("help") == 1
    env.reset()
    assert not page.status["asks_for_help"]
    env.close()
