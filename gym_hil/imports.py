"""Functions and classes that users name as `module:function`."""

from __future__ import annotations

import contextlib
import importlib
import traceback
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from gym_hil.errors import ConfigurationError, GymHilError, check


def is_function_name(text: str) -> bool:
    """Whether a text has the form `module:function`, with dots in the module's name allowed."""
    module, colon, function = text.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *function.split(".")))


def import_function(name: str, *, role: str) -> Any:
    """Import what `module:function` names, in a role such as "reward"; a ConfigurationError if there is none."""
    check(is_function_name(name), f"The {role}", name, "MODULE:FUNCTION")
    module, _, function = name.partition(":")
    found: Any = import_module(module, what=f"The {role} {name}")
    for part in function.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ConfigurationError(f"The {role} {name} does not exist: {module} has no function {function}.")
    return found


def import_module(module: str, *, what: str) -> ModuleType:
    """Import a user's module; a ConfigurationError that begins with `what` it is needed for if that fails."""
    advice = "Install what is missing, or name the folder of the module in PYTHONPATH."
    with running_user_code(f"{what} cannot be imported", advice):
        return importlib.import_module(module)


@contextlib.contextmanager
def running_user_code(problem: str, advice: str = "", error: type[GymHilError] = ConfigurationError) -> Iterator[None]:
    """A block that runs a user's code: an exception that is none of ours becomes an error of one line.

    That says the problem, what was raised and where, and the advice.
    """
    try:
        yield
    except GymHilError:
        raise
    except Exception as raised:  # any, from a user's code
        raise error(f"{problem}: {describe_error(raised)}. {advice}".rstrip()) from raised


def describe_error(error: BaseException) -> str:
    """An exception of a user's code as one line, with the place in that code where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame.filename]
    where = f" ({users[-1].filename}, line {users[-1].lineno})" if users else ""
    first = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    return f"{type(error).__name__}{': ' if first else ''}{first}{where}"
