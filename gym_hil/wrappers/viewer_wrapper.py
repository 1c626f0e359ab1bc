"""MuJoCo's viewer beside a running environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from numpy.typing import ArrayLike

from gym_hil.rendering.window import ViewerWindow
from gym_hil.wrappers.base import OperatorWrapper, record_arguments


class PassiveViewerWrapper(OperatorWrapper):
    """Shows every step and reset in MuJoCo's viewer.

    The window opens at the first reset. Without a display there is one warning and no window; a window that the
    operator closes stays closed. Either way the environment goes on. An environment made with `render_mode="human"` has
    a window of its own, so this one opens none.

    Args:
        env: an environment with `model` and `data`.
        show_left_ui: whether the viewer's left panel is open.
        show_right_ui: whether the right one is.
    """

    NOT_COPIED = ("_window",)

    @record_arguments()
    def __init__(self, env: gym.Env[Any, Any], *, show_left_ui: bool = False, show_right_ui: bool = False):
        super().__init__(env)
        self._panels = {"show_left_ui": show_left_ui, "show_right_ui": show_right_ui}
        self._window: ViewerWindow | None = None

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode and show it."""
        result = self.env.reset(**kwargs)
        if self._window is None and self.env.render_mode != "human":
            base: Any = self.env.unwrapped
            self._window = ViewerWindow(base.model, base.data, **self._panels)
        self._show()
        return result

    def step(self, action: ArrayLike) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Make a step and show it."""
        result = self.env.step(action)
        self._show()
        return result

    def close(self) -> None:
        """Close the window, then the environment."""
        if self._window is not None:
            self._window.close()
        self.env.close()

    def _show(self) -> None:
        if self._window is not None:
            self._window.sync()
