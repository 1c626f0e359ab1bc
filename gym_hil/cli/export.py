"""Write a task's scene as one MJCF file, for any MuJoCo program to open."""

from __future__ import annotations

import argparse

from gym_hil.cli.arguments import path_argument, write_output
from gym_hil.registration import find_task, make_task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil export`."""
    parser.add_argument("task", metavar="TASK", help="task, with or without version, such as PandaPickCube-v1")
    parser.add_argument("folder", type=path_argument, metavar="DIR", help="folder to write TASK.xml into")


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil export`; the file contains everything, meshes, textures and the controller's actuators too."""
    name, version = find_task(arguments.task)
    path = arguments.folder / f"{name}-v{version}.xml"
    env = make_task(arguments.task)
    try:
        write_output(path, env.mjspec.to_xml())
    finally:
        env.close()
    print(f"wrote {path}\nopen it: python -m mujoco.viewer --mjcf={path}")
    return 0
