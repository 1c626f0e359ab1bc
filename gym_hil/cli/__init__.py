"""The command `gym-hil`: see the environments at work, and see what this machine can do."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from gym_hil.errors import GymHilError

# Command -> what it does. The module of that name in `gym_hil.cli` is imported when the command is given.
COMMANDS = {
    "demo": "a scripted operator takes over from a random policy; leaves a video",
    "teleop": "drive the robot yourself, with whatever you have",
    "view": "open a task in MuJoCo's viewer; its sliders move the robot",
    "export": "write a task's scene as one MJCF file",
    "record": "record demonstrations as a LeRobotDataset",
    "replay": "play recorded episodes again; --check tells whether the same happens",
    "limits": "move the arm and note how far it came, for a configuration's bounds",
    "crop": "keep the interesting region of each camera's images, in a new dataset",
    "dataset": "look into datasets, merge them, filter episodes, give other rewards",
    "lerobot-config": "write configuration files for LeRobot itself: record, replay, train",
    "doctor": "what this machine has, what is missing, and what to do about it",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments; those of the process if None.

    Returns:
        The exit status: 0, or 1 after a message about what went wrong.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="gym-hil", description=__doc__)
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command: Any = None
    for name, purpose in COMMANDS.items():
        # Only the command that is meant is loaded: some need packages that are not installed everywhere.
        if words[:1] == [name]:
            command = importlib.import_module(f"gym_hil.cli.{name.replace('-', '_')}")
            command.add_arguments(parsers.add_parser(name, help=purpose, description=command.__doc__))
        else:
            parsers.add_parser(name, help=purpose, add_help=False)
    arguments = parser.parse_args(words)
    try:
        return command.run(arguments)
    except GymHilError as error:
        print(f"gym-hil {arguments.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
