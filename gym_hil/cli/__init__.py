"""Environments in which a policy and an operator share one robot: drive, record, export, and check this machine."""

from __future__ import annotations

from collections.abc import Sequence

from gym_hil.command_line import run_command_line

# Command -> what it does. The module of that name in `gym_hil.cli` is imported when the command is given.
COMMANDS = {
    "demo": "make a video of a scripted operator who takes over from a random policy, or of a trained policy",
    "teleop": "drive the robot yourself, with any device",
    "view": "open a task in MuJoCo's viewer; its sliders move the robot",
    "export": "write a task's scene as one MJCF file",
    "record": "record demonstrations as a LeRobotDataset",
    "eval": "run a policy without an operator, and count successes",
    "replay": "play recorded episodes again; --check compares them with the recording",
    "limits": "move the arm and measure how far it reaches, for the bounds of a configuration",
    "crop": "crop each camera's images to the region that matters, into a new dataset",
    "dataset": "inspect, filter, merge, relabel and compact datasets",
    "lerobot-config": "write configuration files for LeRobot itself: record, replay, train",
    "doctor": "check what this machine has, what is missing, and what to do about it",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: words after the command's name; those of the process if None.

    Returns:
        The exit status: 0, or another number after a message about what went wrong.
    """
    return run_command_line("gym-hil", __doc__, COMMANDS, __name__, arguments)
