"""Which requests are accepted, which page drives, and what every page gets."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import socket
import time
from collections.abc import Callable

import aiohttp
import gymnasium as gym
import numpy as np
import pytest
import simplejpeg

from gym_hil.console import Console, messages, server
from gym_hil.console.channel import ControlLock
from tests.console.page import Loop, Page, wait_until

OpenPage = Callable[..., Page]
STAY = np.array([0, 0, 0, 1], np.float32)


def status_without_a_cookie(console: Console, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", console.port, timeout=10)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    "path", ["/", "/?token=wrong", "/?token=", "/static/index.html", "/channel/1/scene.json", "/connect"]
)
def test_nothing_is_given_without_the_token(console: Console, base: gym.Env, path: str) -> None:
    console.channel_for(base)
    assert status_without_a_cookie(console, path) == 403
    assert console.refusals == 1


def test_token_is_exchanged_for_a_cookie_and_leaves_the_address(console: Console, open_page: OpenPage) -> None:
    page = open_page()
    status, _, headers = page.get(f"/?token={console.token}")
    assert (status, headers["Location"]) == (303, "./")
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Strict" in headers["Set-Cookie"]
    assert page.get("/")[0] == 200
    assert console.token.encode() not in page.get("/")[1]


def test_wrong_token_is_refused_even_with_the_cookie(open_page: OpenPage) -> None:
    assert open_page().get("/?token=wrong")[0] == 403


@pytest.mark.parametrize("path", ["/", "/channel/1/scene.json", "/static/main.js", "/nothing"])
def test_every_answer_keeps_the_page_to_itself(open_page: OpenPage, path: str) -> None:
    headers = open_page().get(path)[2]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_foreign_host_is_refused_even_with_the_cookie(open_page: OpenPage) -> None:
    assert open_page().get("/", Host="evil.example")[0] == 403


def test_foreign_origin_is_refused_even_with_the_cookie(open_page: OpenPage) -> None:
    assert open_page().get("/channel/1/scene.json", Origin="http://evil.example")[0] == 403


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}])
def test_websocket_of_a_foreign_page_is_refused_and_gets_nothing(
    open_page: OpenPage, base: gym.Env, console: Console, headers: dict[str, str]
) -> None:
    console.channel_for(base)
    page = open_page()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        page.connect(**headers)
    assert refused.value.status == 403
    assert page.messages == []
    assert page.frames == []


def test_websocket_without_an_origin_is_refused(open_page: OpenPage) -> None:
    assert open_page().get("/connect?page=aaaaaaaaaaaaaaaaaaaaaaaa")[0] == 403


@pytest.mark.parametrize("name", ["", "short", "x" * 65, "with/slash-and-more-text"])
def test_page_without_a_proper_name_is_refused(open_page: OpenPage, name: str) -> None:
    page = open_page()
    assert page.get(f"/connect?page={name}", Origin=page.base)[0] == 400


@pytest.mark.parametrize("path", ["/static/../server.py", "/static/%2e%2e/server.py", "/static/..%2fserver.py"])
def test_files_beside_the_pages_own_are_out_of_reach(open_page: OpenPage, path: str) -> None:
    assert open_page().get(path)[0] in (403, 404)


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        '{"type": "fly"}',
        '{"type": "input"}',
        json.dumps({"type": "input", "time": 1, "motion": [9] * 5, "held": [], "changes": []}),
        "{" * 4000,
    ],
)
def test_page_that_sends_nonsense_is_disconnected(driven: gym.Env, open_page: OpenPage, text: str) -> None:
    page = open_page().connect().watch(1).take()
    page.send_text(text)
    page.wait(lambda: page.closed_with is not None)
    assert page.closed_with == 1008
    assert not driven.step(STAY)[4]["is_intervention"]


def test_message_that_is_too_long_is_not_taken(open_page: OpenPage, driven: gym.Env, console: Console) -> None:
    page = open_page().connect().watch(1)
    page.send_text(json.dumps({"type": "take", "filling": "x" * messages.MESSAGE_LIMIT}))
    page.wait(lambda: page.closed_with is not None)
    assert page.closed_with == 1009
    assert console.channels[0].lock.holder(time.monotonic()) is None


def test_page_that_sends_too_much_is_disconnected(open_page: OpenPage, driven: gym.Env, console: Console) -> None:
    page = open_page().connect().watch(1)

    async def flood() -> None:
        for _ in range(2000):
            await page._socket.send_str('{"type": "ack", "channel": 1, "sequence": 0}')

    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        page._loop.run(flood())
    page.wait(lambda: page.closed_with is not None)
    assert page.closed_with == 1008
    page.wait(lambda: console.refusals == 1)


def test_no_more_pages_than_agreed(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_PAGES", 1)
    open_page().connect().wait_for("hello")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        open_page().connect()
    assert refused.value.status == 503


def test_page_sees_channels_controls_history_and_frames(driven: gym.Env, open_page: OpenPage) -> None:
    page = open_page().connect()
    assert page.wait_for("hello")["channels"] == [{"id": 1, "title": "PandaPickCube-v1", "drivable": True}]
    page.watch(1)
    assert page.latest("bindings")["keys"]["Space"] == "INTERVENE"
    assert page.latest("episodes")["first"]
    page.wait(lambda: len(page.frames) > 0)
    before = page.frames[-1]
    driven.step(STAY)
    page.wait(lambda: page.frames[-1] is not before)
    assert page.frames[-1]["status"]["step"] == before["status"]["step"] + 1
    status, body, _ = page.get("/channel/1/scene.json")
    assert status == 200
    assert 7 * len(json.loads(body)["bodies"]) == len(page.frames[-1]["poses"])


def test_at_most_two_frames_are_under_way_and_the_newest_wins(driven: gym.Env, open_page: OpenPage) -> None:
    page = open_page(acks=False).connect().watch(1)
    page.wait(lambda: len(page.frames) == 1)
    for _ in range(20):
        driven.step(STAY)
        time.sleep(0.01)
    page.wait(lambda: len(page.frames) == 2)
    page.sync()
    assert len(page.frames) == 2
    page.send(type="ack", channel=1, sequence=page.frames[0]["sequence"])
    page.wait(lambda: len(page.frames) == 3)
    assert page.frames[2]["status"]["step"] == 20


def test_acknowledgement_of_another_channels_frame_counts_for_nothing(
    driven: gym.Env, console: Console, base: gym.Env, open_page: OpenPage
) -> None:
    console.channel_for(base).publish({})
    page = open_page(acks=False).connect().watch(1)
    page.wait(lambda: len(page.frames) == 1)
    page.send(type="watch", channel=2)
    page.wait(lambda: len(page.frames) == 2)
    assert page.frames[0]["sequence"] == page.frames[1]["sequence"]
    page.send(type="ack", channel=1, sequence=page.frames[0]["sequence"])
    page.sync()
    assert console.latencies == []
    page.send(type="ack", channel=2, sequence=page.frames[1]["sequence"])
    page.sync()
    assert len(console.latencies) == 1


def test_page_that_cannot_draw_the_scene_gets_images(driven: gym.Env, open_page: OpenPage) -> None:
    page, other = open_page().connect(), open_page().connect().watch(1)
    page.send(type="watch", channel=1, images=True)
    channel = driven.get_wrapper_attr("channel")
    page.wait(lambda: channel.publish({}) or (page.frames and page.frames[-1]["jpegs"]))
    for jpeg in page.frames[-1]["jpegs"]:
        assert simplejpeg.decode_jpeg(jpeg).shape == (360, 480, 3)
    assert len(page.frames[-1]["jpegs"]) == 2
    page.close()
    other.wait(lambda: other.latest("lock")["pages"] == 1)
    channel.publish({})
    other.wait(lambda: other.frames[-1]["jpegs"] == [])


def test_images_come_as_jpeg(console: Console, open_page: OpenPage) -> None:
    env = gym.make("gym_hil/PandaPickCubeWeb-v1", image_obs=True, reset_delay_seconds=0)
    observation, _ = env.reset(seed=0)
    page = open_page().connect().watch(1)
    page.wait(lambda: len(page.frames) == 1)
    for jpeg, name in zip(page.frames[0]["jpegs"], ("front", "wrist"), strict=True):
        difference = simplejpeg.decode_jpeg(jpeg).astype(int) - observation["pixels"][name]
        assert np.abs(difference).mean() < 4
    env.close()


def test_controls_are_taken_refused_and_handed_over(driven: gym.Env, open_page: OpenPage) -> None:
    first, second = open_page().connect().watch(1).take(), open_page().connect().watch(1)
    second.send(type="take")
    first.wait(lambda: first.latest("lock")["asked"] == "other")
    first.send(type="answer", grant=False)
    second.wait_for("refused")
    assert second.latest("lock")["holder"] == "other"
    second.tap("INTERVENE")
    second.sync()
    assert not driven.step(STAY)[4]["is_intervention"]
    first.send(type="release")
    second.wait(lambda: second.latest("lock")["holder"] == "none")
    second.take()
    second.tap("INTERVENE")
    second.sync()
    assert driven.step(STAY)[4]["is_intervention"]
    first.tap("INTERVENE")
    first.sync()
    assert driven.step(STAY)[4]["is_intervention"]


def test_controls_of_a_silent_page_can_be_taken_after_a_while(
    driven: gym.Env, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driven.get_wrapper_attr("channel"), "lock", ControlLock(timeout=1.5))
    gone, waiting = open_page().connect().watch(1).take(), open_page().connect().watch(1)
    gone.kill()
    waiting.send(type="take")
    waiting.wait(lambda: waiting.latest("lock")["asked"] == "you")
    waiting.wait(lambda: waiting.latest("lock")["holder"] == "you")


def test_page_that_comes_back_keeps_the_controls(driven: gym.Env, open_page: OpenPage) -> None:
    page = open_page().connect().watch(1).take()
    driven.step(STAY)
    page.tap("INTERVENE")
    page.sync()
    assert driven.step(STAY)[4]["is_intervention"]
    page.kill()
    again = open_page(page.name).connect().watch(1)
    assert again.latest("lock")["holder"] == "you"
    again.input()
    again.sync()
    assert driven.step(STAY)[4]["is_intervention"]


def test_same_page_opened_twice_has_one_connection(driven: gym.Env, open_page: OpenPage) -> None:
    page = open_page().connect().watch(1).take()
    again = open_page(page.name).connect().watch(1)
    page.wait(lambda: page.closed_with is not None)
    assert page.closed_with == 4001
    assert again.latest("lock")["holder"] == "you"


def test_environment_without_the_device_cannot_be_driven(console: Console, base: gym.Env, open_page: OpenPage) -> None:
    channel = console.channel_for(base)
    page = open_page().connect()
    assert page.wait_for("hello")["channels"][0]["drivable"] is False
    page.watch(channel.number)
    assert page.latest("bindings")["intervention"] is None
    page.send(type="take")
    page.wait_for("refused")
    assert page.latest("lock")["holder"] == "none"


def test_pages_learn_of_environments_that_open_and_close(console: Console, base: gym.Env, open_page: OpenPage) -> None:
    page = open_page().connect()
    assert page.wait_for("hello")["channels"] == []
    channel = console.channel_for(base)
    page.wait(lambda: page.latest("channels")["channels"] != [] if page.all("channels") else False)
    page.watch(channel.number)
    channel.close()
    page.wait(lambda: page.latest("channels")["channels"] == [])
    assert page.get(f"/channel/{channel.number}/scene.json")[0] == 404


def test_each_channel_has_controls_of_its_own(console: Console, open_page: OpenPage) -> None:
    envs = [gym.make("gym_hil/PandaPickCubeWeb-v1", reset_delay_seconds=0) for _ in range(2)]
    for env in envs:
        env.reset(seed=0)
        env.step(STAY)
    assert [channel.title for channel in console.channels] == ["PandaPickCube-v1", "PandaPickCube-v1 (2)"]
    pages = [open_page().connect().watch(number).take() for number in (1, 2)]
    pages[1].tap("INTERVENE")
    pages[1].sync()
    assert [env.step(STAY)[4]["is_intervention"] for env in envs] == [False, True]
    pages[1].watch(1)
    pages[1].sync()
    assert console.channels[1].lock.holder(time.monotonic()) is None
    for env in envs:
        env.close()


def test_requests_of_a_training_run_reach_it_once(driven: gym.Env, open_page: OpenPage) -> None:
    channel = driven.get_wrapper_attr("channel")
    channel.set_requests(["save", "stop"])
    page, other = open_page().connect().watch(1).take(), open_page().connect().watch(1)
    assert page.latest("bindings")["requests"] == ["save", "stop"]
    channel.publish_metrics({"loss": 0.25})
    assert page.wait_for("metrics")["values"] == {"loss": 0.25}
    page.send(type="request", name="save")
    other.send(type="request", name="stop")
    other.wait_for("refused")
    page.sync()
    assert channel.take_requests() == ["save"]
    assert channel.take_requests() == []


def test_training_run_without_a_device_can_be_paused_and_stopped(
    console: Console, base: gym.Env, open_page: OpenPage
) -> None:
    channel = console.channel_for(base)
    channel.set_requests(["stop"])
    page = open_page().connect().watch(1).take()
    page.send(type="pause", on=True)
    page.sync()
    assert channel.paused
    page.send(type="request", name="stop")
    page.send(type="pause", on=False)
    page.sync()
    assert (channel.take_requests(), channel.paused) == (["stop"], False)


def test_page_that_receives_nothing_is_disconnected(
    driven: gym.Env, console: Console, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gym_hil.console.connection.MESSAGES_KEPT", 20)
    page = open_page().connect().watch(1)
    [link] = console._connections.values()

    def flood() -> None:
        for _ in range(100):
            link.send(messages.Metrics(1, {}))

    console.loop.call_soon_threadsafe(flood)  # in the server's own loop, so that it cannot send in between
    page.wait(lambda: page.closed_with is not None)
    assert page.closed_with == 1008


def test_port_is_free_after_the_end_and_connections_are_closed(console: Console, loop: Loop, driven: gym.Env) -> None:
    page = Page(loop, console).connect().watch(1)
    console.close()
    page.wait(lambda: page.closed_with is not None)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", console.port))
        probe.listen()
    page.close()
    driven.step(STAY)


def test_environment_that_is_forgotten_leaves_the_console(console: Console) -> None:
    env = gym.make("gym_hil/PandaPickCubeWeb-v1", reset_delay_seconds=0)
    env.reset(seed=0)
    assert len(console.channels) == 1
    del env
    gc.collect()
    wait_until(lambda: console.channels == [])
