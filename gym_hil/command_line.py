"""What `gym-hil` and `hil-trainer` do alike: choose the command, and turn failures into one line and an exit status."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from gym_hil.errors import GymHilError

INTERRUPTED = 130  # 128 + SIGINT, as shells report a program that Ctrl-C ended
OUTPUT_CLOSED = 141  # 128 + SIGPIPE, as shells report a program whose reader went away: `gym-hil doctor | head -1`


def run_command_line(
    program: str,
    description: str | None,
    commands: Mapping[str, str],
    package: str,
    arguments: Sequence[str] | None = None,
    *,
    extra: str | None = None,
) -> int:
    """Run a program that consists of commands, each a module of its own; returns the exit status.

    The module of a command has `add_arguments(parser)` and `run(arguments) -> int`, or `run_words(words) -> int` when
    it parses its words itself. Only the module of the command that was given is imported, because some need packages
    that are not installed everywhere.

    Args:
        program: name of the program.
        description: what the program is for.
        commands: name and purpose of each command.
        package: package of the commands' modules.
        arguments: words after the program's name; those of the process if None.
        extra: the extra that brings packages that a command fails to import; None if the commands say it themselves.

    Returns:
        That of the command, 1 after a message about what went wrong, 130 after Ctrl-C, 141 when the output was closed.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    # The command lies elsewhere; `module:function` has to find a module in the current folder all the same.
    if "" not in sys.path:
        sys.path.append("")
    for stream in (sys.stdout, sys.stderr):
        # An encoding such as cp1252 lacks many letters of paths and tasks; what it lacks is written as \u7acb.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            return _run(program, description, commands, package, words, extra)
        finally:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
    except OSError:
        problem = _discard_broken_output()
        if problem is None:
            raise
        # Windows has no EPIPE.
        if problem.errno in (errno.EPIPE, errno.EINVAL):
            return OUTPUT_CLOSED
        print(f"{program}: the output cannot be written: {problem.strerror}", file=sys.stderr)
        return 1


def _run(
    program: str,
    description: str | None,
    commands: Mapping[str, str],
    package: str,
    words: list[str],
    extra: str | None,
) -> int:
    from gym_hil import __version__

    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parsed: argparse.Namespace | None = None
    try:
        command: Any = None
        for name, purpose in commands.items():
            if words[:1] == [name]:
                command = importlib.import_module(f"{package}.{name.replace('-', '_')}")
                if hasattr(command, "run_words"):
                    return command.run_words(words[1:])
                command.add_arguments(parsers.add_parser(name, help=purpose, description=command.__doc__))
            else:
                parsers.add_parser(name, help=purpose, add_help=False)
        parsed = parser.parse_args(words)
        return command.run(parsed)
    except GymHilError as error:
        message = _with_flags(str(error), parsed) if parsed else str(error)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if extra is None or missing in ("gym_hil", "hil_trainer"):
            raise
        message = f"{missing} is not installed: pip install 'gym-hil[{extra}]'"
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED
    print(f"{program} {words[0]}: {message}", file=sys.stderr)
    return 1


def _with_flags(message: str, arguments: argparse.Namespace) -> str:
    """The library names arguments as in Python, `resume=True`; users of the command line know them as `--resume`."""

    def flag(match: re.Match[str]) -> str:
        return f"--{match[1].replace('_', '-')}" if hasattr(arguments, match[1]) else match[0]

    return re.sub(r"\b([a-z_]+)=(True|\.\.\.)", flag, message)


def _discard_broken_output() -> OSError | None:
    """How standard output or standard error fails, None if both work; what is still buffered for it goes nowhere.

    Otherwise Python reports the failure once more when it exits.
    """
    problem = None
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                if stream is sys.stdout:
                    stream.write("\n")  # without a buffer there is nothing left that flushing could fail with
                stream.flush()
        except OSError as error:
            problem = error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
    return problem
