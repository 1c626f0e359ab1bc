"""Keys read by pynput, in every window of an X server, of macOS and of Windows."""

from __future__ import annotations

import importlib.util
import threading
from typing import Any

from gym_hil.errors import DeviceError, MissingExtraError
from gym_hil.teleop.input_state import InputState
from gym_hil.teleop.keyboard import KeyBackend

# pynput's names -> ours. It names the left one of a pair after both.
NAMES = {"shift": "shift_l", "ctrl": "ctrl_l"}


class PynputBackend(KeyBackend):
    """Listens with pynput."""

    name = "pynput"
    title = "any window (pynput)"

    def __init__(self, inputs: InputState):
        super().__init__(inputs)
        if importlib.util.find_spec("pynput") is None:
            raise MissingExtraError("Reading keys in every window needs pynput: pip install 'gym-hil[pynput]'")
        try:
            from pynput import keyboard
        except Exception as error:  # it raises whatever the system's library raises
            raise DeviceError(f"pynput does not work here: {' '.join(str(error).split())}.") from error
        self._is_open = True
        self._listener = keyboard.Listener(on_press=self._on_press, on_release=self._on_release)
        self._listener.start()
        # pynput's `wait` waits for ever if the listener fails before it is ready.
        ready = threading.Thread(target=self._listener.wait, daemon=True)
        ready.start()
        while ready.is_alive() and self._listener.is_alive():
            ready.join(0.01)
        if not self._listener.is_alive():
            raise DeviceError("pynput has stopped right after its start; it reads no keys here.")
        if not getattr(self._listener, "IS_TRUSTED", True):
            self._listener.stop()
            raise DeviceError(
                "macOS does not let this program read keys: allow the terminal under System Settings, Privacy & "
                "Security, Input Monitoring and Accessibility, and start it again."
            )

    def is_alive(self) -> bool:
        return bool(self._listener.is_alive() and self._listener.running)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            # `stop` takes locks of the system's library, which this thread may hold if it runs a finaliser.
            threading.Thread(target=self._listener.stop, daemon=True).start()

    def _on_press(self, key: Any) -> None:
        if self._is_open:
            self.press(_name(key))

    def _on_release(self, key: Any) -> None:
        if self._is_open:
            self.release(_name(key))


def _name(key: Any) -> str:
    name = getattr(key, "name", None) or (getattr(key, "char", None) or "").lower()
    return NAMES.get(name, name)
