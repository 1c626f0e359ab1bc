"""Which axis and button of a game controller is which, read from `controller_config.json`."""

import json
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict

from gym_hil.errors import ControllerConfigError
from gym_hil.files import expand_path

FILE_NAME = "controller_config.json"
FALLBACK = "default"
REQUIRED_AXES = ("left_x", "left_y", "right_x", "right_y")
REQUIRED_BUTTONS = ("a", "b", "x", "y", "lb", "rb")
HELP = "See docs/devices.md#mapping."

# SDL counts a stick pushed up as negative.
DEFAULT_INVERSION = {"left_x": False, "left_y": True, "right_x": False, "right_y": True}


class ControllerConfig(TypedDict):
    """Where the sticks and buttons of one controller are.

    Attributes:
        axes: axis index of each of `left_x`, `left_y`, `right_x`, `right_y` and, where triggers are axes, `lt`, `rt`.
        buttons: button index of each of `a`, `b`, `x`, `y`, `lb`, `rb` and, where they exist, `lt`, `rt`, `back` and
            `start`.
        axis_inversion: for each stick axis, whether its sign is flipped, so that right and up become positive.
    """

    axes: dict[str, int]
    buttons: dict[str, int]
    axis_inversion: dict[str, bool]


def load_controller_config(name: str | None, config_path: str | PathLike[str] | None = None) -> ControllerConfig:
    """The mapping of the controller called `name`.

    Args:
        name: what SDL calls the controller (`pygame.joystick.Joystick.get_name`). A name without an entry gets the
            entry `default`.
        config_path: a JSON file of the same structure as `controller_config.json`; None for the bundled one.

    Returns:
        The mapping, the caller's own. Stick axes that the file's `axis_inversion` leaves out have the default's sign.

    Raises:
        ControllerConfigError: the file is missing, is not JSON, or has neither the entry nor a default, or the entry
            has a missing or impossible value. The message names the file, the key and the value.
    """
    path, entries = _read(config_path)
    key = name if name is not None and name in entries else FALLBACK
    if key not in entries:
        raise ControllerConfigError(
            f"{path}: no entry {name!r} and no entry 'default'; found {sorted(entries)}. Add one of them. {HELP}"
        )
    return _validated(entries[key], where=f"{path}: [{key!r}]")


def load_controller_configs(config_path: str | PathLike[str] | None = None) -> dict[str, ControllerConfig]:
    """All mappings of a file by the names of the controllers.

    Args:
        config_path: see `load_controller_config`.

    Raises:
        ControllerConfigError: see `load_controller_config`; here every entry has to be valid.
    """
    path, entries = _read(config_path)
    return {name: _validated(entry, where=f"{path}: [{name!r}]") for name, entry in entries.items()}


def bundled_config_path() -> Path:
    """Where the `controller_config.json` that came with the package is.

    A wheel carries it inside the package. In a checkout, an editable install and an unpacked sdist it stands beside
    the package, at the project's top level.

    Raises:
        ControllerConfigError: it is in neither place.
    """
    package = Path(__file__).resolve().parents[1]
    candidates = [package / FILE_NAME, package.parent / FILE_NAME]
    for path in candidates:
        if path.is_file():
            return path
    looked = " and ".join(map(str, candidates))
    raise ControllerConfigError(f"The bundled {FILE_NAME} is missing (looked at {looked}); reinstall gym-hil.")


def _read(config_path: str | PathLike[str] | None) -> tuple[Path, dict[str, Any]]:
    path = bundled_config_path() if config_path is None else expand_path(config_path)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ControllerConfigError(
            f"{path} cannot be read ({error.strerror}); give the path of a JSON file."
        ) from error
    except ValueError as error:
        raise ControllerConfigError(f"{path} is not valid JSON: {error}. {HELP}") from error
    if not isinstance(entries, dict):
        raise ControllerConfigError(f"{path} is {_shown(entries)}; expected an object of controllers by name. {HELP}")
    return path, entries


def _validated(entry: object, *, where: str) -> ControllerConfig:
    if not isinstance(entry, dict):
        raise ControllerConfigError(f"{where} is {_shown(entry)}; expected an object with axes and buttons. {HELP}")
    inversion = entry.get("axis_inversion", {})
    if not isinstance(inversion, dict):
        raise ControllerConfigError(f"{where}.axis_inversion is {_shown(inversion)}; expected an object. {HELP}")
    for axis, value in inversion.items():
        if not isinstance(value, bool):
            raise ControllerConfigError(
                f"{where}.axis_inversion.{axis} is {_shown(value)}; expected true or false. {HELP}"
            )
    return {
        "axes": _indices(entry, "axes", REQUIRED_AXES, "an axis index", where=where),
        "buttons": _indices(entry, "buttons", REQUIRED_BUTTONS, "a button index", where=where),
        "axis_inversion": {**DEFAULT_INVERSION, **inversion},
    }


def _indices(
    entry: dict[str, Any], section: str, required: tuple[str, ...], expected: str, *, where: str
) -> dict[str, int]:
    values = entry.get(section)
    if not isinstance(values, dict):
        raise ControllerConfigError(f"{where}.{section} is {_shown(values)}; expected an object. {HELP}")
    for key in (*required, *values):
        value = values.get(key)
        # A JSON true would pass as the index 1.
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ControllerConfigError(f"{where}.{section}.{key} is {_shown(value)}; expected {expected} >= 0. {HELP}")
    return dict(values)


def _shown(value: object) -> str:
    return "missing" if value is None else repr(value)
