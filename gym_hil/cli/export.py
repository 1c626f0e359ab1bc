"""A task's scene as one MJCF file, for any MuJoCo program to open."""

from __future__ import annotations

import argparse
from pathlib import Path

from gym_hil.errors import ConfigurationError
from gym_hil.registration import find_task, make_task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil export`."""
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("folder", metavar="DIR")


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil export`."""
    path = export_scene(arguments.task, arguments.folder)
    print(f"wrote {path}\nopen it: python -m mujoco.viewer --mjcf={path}")
    return 0


def export_scene(task: str, folder: str | Path) -> Path:
    """Write a task's scene as MJCF.

    The file holds everything: meshes and textures are inside, and the controller is made of its actuators, so that
    `python -m mujoco.viewer --mjcf=FILE` moves the robot by its sliders.

    Args:
        task: for example `PandaPickCube-v1`.
        folder: made if it is missing.

    Returns:
        The file, `folder/<task>.xml`.

    Raises:
        ConfigurationError: no such task, or the folder cannot be written.
    """
    name, version = find_task(task)
    path = Path(folder) / f"{name}-v{version}.xml"
    env = make_task(task)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(env.mjspec.to_xml(), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error}. Choose another folder.") from error
    finally:
        env.close()
    return path
