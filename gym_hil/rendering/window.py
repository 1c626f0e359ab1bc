"""MuJoCo's own viewer window, for watching; never a reason for the program to stop."""

from __future__ import annotations

import atexit
import threading
import warnings
from typing import Any

import mujoco

from gym_hil import display
from gym_hil.rendering.key_stream import KeyStream, KeyTap

# With 3.3.0, in one of six runs, `close` waited for the window's thread, which waited for the interpreter.
HEARS_KEYS = int(mujoco.__version__.partition(".")[0]) >= 4
_SECONDS_TO_CLOSE = 5.0


class ViewerWindow:
    """A window that shows a simulation while somebody else steps it.

    It opens at the first `sync`. Where it cannot open it warns once and does nothing from then on; when the operator
    closes it, it stays closed and the simulation goes on.

    Args:
        model: what is shown.
        data: its state.
        keys: is told of the keys that are typed into the window; None if nobody wants to hear them.
        show_left_ui: whether the left panel is open.
        show_right_ui: whether the right one is.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        *,
        keys: KeyStream | None = None,
        show_left_ui: bool = False,
        show_right_ui: bool = False,
    ):
        self._model, self._data = model, data
        self._keys = keys
        self._tap: KeyTap | None = None
        self._panels = {"show_left_ui": show_left_ui, "show_right_ui": show_right_ui}
        self._handle: Any = None
        self._threads: list[threading.Thread] = []
        self._tried = False

    @property
    def is_open(self) -> bool:
        """True while the window is on the screen."""
        return self._handle is not None and self._handle.is_running()

    def sync(self) -> None:
        """Show the present state."""
        if not self._tried:
            self._tried = True
            self._open()
        if self.is_open:
            self._handle.sync()

    def close(self) -> None:
        """Close the window; the next `sync` opens a new one."""
        if self._handle is not None:
            self._handle.close()
            for thread in self._threads:
                thread.join(timeout=_SECONDS_TO_CLOSE)
            self._handle = None
            if self._keys is not None and self._tap is not None:
                self._keys.attach(None)
                self._tap.let_go()
            atexit.unregister(self.close)
        self._tried = False

    def _takes_keys(self) -> bool:
        return self.is_open and self._tap is not None and self._tap.takes_keys()

    def _open(self) -> None:
        problem = display.missing_display()
        if problem is None:
            try:
                import mujoco.viewer

                before = threading.enumerate()
                options: dict[str, Any] = dict(self._panels)
                listens = self._keys is not None and unheard_keys() is None
                if self._keys is not None and listens:
                    # MuJoCo keeps the callback, and so the tap, for as long as the window may call it.
                    self._tap = KeyTap(self._keys.tell)
                    options["key_callback"] = self._tap.on_first_key
                self._handle = mujoco.viewer.launch_passive(self._model, self._data, **options)
                if self._keys is not None and listens:
                    self._keys.attach(self._takes_keys)
                self._threads = [thread for thread in threading.enumerate() if thread not in before]
                # MuJoCo ends the window system at exit; a thread that still draws then takes the process down with it.
                atexit.register(self.close)
                return
            except Exception as error:  # whatever a window system says, the robot goes on
                problem = f"MuJoCo's viewer did not open ({error})."
        warnings.warn(f"{problem} Going on without a window; run `gym-hil doctor` for advice.", stacklevel=4)


def unheard_keys() -> str | None:
    """Why keys that are typed into a window cannot be heard here, or None if they can."""
    problem = display.missing_display()
    if problem is None and not HEARS_KEYS:
        return f"The viewer of MuJoCo {mujoco.__version__} can hang when its keys are listened to; MuJoCo 4 does not."
    return problem
