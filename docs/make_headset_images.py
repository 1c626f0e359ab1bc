"""Draws docs/images/headset-vr.png and headset-phone.png: what an operator sees in a headset, and on a phone in AR.

The headset is emulated by the npm package iwer: `make page` first. Needs the extra `test` and Chromium; run it from the
repository's top: python docs/make_headset_images.py
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gymnasium as gym
from make_console_images import ARGUMENTS, FINE, IMAGES, keep, slow_clock
from playwright.sync_api import Page, sync_playwright

from gym_hil.console import Console
from gym_hil.console import server as console_module
from gym_hil.teleop import make_device
from gym_hil.wrappers.action_map import fit_action_map

EMULATOR = Path(__file__).parents[1] / "web" / "node_modules" / "iwer" / "build" / "iwer.min.js"
DESK = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 780}, "device_scale_factor": 2}
RECORDING = {"activity": "recording", "phase": "running", "episode": 3, "episodes": 50, "has_policy": False}
# One eye; a head that looks down at the table; both controllers in sight. A phone shows the room behind the robot, here
# a wall.
WEAR = """
window.device = new IWER.XRDevice(IWER.metaQuest3);
device.installRuntime({ forceInstall: true });
device.stereoEnabled = false;
device.fovy = 1.2;
device.position.set(0, 1.6, 0);
device.quaternion.set(-0.19, 0, 0, 0.98);
device.controllers.right.position.set(0.16, 1.32, -0.42);
device.controllers.left.position.set(-0.2, 1.28, -0.4);
for (const side of ["left", "right"]) device.controllers[side].quaternion.set(-0.17, 0, 0, 0.98);
Object.defineProperty(XRPose.prototype, "emulatedPosition", { get: () => false });
"""
HOLD = """
Object.defineProperty(XRSession.prototype, "domOverlayState", { get: () => ({ type: "screen" }) });
device.position.set(0, 1.45, -0.1);
addEventListener("DOMContentLoaded", () => {
  document.body.style.background = "linear-gradient(#cfc8bd, #b9b0a3 62%, #8d8577 62%, #a39a8b)";
  document.getElementById("phone").style.zIndex = 1000;
  document.querySelectorAll("header, main").forEach((part) => (part.style.visibility = "hidden"));
});
"""


def main() -> None:
    """Drive an episode's first half, once in VR and once by a phone, and keep what is seen."""
    console = console_module._shared = Console(port=0)
    options = {"clock": slow_clock}
    env: Any = gym.make("gym_hil/PandaPickCubeMetaQuest-v1", reset_delay_seconds=0, device_options=options)
    emulator = EMULATOR.read_text(encoding="utf-8") + WEAR
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for name, options, script in (("vr", DESK, emulator), ("phone", PHONE, emulator + HOLD)):
            env.get_wrapper_attr("channel").set_session(**RECORDING)
            env.reset(seed=4)
            context = browser.new_context(**options, color_scheme="light")
            context.add_init_script(FINE + script)
            page = context.new_page()
            page.goto(console.url)
            page.wait_for_selector("[data-lock=you]")
            drive(env, page, "immersive-vr" if name == "vr" else "immersive-ar")
            keep(page.screenshot(), IMAGES / f"headset-{name}.png")
            page.evaluate(f"({SESSION})().then((xr) => xr.session.end())")
            page.wait_for_timeout(500)
            context.close()
        browser.close()
    env.close()
    console.close()


SESSION = "() => import('/static/main.js').then(({ page }) => page.xr)"


def drive(env: Any, page: Page, mode: str) -> None:
    """Bring the gripper to the cube, then take over."""
    script, fitted = make_device("scripted", env=env), fit_action_map(None, env)
    last = env.get_wrapper_attr("idle_action")
    for _ in range(9):
        last = fitted.action(script.poll(), last)
        env.step(last)
    page.evaluate(f"import('/static/main.js').then(({{ page }}) => {{ page.xr.toggle('{mode}') }})")
    page.wait_for_timeout(4000)
    page.evaluate("device.controllers.right.updateButtonValue('squeeze', 1)")
    if mode == "immersive-ar":
        squeeze = page.locator(".squeeze").bounding_box()
        assert squeeze is not None
        page.mouse.move(squeeze["x"] + 100, squeeze["y"] + 40)
        page.mouse.down()
    for _ in range(8):
        page.wait_for_timeout(400)
        env.step(env.get_wrapper_attr("idle_action"))
    page.wait_for_timeout(3000)


if __name__ == "__main__":
    main()
