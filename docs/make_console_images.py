"""Draws docs/images/console-{light,dark,phone,fetch,pusht}.png: the operator's page on a desk and on a phone.

The episodes in the plot were played by a policy that gets better and a scripted operator who takes over when it makes
no progress. Needs the extra `test` and Chromium; run it from the repository's top: python docs/make_console_images.py

`fetch` and `pusht` show environments of other packages: python docs/make_console_images.py fetch pusht, in a virtual
environment with gymnasium-robotics, gym-pusht and 'mujoco<4' as well.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import gym_hil
from gym_hil.console import Console
from gym_hil.console import server as console_module
from gym_hil.teleop.scripted.operator import ScriptedOperator

IMAGES = Path(__file__).parent / "images"
EPISODES = 60
LATENCY = 120  # ms, at most, on an image
DESK = {"viewport": {"width": 1440, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
ARGUMENTS = [
    "--headless=new",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--no-sandbox",
]
SCHEMES = {"light": (DESK, "light"), "dark": (DESK, "dark"), "phone": (PHONE, "light")}
# Environments of other packages: id, which numbers of the action the operator sets, which key is pressed, for how many
# steps.
FOREIGN = {
    "fetch": ("gymnasium_robotics:FetchPickAndPlace-v4", "x=0,y=1,z=2,gripper=-3", "KeyQ", 15),
    "pusht": ("gym_pusht:gym_pusht/PushT-v0", "x=0*20:last,y=1*20:last", "ArrowRight", 8),
}
# As with a graphics card, but drawn only when `drawing` is set: a processor that draws this has no time to send input.
FINE = """
const UNMASKED_RENDERER = 37446;
const ask = WebGL2RenderingContext.prototype.getParameter;
WebGL2RenderingContext.prototype.getParameter = function (name) {
  return name === UNMASKED_RENDERER ? "a graphics card" : ask.call(this, name);
};
const draw = requestAnimationFrame;
const waiting = [];
let drawing = true;
window.requestAnimationFrame = (step) => (drawing ? draw(step) : waiting.push(step));
window.setDrawing = (on) => { drawing = on; if (on) waiting.splice(0).forEach((step) => draw(step)); };
"""


def main(names: Sequence[str]) -> None:
    """Play, open the pages, and keep their images.

    Raises:
        ValueError: no image has that name.
    """
    if unknown := set(names) - set(SCHEMES) - set(FOREIGN):
        raise ValueError(f"{sorted(unknown)} are no images; expected names of {[*SCHEMES, *FOREIGN]}.")
    console = console_module._shared = Console(port=0)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        if own := [name for name in names if name in SCHEMES]:
            draw_panda(console, browser, own)
        for name in names:
            if name in FOREIGN:
                draw_foreign(console, browser, name)
        browser.close()
    console.close()


def draw_panda(console: Console, browser: Browser, names: Sequence[str]) -> None:
    """Draw PandaPickCube with the history of its episodes."""
    env = gym.make(
        "gym_hil/PandaPickCubeWeb-v1", image_obs=True, reset_delay_seconds=0, device_options={"clock": slow_clock}
    )
    policy = ScriptedOperator(env, motion_noise=0.1, seed=0)
    env.reset(seed=4)
    for record in play():
        console.channels[0].add_episode(record)
    for name in names:
        options, scheme = SCHEMES[name]
        with opened(console, browser, env, options, scheme) as page:
            take_part(name, env, policy, page)
            page.evaluate("setDrawing(true)")
            page.wait_for_timeout(6000)
            keep(page.screenshot(), IMAGES / f"console-{name}.png")
    env.close()


def draw_foreign(console: Console, browser: Browser, name: str) -> None:
    """Draw an environment of another package, driven from the page."""
    env_id, action_map, key, steps = FOREIGN[name]
    env = gym_hil.wrap(
        gym.make(env_id, render_mode="rgb_array"),
        "web",
        action_map=action_map,
        reset_delay_seconds=0,
        device_options={"clock": slow_clock},
    )
    with opened(console, browser, env, DESK, "light") as page:
        page.locator(".dock [data-button=INTERVENE]").click()
        page.keyboard.down(key)
        for _ in range(steps):
            env.step(env.get_wrapper_attr("idle_action"))
            page.wait_for_timeout(100)
        page.evaluate("setDrawing(true)")
        page.wait_for_timeout(6000)
        keep(page.screenshot(), IMAGES / f"console-{name}.png")
    env.close()


@contextlib.contextmanager
def opened(
    console: Console, browser: Browser, env: Any, options: dict[str, Any], scheme: Literal["light", "dark"]
) -> Iterator[Page]:
    """A page that has the controls, shows a usual latency and does not draw."""
    context = browser.new_context(**options, color_scheme=scheme)
    context.add_init_script(FINE)
    page = context.new_page()
    page.goto(console.url)
    env.reset(seed=4)
    page.wait_for_selector("[data-lock=you]")
    page.evaluate("setDrawing(false)")
    settle(env, page)
    yield page
    page.click("#lock-button")
    context.close()


def slow_clock() -> float:
    """Time by which the operator counts as silent: a busy machine may keep the browser silent for longer."""
    return time.monotonic() / 20


def settle(env: Any, page: Page) -> None:
    """Step until the latency that the page shows, a running mean, has forgotten how long the first drawings took.

    Raises:
        RuntimeError: the machine is so busy that the image would show its latency.
    """
    stay = env.get_wrapper_attr("idle_action")
    for _ in range(30):
        env.reset(seed=4)
        for _ in range(10):
            env.step(stay)
            page.wait_for_timeout(100)
        shown = page.inner_text("#connection-text")
        latency = re.search(r"\d+", shown)
        if latency is None or int(latency.group()) <= LATENCY:
            return
    raise RuntimeError(f"The page says {shown!r}; draw the images where it is at most {LATENCY} ms.")


def take_part(name: str, env: Any, policy: ScriptedOperator, page: Page) -> None:
    """Bring about what the image is of."""
    finish(env, policy)
    env.reset(seed=4)
    policy.reset()
    if name == "light":
        step(env, policy, page, 5)
        return
    step(env, policy, page, 3)
    page.locator(".dock [data-button=INTERVENE]").click()
    if name == "dark":
        page.click("summary:has-text('Controls')")  # closes the legend, so that there is room for the events
        page.click("#events summary")
        page.keyboard.down("ArrowUp")
    step(env, policy, page, 5)


def step(env: Any, policy: ScriptedOperator, page: Page, count: int) -> None:
    """Let the policy act, at the pace of the environment, while the page lives."""
    for _ in range(count):
        env.step(action_of(policy))
        page.wait_for_timeout(100)


def finish(env: Any, policy: ScriptedOperator) -> None:
    """Let the policy end the episode."""
    over = False
    while not over:
        *_, terminated, truncated, _ = env.step(action_of(policy))
        over = terminated or truncated


def play() -> list[dict[str, Any]]:
    """Records of episodes with a policy whose skill grows from none to perfect."""
    env = gym.make(
        "gym_hil/PandaPickCubeScripted-v1", device_options={"takeover": "no_progress", "reaction_delay": 3, "seed": 0}
    )
    policy = ScriptedOperator(env, motion_noise=0.1, seed=1)
    random = np.random.default_rng(0)
    records = []
    for number in range(EPISODES):
        env.reset(seed=number)
        policy.reset()
        skill = number / EPISODES
        steps = interventions = 0
        over = False
        while not over:
            wanted = action_of(policy)
            if random.random() > skill:
                wanted = np.array([*random.uniform(-1, 1, 3), 1], np.float32)
            *_, terminated, truncated, info = env.step(wanted)
            steps += 1
            interventions += info["is_intervention"]
            over = terminated or truncated
        success = info["next.success"]
        records.append(
            {
                "number": number + 1,
                "steps": steps,
                "interventions": interventions,
                "success": success,
                "episode_return": float(success),
                "discarded": False,
            }
        )
    env.close()
    return records


def action_of(policy: ScriptedOperator) -> NDArray[np.float32]:
    """What a scripted operator does, as an action."""
    command = policy.poll()
    return np.array([*command.motion[:3], command.gripper + 1], np.float32)


def keep(png: bytes, path: Path) -> None:
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.save(path, optimize=True)
    print(f"{path.name}: {image.width} x {image.height}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:] or list(SCHEMES))
