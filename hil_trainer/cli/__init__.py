"""The command `hil-trainer`: train policies with an operator in the loop, and measure how good they are."""

from __future__ import annotations

from collections.abc import Sequence

from gym_hil.command_line import run_command_line

# Command -> what it does. The module of that name in `hil_trainer.cli` is imported when the command is given.
COMMANDS = {
    "train": "learn a task with the help of an operator",
    "join": "take part in a training that runs on Ray, with an operator or without",
    "eval": "run a trained policy, and count successes",
    "policies": "list the trained policies that come with the package",
    "plot": "compare runs: one figure, and how soon each run learned the task",
    "classifier": "train a reward classifier on recorded episodes, and use it",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: words after the command's name; those of the process if None.

    Returns:
        The exit status: 0, or another number after a message about what went wrong.
    """
    return run_command_line("hil-trainer", __doc__, COMMANDS, "hil_trainer.cli", arguments, extra="train")
