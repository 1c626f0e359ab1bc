"""What the page shows, how it looks on each screen, and what it asks of the network."""

from __future__ import annotations

import io
import re
from typing import Any, get_args

import numpy as np
import pytest

from gym_hil.console.messages import EventKind
from tests.console.browser import DESK

CONTRAST = 4.5  # to 1, of text, by WCAG 2.2 AA

# Colours as they are computed, with what is behind them as far as it is opaque.
COLOURS = """
(selectors) => selectors.map((selector) => {
  const drawing = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const rgb = (colour) => {
    drawing.clearRect(0, 0, 1, 1);
    drawing.fillStyle = colour;
    drawing.fillRect(0, 0, 1, 1);
    return [...drawing.getImageData(0, 0, 1, 1).data];
  };
  let element = document.querySelector(selector);
  const text = rgb(getComputedStyle(element).color);
  while (rgb(getComputedStyle(element).backgroundColor)[3] < 200) element = element.parentElement;
  return [text.slice(0, 3), rgb(getComputedStyle(element).backgroundColor).slice(0, 3)];
})
"""


def contrast(one: list[int], other: list[int]) -> float:
    """How much lighter one colour is than the other, by WCAG 2.2."""

    def luminance(rgb: list[int]) -> float:
        shares = np.array(rgb) / 255
        linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def image(visitor: Any, selector: str) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(visitor.page.locator(selector).screenshot())).convert("RGB"), dtype=float)


def test_bodies_and_cameras_are_where_the_environment_has_them_and_drawn_when_something_changes(visitor, stand):
    visitor.page.click("#pause")
    visitor.wait(lambda: stand.channel.paused)
    visitor.until("page.frame.status.paused && !page.view.channel.moving")
    data = stand.env.unwrapped.data
    bodies = visitor.js(
        "page.view.channel.root.children.map((body) => [...body.position.toArray(), body.quaternion.w,"
        " ...body.quaternion.toArray().slice(0, 3)])"
    )
    np.testing.assert_allclose(np.array(bodies)[:, :3], data.xpos, atol=1e-6)
    turned = np.abs((np.array(bodies)[:, 3:] * data.xquat).sum(axis=1))
    np.testing.assert_allclose(turned, 1.0, atol=1e-6)
    cameras = visitor.js(
        "page.view.channel.cameras.map((one) => (one.updateWorldMatrix(true, false), one.matrixWorld.elements))"
    )
    world = np.array(cameras).reshape(-1, 4, 4).transpose(0, 2, 1)
    np.testing.assert_allclose(world[:, :3, 3], data.cam_xpos, atol=1e-6)
    np.testing.assert_allclose(world[:, :3, :3], data.cam_xmat.reshape(-1, 3, 3), atol=1e-5)
    visitor.page.wait_for_timeout(500)
    drawn = visitor.js("page.view.drawn")
    visitor.page.wait_for_timeout(300)
    assert visitor.js("page.view.drawn") == drawn


def test_the_robot_is_drawn_and_so_are_its_cameras(visitor, stand):
    visitor.draw()
    visitor.wait(lambda: visitor.page.locator("#cameras canvas").count() == 2)
    for selector in ("#view", "#cameras figure:nth-child(1) canvas", "#cameras figure:nth-child(2) canvas"):
        visitor.wait(lambda selector=selector: image(visitor, selector).std() > 10)


def test_pause_is_shown_and_ended_by_the_same_button(visitor, stand):
    visitor.page.click("#pause")
    visitor.wait(lambda: stand.channel.paused and visitor.text("badge") == "Paused")
    visitor.wait(lambda: visitor.text("pause-label") == "Resume")
    visitor.page.click("#pause")
    visitor.wait(lambda: not stand.channel.paused and not visitor.page.locator("#badge").is_visible())
    visitor.wait(lambda: re.fullmatch(r"Step \d+ of 100000", visitor.text("steps")))


def test_recording_is_shown_with_dataset_count_and_what_is_waited_for(visitor, stand):
    stand.channel.set_session(
        activity="recording", dataset="me/pick", episode=2, episodes=4, waiting="the operator", has_policy=False
    )
    visitor.wait(lambda: visitor.page.inner_text("#session") == "REC me/pick · episode 2 of 4")
    visitor.wait(lambda: visitor.text("badge") == "Waiting: the operator" and visitor.text("episode") == "2 of 4")
    assert visitor.driver() == "nobody"
    stand.restart()
    visitor.wait(lambda: visitor.js("page.frame.status.episode") == 2)
    stand.channel.set_session()
    visitor.wait(lambda: visitor.page.locator("#session").is_hidden() and visitor.driver() == "policy")


def test_rates_are_of_the_latest_episodes_that_count(visitor, stand):
    record = {"steps": 10, "interventions": 5, "success": True, "episode_return": 1.0, "discarded": False}
    for number in range(20):
        stand.channel.add_episode({**record, "number": number, "success": number % 4 > 0})
    stand.channel.add_episode({**record, "number": 20, "discarded": True, "success": False})
    visitor.wait(lambda: "re-recorded" in visitor.text("chart-note"))
    assert visitor.text("success-rate") == "75%"
    assert visitor.text("intervention-rate") == "50%"
    assert visitor.page.locator("#chart polyline").count() == 2


def test_events_are_listed_newest_first(visitor, stand):
    for kind in get_args(EventKind):
        stand.channel.log_event(kind, f"event {kind}")
    rows = visitor.page.locator("#part-events li span")
    visitor.wait(lambda: rows.all_text_contents()[:1] == [f"event {get_args(EventKind)[-1]}"])
    shown = [text for text in rows.all_text_contents() if text.startswith("event ")]
    assert shown == [f"event {kind}" for kind in reversed(get_args(EventKind))]


def test_a_training_run_shows_numbers_and_takes_requests(visitor, stand):
    stand.channel.publish_metrics({"critic_loss": 0.0123, "steps_per_second": 41.25})
    stand.channel.set_requests(["save"])
    visitor.wait(lambda: "0.0123" in visitor.text("metrics"))
    visitor.page.click("#requests button")
    asked: list[str] = []
    visitor.wait(lambda: asked.extend(stand.channel.take_requests()) or asked)
    stand.channel.set_requests([])
    assert asked == ["save"]


def test_the_legend_is_the_devices(visitor, stand):
    shown = visitor.text("part-controls")
    for part in stand.channel.bindings().legend:
        assert part.title in shown
        for control, action in part.rows:
            assert part.title == "Keyboard" or control in shown  # the page knows what is printed on the keys
            assert action in shown


def test_presets_ride_on_the_robots_cameras(visitor, stand):
    for index, name in enumerate(("front", "wrist")):
        visitor.page.select_option("#presets", name)
        visitor.wait(
            lambda index=index: np.allclose(
                visitor.js("page.view.camera.position.toArray()"), stand.env.unwrapped.data.cam_xpos[index], atol=0.01
            )
        )
    visitor.page.select_option("#presets", "Free")


def test_another_environment_can_be_chosen_and_is_for_looking_only(visitor, stand):
    import gym_hil

    env = gym_hil.PandaArrangeBoxesGymEnv()
    env.reset(seed=0)
    channel = stand.console.channel_for(env)
    channel.publish({})
    visitor.wait(lambda: visitor.page.locator("#channels option").count() == 2)
    with visitor.page.expect_response("**/meshes.bin"):  # or the scene would be asked for when it is gone
        visitor.page.select_option("#channels", str(channel.number))
    visitor.ready()
    visitor.wait(lambda: visitor.text("lock-text") == "View only")
    assert visitor.driver() == "none"
    assert not visitor.page.locator("#lock-button").is_visible()
    assert not visitor.page.locator(".intervene").is_visible()
    channel.close()
    env.close()
    visitor.wait(lambda: visitor.page.locator("#channels option").count() == 1)
    visitor.ready()
    visitor.wait(lambda: visitor.page.locator("#lock-button").is_visible())


def test_nothing_is_asked_of_any_other_host(visitor, stand):
    assert visitor.hosts == {f"127.0.0.1:{stand.console.port}"}


def test_the_policy_for_content_lets_the_page_in_and_scripts_out(visitor, stand):
    assert visitor.page.evaluate("violations") == []
    visitor.page.evaluate(
        "const script = document.createElement('script'); script.textContent = 'window.broken = true';"
        "document.body.append(script); script.remove()"
    )
    assert visitor.page.evaluate("window.broken") is None
    visitor.wait(lambda: visitor.page.evaluate("violations"))
    visitor.page.evaluate("violations.length = 0")
    visitor.problems = [problem for problem in visitor.problems if "Content Security Policy" not in problem]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_in_both_schemes(visitor, stand, scheme):
    visitor.page.emulate_media(color_scheme=scheme)
    texts = [
        ".driver",
        ".button.intervene",
        ".facts dt",
        ".facts dd",
        "#chart-note",
        "#connection-text",
        "#lock-button",
    ]
    measured = {}
    for driver in ("policy", "you", "other"):
        visitor.page.evaluate(f"document.body.dataset.driver = '{driver}'")
        for selector, colours in zip(texts, visitor.page.evaluate(COLOURS, texts), strict=True):
            measured[driver, selector] = round(contrast(*colours), 2)
    visitor.page.emulate_media(color_scheme="light")
    assert min(measured.values()) >= CONTRAST, measured


def test_the_scheme_can_be_switched_and_is_kept(visitor, stand):
    ground = "getComputedStyle(document.body).backgroundColor"
    before = visitor.page.evaluate(ground)
    visitor.page.click("#theme")
    after = visitor.page.evaluate(ground)
    assert after != before
    visitor.page.reload()
    visitor.ready()
    assert visitor.page.evaluate(ground) == after
    visitor.page.click("#theme")
    assert visitor.page.evaluate(ground) == before


# Whatever can be pressed or read on two rectangles that share a pixel, or that is not wholly on the screen.
FAULTS = """
() => {
  const shown = (element) => element.getClientRects().length > 0;
  const parts = [...document.querySelectorAll("button, select, .driver, .session, .thumb, .lock-text, .badge, figure")];
  const box = (element) => element.getBoundingClientRect();
  const name = (element) => element.id || element.textContent.trim() || element.className;
  const faults = [];
  const visible = parts.filter((part) => shown(part) && !part.closest(".panel") && !part.closest(".notice"));
  visible.forEach((part, index) => {
    const {left, top, right, bottom} = box(part);
    if (left < 0 || top < 0 || right > innerWidth + 0.5 || bottom > innerHeight + 0.5) faults.push([name(part)]);
    if (part.scrollWidth > part.clientWidth + 1 && !part.matches("select, .thumb")) faults.push([name(part), "is cut"]);
    visible.slice(index + 1).forEach((other) => {
      const {left: x, top: y, right: u, bottom: v} = box(other);
      const apart = x >= right - 0.5 || u <= left + 0.5 || y >= bottom - 0.5 || v <= top + 0.5;
      if (!apart && !part.contains(other) && !other.contains(part)) faults.push([name(part), name(other)]);
    });
  });
  return faults;
}
"""
SCREENS = [(320, 480), (640, 400), (683, 384), (853, 533), (820, 1180), (960, 1080), (1180, 680), (1440, 900)]
PHONES = [(320, 568), (390, 844), (844, 390), (1180, 820)]


@pytest.mark.parametrize("touch", [False, True])
def test_nothing_overlaps_or_is_cut_on_any_screen(visitor, stand, touch):
    if touch:
        fingers = visitor.context.new_cdp_session(visitor.page)
        fingers.send("Emulation.setEmitTouchEventsForMouse", {"enabled": True, "configuration": "mobile"})
        fingers.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    choices = ["SUCCESS", "RERECORD", "DELETE_LAST", "QUIT"] if touch else []
    stand.channel.set_session(
        activity="recording", dataset="someone/pick_cube", episode=12, episodes=100, phase="outcome", choices=choices
    )
    visitor.wait(lambda: "12 of 100" in visitor.text("session"))
    faults = {}
    for width, height in PHONES if touch else SCREENS:
        visitor.page.set_viewport_size({"width": width, "height": height})
        for holder in ("you", "other"):
            # The longest words that can be there.
            lock = f"{{holder: '{holder}', free_in: 9, pages: 3, asked: 'other'}}"
            visitor.js(
                f"import('/static/hud.js').then((hud) => {{ hud.showLock({lock}, true);"
                f" hud.showDriver('{holder}', page.bindings, {str(holder == 'you').lower()}, () => 'Space', false);"
                " hud.showBadge(12345, null, null, 0); })"
            )
            found = visitor.page.evaluate(FAULTS)
            least = visitor.page.evaluate(
                "Math.min(...[...document.querySelectorAll('.bar button, .dock button')].map((one) =>"
                " one.getBoundingClientRect().height || 99))"
            )
            box = visitor.page.locator(".viewport").bounding_box()
            if found or least < (44 if touch else 28) or box["height"] < 140 or box["width"] < 200:
                faults[width, height, holder] = found, least, box
    visitor.page.set_viewport_size(DESK["viewport"])
    stand.channel.set_session()
    if touch:
        fingers.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
        fingers.send("Emulation.setEmitTouchEventsForMouse", {"enabled": False})
    assert not faults


def test_forced_colours_keep_what_is_said_by_colour_and_the_view_has_a_role_and_a_name(visitor, stand):
    visitor.page.emulate_media(forced_colors="active")
    meter, ground = visitor.page.evaluate(
        "[getComputedStyle(document.querySelector('#progress i')).backgroundColor,"
        " getComputedStyle(document.querySelector('#progress')).backgroundColor]"
    )
    visitor.page.emulate_media(forced_colors="none")
    assert meter != ground
    assert visitor.page.get_by_role("img", name="Live 3-D view of the environment").is_visible()
