"""Driving by a headset: what comes of the hand's poses, over a good line and a bad one.

The hand is scripted: it moves and turns as a scripted operator wants the tool to, and its poses arrive as those of a
headset do, `RATE` times a second. Drawing and message handling are measured in Chromium, with a headset that the npm
package iwer emulates; without these (`make page`) the row is not measured.
"""

import contextlib
import math
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np

from benchmarks.console import own_console
from benchmarks.report import Row
from gym_hil.console.messages import Input
from gym_hil.rotations import rotation_matrix, rotation_quaternion
from gym_hil.teleop import make_device
from gym_hil.teleop.hand_tracking import WEBXR_TO_BASE, Hand

PICKS, INSERTIONS, OF = 20, 18, 20
MOVED_MM, TURNED_DEGREES, ENGAGED_MM = 1.0, 0.5, 0.1
DRAWN_MS, HANDLED_MS, APPLIED_MS = 50.0, 2.0, 20.0
RATE = 72  # poses a second, of a Quest
EMULATOR = Path(__file__).parents[1] / "web" / "node_modules" / "iwer" / "build" / "iwer.min.js"
SETTLE = 5  # steps
NO_BROWSER = "needs Chromium and iwer (make page)"


class Operator:
    """Wears a headset whose poses arrive with a delay, in time that passes by its own doing.

    Args:
        id_: of the environment.
        delay: draws how long a message is under way, in s; None for a lost one.
    """

    def __init__(self, id_: str, *, seed: int, delay: Callable[[], float | None] = lambda: 0.0):
        self.now, self.delay = 1000.0, delay
        options = {"clock": lambda: self.now}
        self.env: Any = gym.make(id_, device_options=options, reset_delay_seconds=0)
        self.env.reset(seed=seed)
        self.base = self.env.unwrapped
        self.dt = self.env.get_wrapper_attr("control_dt")
        self.device = self.env.get_wrapper_attr("device")
        self.hand = Hand(0.0, "right", (0.1, 1.2, -0.3), (0.0, 0.0, 0.0, 1.0), 0.4, 0.0, 0.0, (0.0, 0.0))
        self.under_way: list[tuple[float, Input]] = []
        self.targets = [self.base.tcp_target]
        self.talks = True
        self.over, self.info = False, {}
        self.step()

    def step(self, move: Any = (0.0, 0.0, 0.0), turn: Any = (0.0, 0.0, 0.0), **changes: Any) -> None:
        """Move the hand by m and turn it by a rotation vector, both as the tool should, during one step."""
        self.hand = replace(self.hand, **changes)
        cos, sin = math.cos(self.hand.yaw), math.sin(self.hand.yaw)
        to_base = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]]) @ WEBXR_TO_BASE
        start, count = self.hand, round(self.dt * RATE)
        for number in range(1, count + 1):
            share = number / count
            position = np.array(start.position) + to_base.T @ np.array(move) * share / self.device.tracking.scale
            orientation = _turned(start.orientation, to_base.T @ np.array(turn) * share)
            self.now += self.dt / count
            self.hand = replace(self.hand, time=1000 * self.now, position=tuple(position), orientation=orientation)
            self._send()
        *_, terminated, truncated, self.info = self.env.step(self.env.get_wrapper_attr("idle_action"))
        self.over = terminated or truncated
        self.targets.append(self.base.tcp_target)

    def episode(self) -> bool:
        """Solve the task as a scripted operator would, by the hand. True if it is solved."""
        script = make_device("scripted", env=self.env, rotation_speed=self.env.get_wrapper_attr("rotation_speed"))
        speed = np.append(self.env.get_wrapper_attr("full_speed"), [self.env.get_wrapper_attr("rotation_speed")] * 3)
        self.step(squeeze=1.0)
        while not self.over:
            command = script.poll()
            trigger = {1: 1.0, -1: 0.0}.get(command.gripper, self.hand.trigger)
            moved = command.motion * speed
            self.step(moved[:3], moved[3:], trigger=trigger)
        return bool(self.info["succeed"])

    def _send(self) -> None:
        way = self.delay()
        if way is not None and self.talks:
            # One connection keeps the order, so what is slow holds up what comes after it.
            arrival = max([self.now + way, *(at for at, _ in self.under_way[-1:])])
            message = Input(time=self.hand.time, motion=(0.0,) * 6, held=[], changes=[], hand=self.hand)
            self.under_way.append((arrival, message))
        while self.under_way and self.under_way[0][0] <= self.now:
            self.device.receive(self.under_way.pop(0)[1])


def headset_tasks(quick: bool = False) -> Row:
    """Episodes that a scripted hand solves."""
    episodes = 2 if quick else OF
    with own_console():
        counts = []
        for id_ in ("gym_hil/PandaPickCubeMetaQuest-v1", "gym_hil/PandaInsertPegMetaQuest-v0"):
            solved = 0
            for seed in range(episodes):
                operator = Operator(id_, seed=seed)
                solved += operator.episode()
                operator.env.close()
            counts.append(solved)
    picked, inserted = counts
    met = picked >= PICKS * episodes / OF and inserted >= INSERTIONS * episodes / OF
    words = f"{picked} of {episodes} cubes, {inserted} of {episodes} pegs"
    return Row("Headset: a scripted hand picks and inserts", f"{PICKS} of {OF}, {INSERTIONS} of {OF}", words, met)


def headset_accuracy(quick: bool = False) -> Row:
    """How exactly the tool goes where the hand goes, from random places and directions of the operator."""
    chance = np.random.default_rng(0)
    errors = []
    with own_console():
        for seed in range(3 if quick else 30):
            operator = Operator("gym_hil/PandaPickCubeMetaQuest-v1", seed=seed)
            operator.device.tracking.scale = scale = chance.uniform(0.2, 1.0)
            before, turned_before = operator.base.tcp_target, operator.base.tcp_rotation_target
            operator.step(squeeze=1.0, yaw=chance.uniform(-math.pi, math.pi))
            engaged = np.abs(operator.base.tcp_target - before).max()
            moves, turns = chance.uniform(-0.015, 0.015, (6, 3)), chance.uniform(-0.05, 0.05, (6, 3))
            wanted = np.eye(3)
            for move, turn in zip(moves, turns, strict=True):
                operator.step(move, turn)
                wanted = rotation_matrix(turn) @ wanted
            for _ in range(SETTLE):
                operator.step()
            off = np.linalg.norm(operator.base.tcp_target - before - moves.sum(axis=0))
            turned = operator.base.tcp_rotation_target @ turned_before.T
            errors.append((1000 * engaged, 1000 * off, _degrees(wanted @ turned.T), scale))
            operator.env.close()
    engaged, off, turned = (max(column) for column in list(zip(*errors, strict=True))[:3])
    words = f"{off:.4f} mm and {turned:.4f} degrees off, {engaged:.4f} mm by engaging (worst of {len(errors)})"
    bar = f"at most {MOVED_MM:g} mm, {TURNED_DEGREES:g} degrees and {ENGAGED_MM:g} mm"
    met = off <= MOVED_MM and turned <= TURNED_DEGREES and engaged <= ENGAGED_MM
    return Row("Headset: tool follows hand, scale 0.2 to 1, any yaw", bar, words, bool(met))


def headset_radio(quick: bool = False) -> Row:
    """Delays of up to 300 ms and losses of 10%: the steps of the target, silence, and the way back."""
    chance = random.Random(0)
    largest, still, back = 0.0, 0.0, 0
    speeds = []  # m/s of the tool in the steps after the last message, of each episode
    episodes = 2 if quick else 20
    with own_console():
        for seed in range(episodes):
            operator = Operator("gym_hil/PandaPickCubeMetaQuest-v1", seed=seed)
            operator.delay = lambda: None if chance.random() < 0.1 else chance.uniform(0.0, 0.3)
            operator.step(squeeze=1.0)
            for _ in range(40):
                operator.step([chance.uniform(-0.04, 0.04) for _ in range(3)])
            operator.under_way, operator.talks = [], False
            tool = [operator.base.tcp_position]
            for step in range(1, 16):
                target = operator.base.tcp_target
                operator.step()
                moves = np.abs(operator.base.tcp_target - target).max() > 1e-9
                still = max(still, operator.dt * step) if moves else still
                tool.append(operator.base.tcp_position)
            speeds.append(np.linalg.norm(np.diff(tool, axis=0), axis=1) / operator.dt)
            operator.talks, operator.delay = True, lambda: 0.08
            for _ in range(4):
                operator.step()
            height = operator.base.tcp_target[2]
            way = 0.04 if height < 0.25 else -0.04
            for _ in range(4):
                operator.step([0.0, 0.0, way / 4])
            operator.step()
            operator.step()
            back += operator.info["is_intervention"] and abs(operator.base.tcp_target[2] - height - way) < 0.005
            largest = max(largest, float(np.abs(np.diff(operator.targets, axis=0)).max()))
            operator.env.close()
    settled = []
    for threshold in (0.05, 0.02, 0.01, 0.005, 0.001):
        after = [operator.dt * (1 + np.flatnonzero(of_one > threshold).max(initial=-1)) for of_one in speeds]
        settled.append(f"{1000 * threshold:g} mm/s after {np.median(after):.1f} ({max(after):.1f}) s")
    words = (
        f"largest step {1000 * largest:.1f} mm; after silence the target is still after {still:.1f} s, the arm slower "
        f"than {', '.join(settled)}, median (worst); {back} of {episodes} drive on"
    )
    met = largest <= 0.025 + 1e-6 and still <= 0.3 + 1e-6 and back == episodes
    bar = "no step above 25 mm, the target still after 0.3 s, drives on when back within 2 s"
    return Row("Headset: 300 ms of delay, 10% lost", bar, words, bool(met))


def headset_view(quick: bool = False) -> Row:
    """What the page does in VR while it drives: drawing of a new state, handling of a message, age of a pose.

    In each frame the emulator asks the renderer for its state, which blocks the page until the frame before is drawn: a
    new state that comes meanwhile is drawn in the frame after. The renderer, the page and the environment share the
    cores.
    """
    bar = (
        f"p95: drawn within {DRAWN_MS:.0f} ms, a message at most {HANDLED_MS:.0f} ms, applied at most {APPLIED_MS:.0f} "
        "ms beyond a step"
    )
    what = "Headset: VR in Chromium with software GL"
    times = _view(quick)
    if times is None:
        return Row(what, bar, NO_BROWSER, None)
    limits = {"drawn": DRAWN_MS, "handled": HANDLED_MS, "ages": 100 + APPLIED_MS}
    met = all(np.percentile(times[name], 95) <= limit for name, limit in limits.items())
    return Row(what, bar, _in_words(times), met)


def headset_view_empty(quick: bool = False) -> Row:
    """What of that is left where the page has nothing to draw."""
    what = "Headset: the same with an empty scene"
    times = _view(quick, script="page.view.scene.visible = false")
    return Row(what, "reported", NO_BROWSER if times is None else _in_words(times), None)


def _in_words(times: dict[str, list[float]]) -> str:
    percentiles = {name: np.percentile(of_one, [50, 95]) for name, of_one in times.items()}
    (drawn, late), (handled, slow), (age, old) = (percentiles[name] for name in ("drawn", "handled", "ages"))
    return (
        f"drawn after p50 {drawn:.0f}, p95 {late:.0f} ms ({len(times['drawn'])} states); a message p50 {handled:.2f}, "
        f"p95 {slow:.2f} ms; pose to executed action p50 {age:.0f}, p95 {old:.0f} ms"
    )


def _view(quick: bool, *, script: str = "") -> dict[str, list[float]] | None:
    """Times in VR, in ms, as `drawn`, `handled` and `ages`; None without Chromium and iwer.

    Args:
        script: runs once the hand drives, with `page`.
    """
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if not EMULATOR.exists() or executable is None:
        return None
    from playwright.sync_api import sync_playwright

    with own_console() as console, sync_playwright() as playwright, contextlib.ExitStack() as stack:
        env: Any = gym.make(
            "gym_hil/PandaPickCubeMetaQuest-v1",
            reset_delay_seconds=0,
            max_episode_steps=10_000,
        )
        stack.callback(env.close)
        env.reset(seed=0)
        stay, ages = env.get_wrapper_attr("idle_action"), []
        device = env.get_wrapper_attr("device")
        receive, hands = device.receive, {}  # ms on the page's clock: of a message -> of the hand in it

        def received(message: Input) -> None:
            if message.hand is not None:
                hands[message.time] = message.hand.time  # a page that draws slowly sends a hand again
            receive(message)

        device.receive = received
        arguments = ["--headless=new", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader"]
        browser = playwright.chromium.launch(
            executable_path=executable, args=[*arguments, "--enable-unsafe-swiftshader"]
        )
        stack.callback(browser.close)
        page = browser.new_page(viewport={"width": 640, "height": 360})
        page.add_init_script(EMULATOR.read_text(encoding="utf-8") + WEAR)
        page.goto(console.url)
        _step_until(env, stay, page, lambda: page.evaluate("window.wear?.() ?? false"))
        _step_until(env, stay, page, lambda: device.tracking.clutch > 0)
        # Not the difference of two clocks that are read one after the other: a page that draws answers late.
        offset = page.evaluate("performance.timeOrigin")
        page.evaluate(f'import("/static/main.js").then(({{ page }}) => {{ {script}; window.measuring = true; }})')
        start, steps = time.monotonic(), 30 if quick else 200
        for step in range(steps):
            env.step(stay)
            newest = max((sent for sent in [*hands] if sent <= device.applied), default=None)
            if newest is not None:
                ages.append(time.time() * 1000 - offset - hands[newest])
            page.wait_for_timeout(max(0.0, 1000 * (start + 0.1 * (step + 1) - time.monotonic())))
        drawn, handled = page.evaluate("[window.drawn, window.handled]")
    return {"drawn": drawn, "handled": handled, "ages": ages}


# Wears the headset, squeezes and moves the hand in a circle; notes when each state was first drawn (ms after it was
# published) and how long each message took.
WEAR = """
window.drawn = []; window.handled = []; window.measuring = false;
window.device = new IWER.XRDevice(IWER.metaQuest3);
device.installRuntime({ forceInstall: true });
Object.defineProperty(XRPose.prototype, "emulatedPosition", { get: () => false });
const { set } = Object.getOwnPropertyDescriptor(WebSocket.prototype, "onmessage");
Object.defineProperty(WebSocket.prototype, "onmessage", { set(handle) {
  set.call(this, handle && ((event) => {
    const start = performance.now();
    handle(event);
    if (window.measuring) handled.push(performance.now() - start);
  }));
} });
window.wear = () => {
  import("/static/main.js").then(({ page }) => {
    if (window.worn || !page.frame || !page.view.channel || !Object.keys(page.bindings.headset).length) return;
    window.worn = true;
    const draw = page.view.drawFor.bind(page.view);
    let last = 0;
    page.view.drawFor = (...given) => {
      draw(...given);
      if (window.measuring && page.frame.sequence !== last) drawn.push(Date.now() - 1000 * page.frame.published);
      last = page.frame.sequence;
    };
    page.xr.toggle("immersive-vr");
    setInterval(() => {
      const angle = performance.now() / 1000;
      device.controllers.right.position.set(0.1 + 0.05 * Math.sin(angle), 1.3, -0.4 + 0.05 * Math.cos(angle));
      device.controllers.right.updateButtonValue("squeeze", page.xr.session ? 1 : 0);
    }, 10);
  });
  return window.worn ?? false;
};
"""


def _step_until(env: Any, action: Any, page: Any, condition: Callable[[], bool]) -> None:
    for _ in range(600):
        env.step(action)
        if condition():
            return
        page.wait_for_timeout(100)
    raise RuntimeError("the emulated headset does not drive")


def _turned(quaternion: Any, vector: Any) -> Any:
    """A quaternion, w last, turned by a rotation vector."""
    result = np.empty(4)
    mujoco.mju_mulQuat(result, rotation_quaternion(np.array(vector)), np.roll(quaternion, 1))
    return tuple(np.roll(result, -1).tolist())


def _degrees(rotation: Any) -> float:
    return math.degrees(math.acos(float(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))
