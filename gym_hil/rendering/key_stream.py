"""The keys typed into MuJoCo's viewer window, for whoever wants to hear them.

MuJoCo tells its user only of presses: the `key_callback` of `mujoco.viewer.launch_passive` gets a key code and nothing
else, in MuJoCo 3.3 as in 4.0. The window is GLFW's, though, which tells of releases too, also of those that it makes up
for every held key when the window loses the focus (GLFW, input guide, `glfwSetKeyCallback`). The callback runs in the
thread that draws, where the window is the current context. So the first key shows which window it is, and from then on
GLFW's own callback is heard, in front of MuJoCo's.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from gym_hil.rendering.thread_watch import ThreadWatch

# Told of a key and whether it went down; answers whether the key is its own, so that the window must not act on it.
KeyListener = Callable[[str, bool], bool]


class KeyStream:
    """The keys of one environment's window, whether it is open or not.

    A key's name is the letter that it types in the present layout, or GLFW's name for it in small letters, such as
    `left_shift`. A key that is down and repeats itself is told once. Listeners are called in the window's own thread.

    Args:
        problem: tells why no window can open here, or None if one can.
    """

    def __init__(self, problem: Callable[[], str | None]):
        self._problem = problem
        self._listeners: list[KeyListener] = []
        self._is_running: Callable[[], bool] | None = None

    @property
    def problem(self) -> str | None:
        """Why no window can open here, or None if one can."""
        return self._problem()

    @property
    def is_open(self) -> bool:
        """Whether there is a window to type into, and it still takes keys in."""
        return self._is_running is not None and self._is_running()

    def listen(self, listener: KeyListener) -> None:
        """Tell somebody of every key from now on."""
        self._listeners.append(listener)

    def forget(self, listener: KeyListener) -> None:
        """Tell somebody no longer."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def tell(self, key: str, down: bool) -> bool:
        """Pass on a key; whether anybody wants it for their own."""
        answers = [listener(key, down) for listener in self._listeners]
        return any(answers)

    def attach(self, is_running: Callable[[], bool] | None) -> None:
        """Say how to find out whether the window still takes keys in; None when it is closed."""
        self._is_running = is_running


class KeyTap:
    """Hears the keys of one window and passes on to MuJoCo those that nobody else wants.

    Where the window cannot be found, releases remain unknown: then a key is up again as soon as it is down.

    Args:
        tell: is told of each key; see `KeyListener`.
    """

    def __init__(self, tell: KeyListener):
        self._tell = tell
        self._down: dict[int, str] = {}  # GLFW's code of a wanted key that is down, and the name it went down with
        self._ours: Any = None  # kept, because GLFW holds only an address
        self._theirs: Any = None
        self._watch: ThreadWatch | None = None

    def takes_keys(self) -> bool:
        """Whether the window's thread is not at a standstill, as when the X server no longer answers.

        A key that is down then would stay down, for its release is not heard.
        """
        return self._watch is None or self._watch.runs()

    def on_first_key(self, code: int) -> None:
        """To be MuJoCo's `key_callback`. MuJoCo has acted on this key already."""
        import glfw

        if self._ours is not None:
            return  # heard by `_on_key` before it got to MuJoCo
        self._watch = ThreadWatch(threading.get_native_id())
        window = glfw.get_current_context()
        if not window:
            key = _name(code, 0)
            self._tell(key, True)
            self._tell(key, False)
            return
        library: Any = glfw
        set_callback = library._glfw.glfwSetKeyCallback  # glfw's Python function forgets callbacks that C code has set
        self._ours = set_callback.restype(self._on_key)
        self._theirs = set_callback(window, self._ours)
        if self._press(code, 0) and _is_letter(code):
            # Letters switch parts of the image on and off there, so a second press undoes the first.
            self._theirs(window, code, 0, glfw.PRESS, 0)

    def let_go(self) -> None:
        """Say that nothing is down any longer."""
        for code in list(self._down):
            self._tell(self._down.pop(code), False)

    def _on_key(self, window: Any, code: int, scancode: int, action: int, modifiers: int) -> None:
        import glfw

        if action == glfw.PRESS:
            wanted = self._press(code, scancode)
        else:
            wanted = code in self._down
            if action == glfw.RELEASE and wanted:
                self._tell(self._down.pop(code), False)
        if not wanted:
            self._theirs(window, code, scancode, action, modifiers)

    def _press(self, code: int, scancode: int) -> bool:
        key = _name(code, scancode)
        wanted = self._tell(key, True)
        if wanted:
            self._down[code] = key
        return wanted


def _name(code: int, scancode: int) -> str:
    import glfw

    if not _is_letter(code):
        return _names().get(code, "")
    typed = glfw.get_key_name(code, scancode)
    # Of layouts with other letters, the place of the key counts.
    return typed.lower() if typed and typed.isascii() and typed.isalpha() else chr(code).lower()


def _is_letter(code: int) -> bool:
    import glfw

    return glfw.KEY_A <= code <= glfw.KEY_Z


@functools.cache
def _names() -> dict[int, str]:
    import glfw

    prefix = "KEY_"
    return {getattr(glfw, name): name[len(prefix) :].lower() for name in dir(glfw) if name.startswith(prefix)}
