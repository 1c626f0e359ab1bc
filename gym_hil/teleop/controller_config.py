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
    """Where the sticks and buttons of one controller are."""

    # Axis index of each of `left_x`, `left_y`, `right_x`, `right_y` and, where triggers are axes, `lt`, `rt`.
    axes: dict[str, int]
    # Button index of each of `a`, `b`, `x`, `y`, `lb`, `rb` and, where they exist, `lt`, `rt`, `back` and `start`.
    buttons: dict[str, int]
    # For each stick axis, whether its sign is flipped, so that right and up become positive.
    axis_inversion: dict[str, bool]


def load_controller_config(name: str | None, config_path: str | PathLike[str] | None = None) -> ControllerConfig:
    """The mapping of the controller called `name` by SDL (`pygame.joystick.Joystick.get_name`), the caller's own.

    A name without an entry gets the entry `default`; axes that `axis_inversion` leaves out have the default's sign.

    Args:
        name: of the controller.
        config_path: a JSON file of the same structure as `controller_config.json`; None for the bundled one.

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
    """All mappings of a file by the names of the controllers; every entry has to be valid."""
    path, entries = _read(config_path)
    return {name: _validated(entry, where=f"{path}: [{name!r}]") for name, entry in entries.items()}


def bundled_config_path() -> Path:
    """Where the `controller_config.json` that came with the package is.

    A wheel carries it inside the package. In a checkout, an editable install and an unpacked sdist it stands beside
    the package, at the project's top level.
    """
    package = Path(__file__).resolve().parents[1]
    inside = package / FILE_NAME
    return inside if inside.is_file() else package.parent / FILE_NAME


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
    return path, _object(entries, str(path), "an object of controllers by name")


def _validated(entry: object, *, where: str) -> ControllerConfig:
    checked = _object(entry, where, "an object with axes and buttons")
    inversion = _object(checked.get("axis_inversion", {}), f"{where}.axis_inversion", "an object")
    for axis, value in inversion.items():
        if not isinstance(value, bool):
            raise _wrong(value, f"{where}.axis_inversion.{axis}", "true or false")
    indices = {}
    for section, required, expected in (
        ("axes", REQUIRED_AXES, "an axis index >= 0"),
        ("buttons", REQUIRED_BUTTONS, "a button index >= 0"),
    ):
        values = indices[section] = dict(_object(checked.get(section), f"{where}.{section}", "an object"))
        for key in (*required, *values):
            # A JSON true would pass as the index 1.
            if type(value := values.get(key)) is not int or value < 0:
                raise _wrong(value, f"{where}.{section}.{key}", expected)
    return {**indices, "axis_inversion": {**DEFAULT_INVERSION, **inversion}}  # type: ignore[typeddict-item]


def _object(value: object, where: str, expected: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(value, where, expected)
    return value


def _wrong(value: object, where: str, expected: str) -> ControllerConfigError:
    shown = "missing" if value is None else repr(value)
    return ControllerConfigError(f"{where} is {shown}; expected {expected}. {HELP}")
