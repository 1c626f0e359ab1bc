"""Open a task in MuJoCo's own viewer, where the mouse pulls at objects and sliders move the robot."""

from __future__ import annotations

import argparse
import sys

from gym_hil import display
from gym_hil.errors import RenderingError
from gym_hil.registration import make_task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil view`."""
    parser.add_argument("task", metavar="TASK", help="task, with or without version, such as PandaPickCube-v1")


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil view`."""
    env = make_task(arguments.task)
    # This viewer runs in the main thread, so on macOS it needs no launcher.
    problem = display.missing_display() if sys.platform.startswith("linux") else None
    if problem:
        raise RenderingError(
            f"{problem} Use `gym-hil export {arguments.task} DIR` and open the file on a machine with a display."
        )
    import mujoco.viewer

    env.reset()
    mujoco.viewer.launch(env.model, env.data)
    env.close()
    return 0
