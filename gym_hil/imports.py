"""Functions and classes that users name as `module:function`."""

from __future__ import annotations

import importlib
import traceback
from typing import Any

from gym_hil.errors import ConfigurationError


def is_function_name(text: str) -> bool:
    """Whether a text has the form `module:function`, with dots in the module's name allowed."""
    module, colon, function = text.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *function.split(".")))


def import_function(name: str, *, role: str) -> Any:
    """Import the function or class that `module:function` names.

    Args:
        name: of the function.
        role: what it is for, such as "reward"; for messages.

    Raises:
        ConfigurationError: there is none.
    """
    if not is_function_name(name):
        raise ConfigurationError(f"The {role} is {name!r}; expected MODULE:FUNCTION.")
    module, _, function = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:  # any, from a user's module
        raise ConfigurationError(
            f"The {role} {name} cannot be imported: {describe_error(error)}. Install what is missing, or name the "
            "folder of the module in PYTHONPATH."
        ) from error
    for part in function.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ConfigurationError(f"The {role} {name} does not exist: {module} has no function {function}.")
    return found


def describe_error(error: BaseException) -> str:
    """An exception of a user's code as one line, with the place in that code where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame.filename]
    where = f" ({users[-1].filename}, line {users[-1].lineno})" if users else ""
    first = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    return f"{type(error).__name__}{': ' if first else ''}{first}{where}"
