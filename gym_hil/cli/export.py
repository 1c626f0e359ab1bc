"""Write a task's scene as one MJCF file, for any MuJoCo program to open."""

from __future__ import annotations

import argparse
from pathlib import Path

from gym_hil.cli.arguments import path_argument, write_output
from gym_hil.registration import find_task, make_task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil export`."""
    parser.add_argument("task", metavar="TASK", help="task, with or without version, such as PandaPickCube-v1")
    parser.add_argument("folder", type=path_argument, metavar="DIR", help="folder to write TASK.xml into")


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil export`."""
    path = export_scene(arguments.task, arguments.folder)
    print(f"wrote {path}\nopen it: python -m mujoco.viewer --mjcf={path}")
    return 0


def export_scene(task: str, folder: Path) -> Path:
    """Write a task's scene as MJCF.

    The file contains everything: meshes and textures are inside, and the controller is made of actuators, so that
    `python -m mujoco.viewer --mjcf=FILE` moves the robot by its sliders.

    Args:
        task: for example `PandaPickCube-v1`.
        folder: created if it is missing.

    Returns:
        The file, `folder/<task>.xml`.

    Raises:
        ConfigurationError: no such task, or the folder cannot be written to.
    """
    name, version = find_task(task)
    path = folder / f"{name}-v{version}.xml"
    env = make_task(task)
    try:
        write_output(path, env.mjspec.to_xml())
    finally:
        env.close()
    return path
