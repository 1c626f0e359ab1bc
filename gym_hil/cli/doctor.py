"""Check what this machine has for each part of the package, what is missing, and what to do about it."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from gym_hil import display
from gym_hil.cli.arguments import path_argument
from gym_hil.errors import ConfigurationError
from gym_hil.files import expand_path
from gym_hil.teleop.hid_device import udev_advice
from gym_hil.teleop.registry import DEVICES, DeviceEntry
from gym_hil.teleop.spacemouse import CONNEXION

PROBE_SECONDS = 30.0  # a first OpenGL context in software takes about 2 s on a busy machine
COMPILE_SECONDS = 300.0  # the first drawing after an installation compiles the renderer
WORKERS = 4  # probes at a time

CORE_PACKAGES = ("mujoco", "gymnasium", "numpy", "numba", "imageio", "rich")
EXTRAS = {
    "web": "the web console",
    "data": "recording and reading datasets",
    "train": "training policies",
    "imagenet": "training from images through a pretrained encoder",
    "ray": "training on several machines",
    "wandb": "logging to Weights & Biases",
    "pynput": "keys from any window of a desktop",
}

_ENVIRONMENT_PROBE = """
import gymnasium, gym_hil
env = gymnasium.make("gym_hil/PandaPickCubeBase-v0", image_obs=True)
env.reset(seed=0)
env.step(env.action_space.sample())
print("makes, steps and draws")
"""
_GL_PROBE = """
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom size='1'/></worldbody></mujoco>")
data = mujoco.MjData(model)
renderer = mujoco.Renderer(model, 16, 16)
mujoco.mj_forward(model, data)
renderer.update_scene(data)
renderer.render()
print("draws")
"""
_JOYSTICK_PROBE = """
import pygame
pygame.display.init()
pygame.joystick.init()
print(", ".join(pygame.joystick.Joystick(k).get_name() for k in range(pygame.joystick.get_count())))
"""
_HID_PROBE = """
import hid
print(", ".join(sorted({entry["product_string"] or "unnamed" for entry in hid.enumerate()})))
"""
_TORCH_PROBE = """
import torch
if not torch.cuda.is_available():
    raise SystemExit(f"torch {torch.__version__} finds no CUDA device")
print(", ".join(torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())))
"""


class Finding(NamedTuple):
    """Whether a part can be used, what was found, and what to do about it where that depends on what was found."""

    ok: bool
    text: str
    advice: str | None = None


class Check(NamedTuple):
    """A part: what finds out whether it can be used, what to do if not, and whether nothing works without it."""

    name: str
    look: Callable[[], Finding]
    advice: str = ""
    core: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil doctor`."""
    parser.add_argument(
        "--gamepad", action="store_true", help="show what a gamepad sends, and print a mapping to copy, until Ctrl-C"
    )
    parser.add_argument(
        "--controller-config", type=path_argument, metavar="FILE", help="JSON file with your own mapping, for --gamepad"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil doctor`; 1 if something is missing that nothing works without."""
    if arguments.gamepad:
        from gym_hil.cli.gamepad_watch import watch_gamepad

        watch_gamepad(controller_config_path=arguments.controller_config)
        return 0
    checks = all_checks()
    with ThreadPoolExecutor(WORKERS) as pool:
        findings = list(pool.map(lambda check: check.look(), checks))
    print(report(checks, findings))
    return int(any(check.core and not finding.ok for check, finding in zip(checks, findings, strict=True)))


def all_checks() -> list[Check]:
    """Everything that is checked, in the order of the report."""
    gl = 'only renderer="gl" and MuJoCo\'s viewer need it.'
    apt = f"{gl} Debian and Ubuntu: apt-get install"
    cache = "the renderer is compiled again in every process; set NUMBA_CACHE_DIR to a folder that can be written to"
    python = Finding(True, f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    environment, torch = partial(probe, _ENVIRONMENT_PROBE, COMPILE_SECONDS), partial(probe, _TORCH_PROBE)
    egl, osmesa, glfw = (partial(probe, _GL_PROBE, MUJOCO_GL=name) for name in ("egl", "osmesa", "glfw"))
    return [
        Check("Python", lambda: python, core=True),
        *(Check(name, partial(find_package, name), "pip install gym-hil", core=True) for name in CORE_PACKAGES),
        Check("environment", environment, "pip install --force-reinstall gym-hil", core=True),
        Check("numba cache", find_numba_cache, cache),
        Check("OpenGL by egl", egl, f"{apt} libegl1 libgl1-mesa-dri; then set MUJOCO_GL=egl"),
        Check("OpenGL by osmesa", osmesa, f"{apt} libosmesa6; then set MUJOCO_GL=osmesa"),
        Check("OpenGL by glfw", glfw, f"{gl} It needs a display; without one use egl or osmesa"),
        Check("display", find_display, "only windows need one; observations, videos and training do not"),
        Check("joysticks", find_joysticks),
        Check("HID access", find_hid),
        *(
            Check(f"extra {name}", partial(find_extra, name), f"for {use}: pip install 'gym-hil[{name}]'")
            for name, use in EXTRAS.items()
        ),
        Check("CUDA", torch, "training runs on the CPU; from state observations that is enough"),
        *device_checks(),
    ]


def device_checks() -> list[Check]:
    """A check for each input device that can be chosen."""
    return [
        Check(f"device {name}", partial(find_device, entry), f"pip install 'gym-hil[{entry.extra}]'")
        for name, entry in DEVICES.items()
        if entry.selectable
    ]


def report(checks: Sequence[Check], findings: Sequence[Finding]) -> str:
    """What was found as text, one line for each part, and the advice below those that cannot be used."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check, finding in zip(checks, findings, strict=True):
        lines.append(f"{'ok     ' if finding.ok else 'missing'}  {check.name:<{width}}  {finding.text}")
        advice = check.advice if finding.advice is None else finding.advice
        if not finding.ok and advice:
            lines.append(f"{'':{width + 9}}  -> {advice}")
    return "\n".join(lines)


def probe(code: str, seconds: float = PROBE_SECONDS, **environment: str) -> Finding:
    """Run Python code that may crash or hang in a process of its own; the text is what it prints, or its error."""
    try:
        result = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return Finding(False, f"no answer within {seconds:g} s")
    if result.returncode == 0:
        return Finding(True, result.stdout.partition("\n")[0].strip())
    if result.returncode < 0:
        return Finding(False, f"the process was ended by signal {-result.returncode}")
    # The error that matters comes first; errors from destructors follow it.
    error = re.search(r"^[\w.]+: .+", result.stderr, re.MULTILINE)
    lines = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
    return Finding(False, error.group() if error else lines[-1])


def find_package(name: str) -> Finding:
    """The version of a package."""
    try:
        return Finding(True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(False, "not installed")


def find_numba_cache() -> Finding:
    """Where compiled code is kept: beside the sources or, where these can't be written, in the user's cache folder."""
    override = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(override) if override else Path(__file__).parents[1] / "rendering"
    candidates = [folder]
    if not override:
        with contextlib.suppress(ConfigurationError):  # a user without a home directory
            candidates.append(expand_path("~/.cache"))
    for candidate in candidates:
        try:
            candidate.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=candidate):
                return Finding(True, f"{candidate} can be written to")
        except OSError:
            continue
    return Finding(False, f"{folder} cannot be written to")


def find_display() -> Finding:
    """Whether a window can open."""
    problem = display.missing_display()
    variables = (f"{key}={os.environ[key]}" for key in ("WAYLAND_DISPLAY", "DISPLAY") if os.environ.get(key))
    return Finding(problem is None, problem or next(variables, "the desktop"))


def find_joysticks() -> Finding:
    """Gamepads as SDL sees them."""
    found = probe(_JOYSTICK_PROBE, SDL_VIDEODRIVER="dummy", SDL_AUDIODRIVER="dummy", PYGAME_HIDE_SUPPORT_PROMPT="1")
    if not found.ok:
        return found._replace(advice="pip install pygame")
    advice = "connect a gamepad"
    if platform.system() == "Linux":
        advice += "; if one is, its /dev/input/event* must be readable: join the group input and log in again"
    return Finding(bool(found.text), found.text or "none connected", advice)


def find_hid() -> Finding:
    """HID devices such as a SpaceMouse. Listing them works without permissions, opening one does not."""
    found = probe(_HID_PROBE)
    if not found.ok:
        return found._replace(advice="pip install hidapi")
    names = found.text or "no device connected"
    nodes = sorted(Path("/dev").glob("hidraw*")) if platform.system() == "Linux" else []
    closed = [str(node) for node in nodes if not os.access(node, os.R_OK | os.W_OK)]
    if closed:
        advice = f"for a SpaceMouse, {udev_advice(CONNEXION)}"
        return Finding(False, f"{names}; no permission to open {', '.join(closed)}", advice)
    return Finding(True, names)


def find_extra(name: str) -> Finding:
    """Whether the packages of an extra are installed."""
    missing = _missing_packages(name)
    return Finding(not missing, f"lacks {', '.join(missing)}" if missing else f"installed, for {EXTRAS[name]}")


def find_device(entry: DeviceEntry) -> Finding:
    """Whether what an input device needs is installed."""
    return Finding(entry.extra is None or not _missing_packages(entry.extra), entry.summary)


def _missing_packages(extra: str) -> list[str]:
    return [package for package in packages_of(extra) if not find_package(package).ok]


def packages_of(extra: str) -> list[str]:
    """Names of the packages that an extra installs, as the metadata of `gym-hil` has them."""
    try:
        requirements = importlib.metadata.requires("gym-hil") or []
    except importlib.metadata.PackageNotFoundError:  # a source tree on the path
        return ["gym-hil"]
    packages: list[str] = []
    for requirement in requirements:
        match = re.fullmatch(r"([\w.-]+)(?:\[([\w,-]+)\])?.*extra == ['\"]([\w-]+)['\"].*", requirement)
        if match is None or match[3] != extra:
            continue
        if match[1] == "gym-hil":
            packages += [package for inner in match[2].split(",") for package in packages_of(inner)]
        else:
            packages.append(match[1])
    return packages
