"""What this machine has for each part of the package, what is missing, and what to do about it."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gym_hil.cli.arguments import path_argument
from gym_hil.teleop.hid_device import udev_advice
from gym_hil.teleop.registry import DEVICES, DeviceEntry
from gym_hil.teleop.spacemouse import CONNEXION

PROBE_SECONDS = 30.0  # a first OpenGL context in software takes about 2 s on a busy machine

# What each extra installs that nothing else does.
EXTRAS: dict[str, tuple[str, ...]] = {
    "web": ("aiohttp", "cryptography", "simplejpeg"),
    "data": ("av", "huggingface_hub", "pyarrow"),
    "pynput": ("pynput",),
    "test": ("pytest", "xdist", "hypothesis", "PIL", "playwright", "psutil"),
}

_GL_PROBE = """
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom size='1'/></worldbody></mujoco>")
data = mujoco.MjData(model)
renderer = mujoco.Renderer(model, 16, 16)
mujoco.mj_forward(model, data)
renderer.update_scene(data)
renderer.render()
"""
_JOYSTICK_PROBE = """
import pygame
pygame.display.init()
pygame.joystick.init()
print("\\n".join(pygame.joystick.Joystick(k).get_name() for k in range(pygame.joystick.get_count())))
"""
_HID_PROBE = """
import hid
print("\\n".join(sorted({entry["product_string"] or "unnamed" for entry in hid.enumerate()})))
"""
_GL_ADVICE = {
    "egl": "Debian and Ubuntu: apt-get install libegl1 libgl1-mesa-dri; then set MUJOCO_GL=egl",
    "osmesa": "Debian and Ubuntu: apt-get install libosmesa6; then set MUJOCO_GL=osmesa",
    "glfw": "needs a display; without one use egl or osmesa",
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        ok: whether it can be used.
        found: what was found, in a few words.
        advice: what to do when it is wanted and not ok.
        core: True when nothing works without it.
    """

    name: str
    ok: bool
    found: str
    advice: str = ""
    core: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil doctor`."""
    parser.add_argument("--gamepad", action="store_true", help="show what a gamepad sends, and a mapping to paste")
    parser.add_argument(
        "--controller-config", type=path_argument, metavar="FILE", help="your own mapping, for --gamepad"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil doctor`."""
    if not arguments.gamepad:
        return examine()
    from gym_hil.teleop.gamepad_watch import watch_gamepad

    watch_gamepad(controller_config_path=arguments.controller_config)
    return 0


def examine() -> int:
    """Print the report.

    Returns:
        The exit status: 0, or 1 when something is missing that the package cannot work without.
    """
    found = checks()
    print(report(found))
    return int(any(check.core and not check.ok for check in found))


def checks() -> list[Check]:
    """Look at everything. Whatever could crash or hang is tried in a process of its own."""
    return [
        _python(),
        *(_package(name) for name in ("mujoco", "gymnasium", "numpy", "numba", "imageio")),
        _environment(),
        _numba_cache(),
        *(_gl(backend) for backend in _GL_ADVICE),
        _display(),
        _joysticks(),
        _hid(),
        *(_extra(name, modules) for name, modules in EXTRAS.items()),
        *device_checks(),
    ]


def report(checks: Sequence[Check]) -> str:
    """The checks as text, one a line, each followed by what to do about it where it is not ok."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{'ok     ' if check.ok else 'missing'}  {check.name:<{width}}  {check.found}")
        if not check.ok and check.advice:
            lines.append(f"{'':{width + 9}}  -> {check.advice}")
    return "\n".join(lines)


def _python() -> Check:
    return Check("Python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}", core=True)


def _package(name: str) -> Check:
    try:
        return Check(name, True, importlib.metadata.version(name), core=True)
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "not installed", "pip install gym-hil", core=True)


def _environment() -> Check:
    probe = (
        "import gymnasium, gym_hil; env = gymnasium.make('gym_hil/PandaPickCubeBase-v0', image_obs=True); "
        "env.reset(seed=0); env.step(env.action_space.sample())"
    )
    # The first run after an installation compiles the renderer.
    ok, output = _try(probe, seconds=10 * PROBE_SECONDS)
    found = "makes, steps and draws" if ok else output
    return Check("environment", ok, found, "pip install --force-reinstall gym-hil", core=True)


def _numba_cache() -> Check:
    """Compiled code is kept beside the sources or, where these can't be written, in the user's cache folder."""
    override = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(override) if override else Path(__file__).parents[1] / "rendering"
    advice = "the renderer is compiled anew in every process; set NUMBA_CACHE_DIR to a folder that can be written"
    for candidate in [folder] if override else [folder, Path.home() / ".cache"]:
        try:
            candidate.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=candidate):
                return Check("numba cache", True, f"{candidate} can be written")
        except OSError:
            continue
    return Check("numba cache", False, f"{folder} cannot be written", advice)


def _gl(backend: str) -> Check:
    ok, output = _try(_GL_PROBE, MUJOCO_GL=backend)
    found = "draws" if ok else output
    advice = f'only renderer="gl" and MuJoCo\'s viewer need it. {_GL_ADVICE[backend]}'
    return Check(f"OpenGL by {backend}", ok, found, advice)


def _display() -> Check:
    advice = "windows need one; observations, videos and training do not"
    if platform.system() == "Linux":
        found = next((f"{key}={os.environ[key]}" for key in ("WAYLAND_DISPLAY", "DISPLAY") if os.environ.get(key)), "")
        return Check("display", bool(found), found or "neither DISPLAY nor WAYLAND_DISPLAY is set", advice)
    return Check("display", True, "the desktop")


def _joysticks() -> Check:
    ok, output = _try(_JOYSTICK_PROBE, SDL_VIDEODRIVER="dummy", SDL_AUDIODRIVER="dummy", PYGAME_HIDE_SUPPORT_PROMPT="1")
    names = output.splitlines() if ok else []
    advice = "plug a controller in or pair it"
    if ok and platform.system() == "Linux":
        advice += "; if it is, its /dev/input/event* must be readable: add yourself to the group input and log in again"
    if not ok:
        advice = "pip install pygame"
    return Check("joysticks", bool(names), ", ".join(names) or (output if not ok else "none connected"), advice)


def _hid() -> Check:
    """HID devices such as a SpaceMouse. Listing works without rights; opening one needs them."""
    ok, output = _try(_HID_PROBE)
    if not ok:
        return Check("HID access", False, output, "pip install hidapi")
    names = ", ".join(output.splitlines())
    if platform.system() != "Linux":
        return Check("HID access", True, names or "no device connected")
    nodes = sorted(Path("/dev").glob("hidraw*"))
    closed = [str(node) for node in nodes if not os.access(node, os.R_OK | os.W_OK)]
    advice = f"for a SpaceMouse, {udev_advice(CONNEXION)}"
    if closed:
        return Check("HID access", False, f"{names}; not allowed to open {', '.join(closed)}", advice)
    return Check("HID access", True, names or "no device connected")


def _extra(name: str, modules: Sequence[str]) -> Check:
    absent = [module for module in modules if importlib.util.find_spec(module) is None]
    found = "installed" if not absent else f"lacks {', '.join(absent)}"
    return Check(f"extra {name}", not absent, found, f"pip install 'gym-hil[{name}]'")


def device_checks() -> list[Check]:
    """One check for each input device that can be chosen."""
    return [_device(name, entry) for name, entry in DEVICES.items() if entry.selectable]


def _device(name: str, entry: DeviceEntry) -> Check:
    absent = [module for module in EXTRAS.get(entry.extra or "", ()) if importlib.util.find_spec(module) is None]
    return Check(f"device {name}", not absent, entry.summary, f"pip install 'gym-hil[{entry.extra}]'")


def _try(code: str, seconds: float = PROBE_SECONDS, **environment: str) -> tuple[bool, str]:
    """Run Python code in a process of its own.

    Returns:
        Whether it succeeded, and what it printed or the last line of what went wrong.
    """
    try:
        result = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=seconds,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer within {seconds:g} s"
    if result.returncode == 0:
        return True, result.stdout.strip()
    if result.returncode < 0:
        return False, f"the process was ended by signal {-result.returncode}"
    # The error that matters comes first; errors from destructors follow it.
    error = re.search(r"^[\w.]+: .+", result.stderr, re.MULTILINE)
    return False, error.group() if error else f"exit status {result.returncode}"
