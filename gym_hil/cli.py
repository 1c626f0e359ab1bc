"""The command `gym-hil`: see the environments at work, and see what this machine can do."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from gym_hil.errors import GymHilError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments; those of the process if None.

    Returns:
        The exit status: 0, or 1 after a message about what went wrong.
    """
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except GymHilError as error:
        print(f"gym-hil {arguments.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gym-hil", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="a simulated person takes over from a random policy; leaves a video")
    demo.add_argument("--task", default="PandaPickCube", help="task, with or without version (%(default)s)")
    demo.add_argument("--out", default="outputs/demo.mp4", metavar="FILE", help=".mp4 or .gif (%(default)s)")
    demo.add_argument("--episodes", type=int, default=3, help="how many (%(default)s)")
    demo.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    demo.add_argument("--renderer", choices=["raster", "gl"], default="raster", help="(%(default)s)")
    demo.set_defaults(run=_demo)

    view = commands.add_parser("view", help="open a task in MuJoCo's viewer; its sliders move the robot")
    view.add_argument("task", metavar="TASK")
    view.set_defaults(run=_view)

    export = commands.add_parser("export", help="write a task's scene as one MJCF file")
    export.add_argument("task", metavar="TASK")
    export.add_argument("folder", metavar="DIR")
    export.set_defaults(run=_export)

    doctor = commands.add_parser("doctor", help="what this machine has, what is missing, and what to do about it")
    doctor.add_argument("--gamepad", action="store_true", help="show what a gamepad sends, and a mapping to paste")
    doctor.add_argument("--controller-config", metavar="FILE", help="mapping file of your own, with --gamepad")
    doctor.set_defaults(run=_doctor)
    return parser


def _demo(arguments: argparse.Namespace) -> int:
    from gym_hil.demo import run_demo

    lifted = run_demo(
        task=arguments.task,
        out=arguments.out,
        episodes=arguments.episodes,
        seed=arguments.seed,
        renderer=arguments.renderer,
    )
    return 0 if lifted == arguments.episodes else 1


def _view(arguments: argparse.Namespace) -> int:
    from gym_hil.view import view_task

    view_task(arguments.task)
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from gym_hil.export import export_scene

    path = export_scene(arguments.task, arguments.folder)
    print(f"wrote {path}\nopen it: python -m mujoco.viewer --mjcf={path}")
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from gym_hil import doctor

    if arguments.gamepad:
        from gym_hil.teleop.gamepad_watch import watch_gamepad

        watch_gamepad(controller_config_path=arguments.controller_config)
        return 0
    return doctor.run()
