"""MuJoCo's own viewer window, for watching; never a reason for the program to stop."""

from __future__ import annotations

import atexit
import threading
import warnings
from typing import Any

import mujoco

from gym_hil import display

_SECONDS_TO_CLOSE = 5.0


class ViewerWindow:
    """A window that shows a simulation which the caller steps.

    It opens at the first `sync`. Where it cannot open it warns once and does nothing from then on; when the operator
    closes it, it stays closed and the simulation goes on.
    """

    def __init__(
        self, model: mujoco.MjModel, data: mujoco.MjData, *, show_left_ui: bool = False, show_right_ui: bool = False
    ):
        self._model, self._data = model, data
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
            atexit.unregister(self.close)
        self._tried = False

    def _open(self) -> None:
        problem = display.missing_display()
        if problem is None:
            try:
                import mujoco.viewer

                before = threading.enumerate()
                self._handle = mujoco.viewer.launch_passive(self._model, self._data, **self._panels)
                self._threads = [thread for thread in threading.enumerate() if thread not in before]
                # MuJoCo shuts the window system down at exit; a thread that still draws then crashes the process.
                atexit.register(self.close)
                return
            except Exception as error:  # the simulation goes on without a window, whatever the reason
                problem = f"MuJoCo's viewer did not open ({error})."
        warnings.warn(f"{problem} Going on without a window; run `gym-hil doctor` for advice.", stacklevel=4)
