"""What the page shows, how it looks on each screen, and what it asks of the network."""

from __future__ import annotations

import io
from typing import Any, get_args

import numpy as np
import pytest

from gym_hil.console.messages import EventKind
from tests.console.browser import DESK, PHONE, Visitor

SCREENS = {
    "desk": {"viewport": {"width": 1440, "height": 900}},
    "laptop": {"viewport": {"width": 1180, "height": 680}},
    "phone": PHONE,
    "phone on its side": {**PHONE, "viewport": {"width": 844, "height": 390}},
}
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


def test_bodies_and_cameras_are_where_the_environment_has_them(visitor, stand):
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


def test_the_robot_is_drawn_and_so_are_its_cameras(visitor, stand):
    visitor.wait(lambda: visitor.page.locator("#cameras canvas").count() == 2)
    for selector in ("#view", "#cameras figure:nth-child(1) canvas", "#cameras figure:nth-child(2) canvas"):
        visitor.wait(lambda selector=selector: image(visitor, selector).std() > 10)


def test_nothing_is_drawn_when_nothing_changes(visitor, stand):
    visitor.page.click("#pause")
    visitor.wait(lambda: stand.channel.paused)
    visitor.page.wait_for_timeout(500)
    drawn = visitor.js("page.view.drawn")
    visitor.page.wait_for_timeout(300)
    assert visitor.js("page.view.drawn") == drawn


def test_pause_is_shown_and_ended_by_the_same_button(visitor, stand):
    visitor.page.click("#pause")
    visitor.wait(lambda: stand.channel.paused and visitor.page.locator("#paused").is_visible())
    assert visitor.text("pause-label") == "Resume"
    visitor.page.click("#pause")
    visitor.wait(lambda: not stand.channel.paused and not visitor.page.locator("#paused").is_visible())


def test_numbers_of_the_episode(visitor, stand):
    visitor.wait(lambda: visitor.js("page.frame.status.step") > 3)
    assert visitor.js("document.getElementById('steps').textContent === `Step ${page.frame.status.step} of 100000`")
    assert visitor.text("tool") == f"{100 * visitor.js('page.frame.status.tcp[2]'):.1f} cm"


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
    visitor.page.click("#tab-events")
    for kind in get_args(EventKind):
        stand.channel.log_event(kind, f"event {kind}")
    rows = visitor.page.locator("#part-events li span")
    visitor.wait(lambda: rows.all_text_contents()[:1] == [f"event {get_args(EventKind)[-1]}"])
    shown = [text for text in rows.all_text_contents() if text.startswith("event ")]
    assert shown == [f"event {kind}" for kind in reversed(get_args(EventKind))]


def test_a_training_run_shows_numbers_and_takes_requests(visitor, stand):
    stand.channel.publish_metrics({"critic_loss": 0.0123, "steps_per_second": 41.25})
    stand.channel.set_requests(["save"])
    visitor.page.click("#tab-training")
    visitor.wait(lambda: "0.0123" in visitor.text("metrics"))
    visitor.page.click("#requests button")
    asked: list[str] = []
    visitor.wait(lambda: asked.extend(stand.channel.take_requests()) or asked)
    stand.channel.set_requests([])
    assert asked == ["save"]


def test_the_legend_is_the_devices(visitor, stand):
    visitor.page.click("#tab-controls")
    shown = visitor.text("part-controls")
    for part in stand.channel.bindings().legend:
        assert part.title in shown
        for control, action in part.rows:
            assert control in shown
            assert action in shown


def test_presets_ride_on_the_robots_cameras(visitor, stand):
    for name, index in (("front", 0), ("wrist", 1)):
        visitor.page.click(f"[data-preset={name}]")
        visitor.wait(
            lambda index=index: np.allclose(
                visitor.js("page.view.camera.position.toArray()"), stand.env.unwrapped.data.cam_xpos[index], atol=0.01
            )
        )
    visitor.page.click("[data-preset=free]")


def test_another_environment_can_be_chosen_and_is_for_looking_only(visitor, stand):
    import gym_hil

    env = gym_hil.PandaArrangeBoxesGymEnv()
    env.reset(seed=0)
    channel = stand.console.channel_for(env)
    channel.publish({})
    visitor.wait(lambda: visitor.page.locator("#channels option").count() == 2)
    visitor.page.select_option("#channels", str(channel.number))
    visitor.ready()
    visitor.wait(lambda: visitor.text("lock-text") == "View only")
    assert visitor.driver() == "none"
    assert not visitor.page.locator("#lock-button").is_visible()
    assert not visitor.page.locator("[data-button=INTERVENE]").is_visible()
    channel.close()
    env.close()
    visitor.wait(lambda: visitor.page.locator("#channels option").count() == 1)
    visitor.ready()
    visitor.wait(lambda: visitor.page.locator("#lock-button").is_visible())


def test_without_webgl_the_big_view_shows_the_servers_images(visitor, browser, stand):
    plain = Visitor(browser.new_context(**DESK), stand.console, drawn=False)
    assert "WebGL" in plain.text("toast")
    plain.until("page.canvas.width === 480 && page.canvas.height === 360")
    assert image(plain, "#view").std() > 20
    assert plain.js("page.view") is None
    plain.wait(lambda: plain.lock() == "other" and plain.driver() == "policy")
    assert plain.problems == []
    plain.leave(stand)


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


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("holder", ["you", "other"])
def test_everything_is_within_the_screen_and_large_enough(visitor, stand, screen, holder):
    options = SCREENS[screen]
    if options.get("has_touch"):
        coarse = visitor.context.new_cdp_session(visitor.page)
        coarse.send("Emulation.setEmitTouchEventsForMouse", {"enabled": True, "configuration": "mobile"})
        coarse.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    visitor.page.set_viewport_size(options["viewport"])
    # The longest words that can be there.
    visitor.js(
        f"import('/static/hud.js').then((hud) => hud.showLock({{holder: '{holder}', free_in: 9, pages: 3}}, true))"
    )
    visitor.js(f"import('/static/hud.js').then((hud) => hud.showDriver('{holder}', page.bindings, false, ''))")
    boxes = visitor.page.evaluate(
        "[...document.querySelectorAll('.bar button, .viewport button, .driver, .cameras figure')]"
        ".filter((element) => element.getClientRects().length).map((element) => {"
        "const {x, y, width, height} = element.getBoundingClientRect();"
        "return [element.id || element.className || element.textContent, x, y, width, height, element.tagName]})"
    )
    width, height = options["viewport"]["width"], options["viewport"]["height"]
    least = 44 if options.get("has_touch") else 28
    for name, x, y, wide, tall, tag in boxes:
        assert x >= 0, name
        assert y >= 0, name
        assert x + wide <= width, name
        assert y + tall <= height, name
        assert tag != "BUTTON" or tall >= least, name
    assert visitor.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [
        width,
        height,
    ]
    paused = "document.querySelector('.badge').hidden = false"
    box, pill = visitor.page.evaluate(
        f"{paused}; ['.badge', '.driver'].map((name) => document.querySelector(name).getBoundingClientRect().toJSON())"
    )
    assert box["top"] >= pill["bottom"]
    visitor.page.evaluate(paused.replace("false", "true"))
    visitor.page.set_viewport_size({"width": 820, "height": 560})
    if options.get("has_touch"):
        coarse.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
        coarse.send("Emulation.setEmitTouchEventsForMouse", {"enabled": False})
