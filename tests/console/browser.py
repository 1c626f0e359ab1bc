"""A browser without a window, pages in it, and an environment that a thread steps for them to watch."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import pytest

from gym_hil.console import Console
from gym_hil.console import server as console_module
from gym_hil.console.messages import Input
from gym_hil.console.web_server import WebServer
from gym_hil.teleop import Button

SECONDS = 60.0  # until a test gives up waiting; drawing without a graphics card is slow
STEP = 0.05  # s between steps
SLOWER = 4.0  # than the true one is the clock by which the device waits for the page
# Draw by the processor, and ask nothing of the network.
ARGUMENTS = [
    "--headless=new",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-default-apps",
]
DESK = {"viewport": {"width": 1040, "height": 600}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
# Draws seldom, because the processor has other things to do; puts a gamepad within reach; notes what is sent, and what
# the Content-Security-Policy stops.
WATCH = """
const draw = requestAnimationFrame;
window.requestAnimationFrame = (step) => setTimeout(() => draw(step), 120);
window.pad = null;
navigator.getGamepads = () => [null, window.pad];
window.sent = [];
window.violations = [];
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) { window.sent.push(JSON.parse(data)); return send.call(this, data); };
addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""
# A busy machine may keep the server silent for longer than a line that works would be: the page listens more slowly.
PATIENT = """
const every = setInterval;
window.setInterval = (call, time) => every(call, time === 100 ? 400 : time);
"""
# Takes WebGL away: what does not look at the scene is quicker without it.
NO_WEBGL = """
const context = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...options) {
  return kind.startsWith("webgl") ? null : context.call(this, kind, ...options);
};
"""
# Moves everything to its place without drawing it, or draws again.
DRAW = """(on) => import('/static/main.js').then(({page}) => {
  if (!page.view) return;
  const { renderer } = page.view;
  renderer.draw ??= renderer.render;
  renderer.render = on ? renderer.draw : (scene, camera) => { scene.updateMatrixWorld(); camera.updateMatrixWorld(); };
})"""


class Stand:
    """An environment with the device "web" on a console of its own, stepped by a thread with a policy that rests.

    Args:
        images: whether pages without WebGL get images of the scene. Where none looks at them they cost most of a core.
    """

    def __init__(
        self,
        id_: str = "gym_hil/PandaPickCubeWeb-v1",
        *,
        port: int = 0,
        token: str | None = None,
        images: bool = True,
        **kwargs: Any,
    ):
        self.console = Console(port=port, token=token)
        self._before, console_module._shared = console_module._shared, self.console
        self.env: Any = gym.make(
            id_,
            reset_delay_seconds=0,
            max_episode_steps=100_000,
            # A busy machine may keep the browser silent for longer than an operator's would be.
            device_options={"clock": lambda: time.monotonic() / SLOWER},
            **kwargs,
        )
        self._stay = self.env.get_wrapper_attr("idle_action")
        self.env.reset(seed=0)
        self.channel = self.console.channels[0]
        if not images:
            self.channel.view._drawn = lambda env, cameras: {}  # type: ignore[method-assign]
        self.device: Any = self.channel.device
        self.received: list[Input] = []
        self.operator = False
        self._restart = threading.Event()
        receive = self.device.receive
        self.device.receive = lambda message: (self.received.append(message), receive(message))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def changes(self) -> list[tuple[str, str]]:
        """What was pressed and released, in order."""
        return [(change, button.name) for message in self.received for change, button in message.changes]

    def held(self) -> set[str]:
        return {button.name for button in self.received[-1].held} if self.received else set()

    def motion(self) -> list[float]:
        return list(self.received[-1].motion) if self.received else [0.0] * 6

    def cut(self, visitor: Visitor) -> None:
        """Lose a page's connection without closing it, as when the Wi-Fi is gone."""
        connection: Any = self.console._connections[visitor.name]
        self.console.loop.call_soon_threadsafe(connection._socket._req.transport.abort)

    def vanish(self) -> None:
        """End the console without a farewell, as when the machine is gone."""
        WebServer.close(self.console)

    def restart(self) -> None:
        """Start an episode, always the same."""
        self._restart.set()
        while self._restart.is_set():
            time.sleep(STEP / 10)

    def close(self) -> None:
        self._over.set()
        self.channel.pause(False)
        self._thread.join()
        self.env.close()
        self.console.close()
        console_module._shared = self._before

    def _run(self) -> None:
        while not self._over.wait(STEP):
            if self._restart.is_set():
                self.env.reset(seed=0)
                self.env.step(self._stay)  # from here on, what is pressed counts
                # No step of the new episode was made; the value must not be that of the last episode.
                self.operator = False
                self._restart.clear()
            *_, terminated, truncated, info = self.env.step(self._stay)
            self.operator = info["is_intervention"]
            if terminated or truncated:
                self.env.reset()


class Tab:
    """A page in a browser.

    Args:
        context: Playwright's, with one profile.
        url: the link that a program printed.

    Attributes:
        page: Playwright's page.
        problems: errors that the browser reported.
        hosts: whom it asked for anything.
    """

    def __init__(self, context: Any, url: str):
        self.context = context
        self.problems: list[str] = []
        self.hosts: set[str] = set()
        self.page = context.new_page()
        self.page.on("console", lambda entry: entry.type in ("error", "warning") and self.problems.append(entry.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(request.url.partition("://")[2].partition("/")[0]))
        self.page.goto(url)

    def wait(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain; the browser says {self.problems}"
            self.page.wait_for_timeout(20)

    def text(self, element: str) -> str:
        return self.page.locator(f"#{element}").inner_text()


class Visitor(Tab):
    """A page of the console in a browser.

    Attributes:
        name: by which the server knows it.
    """

    def __init__(self, context: Any, console: Console, *, drawn: bool = True, patient: bool = True, script: str = ""):
        context.add_init_script(WATCH + (PATIENT if patient else "") + ("" if drawn else NO_WEBGL) + script)
        super().__init__(context, console.url)
        self.console = console
        self.ready()
        self.name = self.page.evaluate("sessionStorage.getItem('gym-hil-page')")

    def ready(self) -> None:
        """Come back when the page shows the scene."""
        self.until("page.frame && page.lock && (!page.view || (page.view.channel && page.view.drawn > 2))")

    def js(self, expression: str) -> Any:
        """The value of an expression in which `page` is what main.js exports."""
        return self.page.evaluate(f"import('/static/main.js').then(({{page}}) => ({expression}))")

    def until(self, expression: str) -> None:
        self.wait(lambda: self.js(expression))

    def draw(self, on: bool = True) -> None:
        """Draw the scene from now on, or do all but that, which takes a core where there is no graphics card."""
        self.page.evaluate(DRAW, on)
        self.js("page.view?.request()")

    def driver(self) -> str:
        return self.page.evaluate("document.body.dataset.driver")

    def lock(self) -> str:
        return self.page.evaluate("document.body.dataset.lock")

    def sent(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.page.evaluate("sent") if message["type"] == kind]

    def handle(self) -> tuple[float, float]:
        """Where the handle of the target is on the page, in px, once it rests."""
        before, at = None, self.js("page.drag.position")
        while at != before:
            self.page.wait_for_timeout(250)
            before, at = at, self.js("page.drag.position")
        box = self.page.locator("#view").bounding_box()
        return box["x"] + at["x"], box["y"] + at["y"]

    def plug_in(self, mapping: str = "standard") -> None:
        """Attach a gamepad on which nothing is pressed."""
        buttons = "Array.from({length: 17}, () => ({pressed: false, value: 0}))"
        pad = f"{{id: 'A pad', connected: true, mapping: '{mapping}', axes: [0, 0, 0, 0], buttons: {buttons}}}"
        self.page.evaluate(f"window.pad = {pad}")
        self.until("page.gamepad.name?.startsWith('A pad')")

    def settle(self, stand: Stand) -> None:
        """Release everything, hand back, and take the controls: as a page that was just opened."""
        self.draw(False)
        self.page.evaluate("window.pad = null; dispatchEvent(new Event('blur')); document.activeElement.blur()")
        if self.lock() != "you":
            # Not by the button: a test may have shown words there that are not true, and it would release then.
            self.js("page.connection.send({type: 'take'})")
            self.wait(lambda: self.lock() == "you")
        self.until("page.gamepad.name === null")
        self.wait(lambda: stand.held() == set())
        if stand.operator:
            self.js("page.input.tap('INTERVENE')")
            self.wait(lambda: not stand.operator)
        self.page.evaluate("sent.length = 0")
        stand.received.clear()

    def leave(self, stand: Stand) -> None:
        """Close the page; a browser that is shut does not always say goodbye."""
        self.context.close()
        stand.channel.lock.release(self.name)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, one for all tests. While Playwright runs, this thread can run no other event loop."""
    must = os.environ.get("CI", "").lower() == "true"
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sync_playwright = None
    if sync_playwright is None or executable is None:
        why = "needs the package playwright" if sync_playwright is None else "needs chromium"
        (pytest.fail if must else pytest.skip)(why)
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield made
        made.close()


@pytest.fixture(scope="module")
def module_stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    """One for all tests of a module, made with the keyword arguments that the module has as ENV."""
    made = Stand(images=getattr(request.module, "DRAWN", True), **getattr(request.module, "ENV", {}))
    yield made
    made.close()


@pytest.fixture
def stand(module_stand: Stand) -> Stand:
    """An environment that is watched, as if it were new."""
    module_stand.channel.pause(False)
    module_stand.restart()
    module_stand.device.set_intervention("toggle")
    if module_stand.device.stopped:
        module_stand.device.inputs.tap(Button.STOP)
    module_stand.received.clear()
    return module_stand


@pytest.fixture(scope="module")
def module_visitor(browser: Any, module_stand: Stand, request: pytest.FixtureRequest) -> Iterator[Visitor]:
    """One page for all tests of a module that need no more; without the scene where the module says DRAWN = False."""
    drawn = getattr(request.module, "DRAWN", True)
    made = Visitor(browser.new_context(**DESK), module_stand.console, drawn=drawn)
    yield made
    made.leave(module_stand)


@pytest.fixture
def visitor(module_visitor: Visitor, stand: Stand) -> Iterator[Visitor]:
    """A page that has the controls, holds nothing and does not draw; at the end it may not have complained."""
    module_visitor.settle(stand)
    yield module_visitor
    problems, module_visitor.problems = module_visitor.problems, []
    assert problems == [], problems


@pytest.fixture
def visit(browser: Any, stand: Stand, request: pytest.FixtureRequest) -> Iterator[Callable[..., Visitor]]:
    """Opens pages, each in a browser profile of its own; at the end none may have complained."""
    visitors: list[Visitor] = []

    def open_page(**options: Any) -> Visitor:
        drawn = getattr(request.module, "DRAWN", True)
        visitors.append(Visitor(browser.new_context(**{**DESK, **options}), stand.console, drawn=drawn))
        visitors[-1].draw(False)
        return visitors[-1]

    yield open_page
    problems = [problem for visitor in visitors for problem in visitor.problems]
    for visitor in visitors:
        visitor.leave(stand)
    assert problems == [], problems
