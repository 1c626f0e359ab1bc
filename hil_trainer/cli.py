"""The command `hil-trainer`: train policies with an operator in the loop, and see how good they are."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from gym_hil.errors import GymHilError
from hil_trainer.errors import HilTrainerError

# Command -> what it does. The module of that name in `hil_trainer.commands` is imported when the command is given.
COMMANDS = {
    "train": "learn a task, with an operator who helps",
    "join": "act in a training that runs on Ray, as an operator or with nobody",
    "eval": "run a trained policy, and count successes",
    "plot": "compare runs: one image, and how soon each learned the task",
    "classifier": "learn what success looks like, from recorded episodes",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments; those of the process if None.

    Returns:
        The exit status: 0, or 1 after a message about what went wrong.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="hil-trainer", description=__doc__)
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    try:
        command: Any = None
        for name, purpose in COMMANDS.items():
            # Only the command that is meant is loaded: some need packages that are not installed everywhere.
            if words[:1] == [name]:
                command = importlib.import_module(f"hil_trainer.commands.{name}")
                # `train` has too many settings to declare by hand; it reads its words itself.
                if hasattr(command, "run_words"):
                    return command.run_words(words[1:])
                command.add_arguments(parsers.add_parser(name, help=purpose, description=command.__doc__))
            else:
                parsers.add_parser(name, help=purpose, add_help=False)
        arguments = parser.parse_args(words)
        return command.run(arguments)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("gym_hil", "hil_trainer"):
            raise
        print(f"hil-trainer {words[0]}: {error.name} is missing: pip install 'gym-hil[train]'.", file=sys.stderr)
        return 1
    except (HilTrainerError, GymHilError) as error:
        print(f"hil-trainer {words[0]}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
