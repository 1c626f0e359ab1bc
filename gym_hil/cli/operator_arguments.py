"""Who drives, as commands ask for it: the same options wherever an operator takes part."""

from __future__ import annotations

import argparse

from gym_hil.cli.console_options import add_console_arguments, console_options
from gym_hil.display import ConsoleOptions
from gym_hil.teleop import MODES
from gym_hil.teleop.operator import AUTO, OperatorOptions, operator_choices


def add_operator_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options about who drives."""
    parser.add_argument(
        "--device",
        action="append",
        metavar="NAME",
        help=f"{', '.join(operator_choices())}; several, with commas or one by one, share the robot ({AUTO})",
    )
    parser.add_argument(
        "--intervention", choices=list(MODES), help="when you drive: see docs/operating.md (the device's own: toggle)"
    )
    parser.add_argument("--orientation", action="store_true", help="turn the gripper too, with a SpaceMouse")
    parser.add_argument(
        "--controller-config", metavar="FILE", help="your own mapping of a gamepad; see docs/devices.md"
    )
    parser.add_argument("--no-viewer", action="store_true", help="open no window")
    add_console_arguments(parser)


def operator_options(arguments: argparse.Namespace) -> OperatorOptions:
    """The options about who drives.

    Args:
        arguments: of a parser that was given to `add_operator_arguments`.
    """
    console = console_options(arguments)
    return OperatorOptions(
        device=tuple(arguments.device or [AUTO]),
        intervention=arguments.intervention,
        orientation=arguments.orientation,
        controller_config=arguments.controller_config,
        viewer=False if arguments.no_viewer else None,
        console=ConsoleOptions(**console) if console else None,
    )
