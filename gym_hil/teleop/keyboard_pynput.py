"""Keys heard by pynput, for macOS and Windows."""

from __future__ import annotations

import importlib.util
import threading
from typing import Any

from gym_hil.errors import DeviceError, MissingExtraError
from gym_hil.teleop.keyboard_keys import Keys, KeySource

# pynput's names -> ours. It calls the left one of a pair by the name of both, and on some systems also by its own.
NAMES = {"shift": "shift_l", "ctrl": "ctrl_l"}


class PynputKeys(KeySource):
    """Listens with pynput.

    Args:
        keys: is told what is pressed.

    Raises:
        MissingExtraError: pynput is not installed.
        DeviceError: pynput does not work here.
    """

    title = "pynput, in every window"

    def __init__(self, keys: Keys):
        if importlib.util.find_spec("pynput") is None:
            raise MissingExtraError("Hearing keys with pynput needs pynput: pip install 'gym-hil[pynput]'")
        try:
            from pynput import keyboard
        except Exception as error:  # it raises whatever the system's library raises
            raise DeviceError(f"pynput does not work here: {' '.join(str(error).split())}.") from error
        self._keys, self._open = keys, True
        self._listener = keyboard.Listener(on_press=self._press, on_release=self._release)
        self._listener.start()
        # pynput's `wait` waits for ever if the listener fails before it is ready.
        ready = threading.Thread(target=self._listener.wait, daemon=True)
        ready.start()
        while ready.is_alive() and self._listener.is_alive():
            ready.join(0.01)
        if not self._listener.is_alive():
            raise DeviceError("pynput has stopped right after its start; it hears no keys here.")
        if not getattr(self._listener, "IS_TRUSTED", True):
            self._listener.stop()
            raise DeviceError(
                "macOS does not let this program hear keys: allow the terminal under System Settings, Privacy & "
                "Security, Input Monitoring and Accessibility, and start it again."
            )

    def alive(self) -> bool:
        """See `KeySource.alive`."""
        return bool(self._listener.is_alive() and self._listener.running)

    def close(self) -> None:
        """See `KeySource.close`."""
        self._open = False
        self._listener.stop()  # its thread may live on until the next key

    def _press(self, key: Any) -> None:
        if self._open:
            self._keys.press(_name(key))

    def _release(self, key: Any) -> None:
        if self._open:
            self._keys.release(_name(key))


def _name(key: Any) -> str:
    name = getattr(key, "name", None) or (getattr(key, "char", None) or "").lower()
    return NAMES.get(name, name)
