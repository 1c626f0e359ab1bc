"""Keys heard from an X server, whichever window they are typed into.

The server's RECORD extension tells every press and release as it happens. Besides, the server is asked several times a
second which keys are down: that shows that it still answers, and lets go of a key whose release went unheard.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Any

from gym_hil.errors import DeviceError, MissingExtraError
from gym_hil.teleop.input_state import SILENCE_TIMEOUT
from gym_hil.teleop.keyboard_keys import Keys, KeySource

ASK_PERIOD = 0.05  # s
GRACE = 0.1  # s to wait once for an answer that is overdue, perhaps because this process was busy
START_TIMEOUT = 10.0  # s
CLOSE_TIMEOUT = 2.0  # s
KEY_PRESS, KEY_RELEASE, MAPPING_NOTIFY = 2, 3, 34  # numbers of the X protocol
EVENT_SIZE = 32  # bytes
# X's names for keys -> ours; letters have the same.
SYMBOLS = {
    "space": "space",
    "Up": "up",
    "Down": "down",
    "Left": "left",
    "Right": "right",
    "Shift_L": "shift_l",
    "Shift_R": "shift_r",
    "Control_L": "ctrl_l",
    "Control_R": "ctrl_r",
    "Return": "enter",
    "KP_Enter": "keypad_enter",
    "Escape": "esc",
    **{letter: letter for letter in "wasdqefgr"},
}


class X11Keys(KeySource):
    """Listens to the X server that `DISPLAY` names.

    Args:
        keys: is told what is pressed.

    Raises:
        MissingExtraError: python-xlib is not installed.
        DeviceError: there is no X server, or it cannot do this.
    """

    title = "X11, in every window"

    def __init__(self, keys: Keys):
        try:
            import Xlib.display
            import Xlib.error
        except ImportError as error:
            raise MissingExtraError(
                "Hearing keys from X11 needs python-xlib: pip install 'gym-hil[pynput]', or python-xlib alone"
            ) from error
        name = os.environ.get("DISPLAY")
        if not name:
            raise DeviceError("DISPLAY is not set, so there is no X server to hear keys from.")
        self._keys = keys
        self._connections: list[Any] = []
        try:
            # A connection is for one thread only.
            self._listening, self._asking = self._connect(), self._connect()
        except (Xlib.error.DisplayError, Xlib.error.XauthError, OSError) as error:
            self._disconnect()
            raise DeviceError(f"The X server {name} cannot be reached: {error}.") from error
        if not self._asking.has_extension("RECORD"):
            self._disconnect()
            raise DeviceError(f"The X server {name} lacks the extension RECORD, which tells of keys.")

        self._names = self._key_names()
        self._lock = threading.Lock()
        # Keycodes that are down, and since when (s). Those that were down before are waited for to come up.
        self._down = dict.fromkeys(_pressed(self._asking.query_keymap()), time.monotonic())
        self._asked: float | None = None  # s, when a question was put that has no answer yet
        self._answered = threading.Event()
        self._answers = True  # whether there was an answer in time at the last look
        self._stop, self._ready = threading.Event(), threading.Event()
        self._context = self._make_context()
        self._threads = [
            threading.Thread(target=self._listen, name="gym_hil keys", daemon=True),
            threading.Thread(target=self._ask, name="gym_hil keyboard", daemon=True),
        ]
        self._threads[0].start()
        if not self._ready.wait(START_TIMEOUT) or not self._threads[0].is_alive():
            self._disconnect()
            raise DeviceError(f"The X server {name} does not tell of keys.")
        self._threads[1].start()

    def alive(self) -> bool:
        """See `KeySource.alive`. A server that owes an answer for too long counts as gone until it answers."""
        if not all(thread.is_alive() for thread in self._threads):
            return False
        asked = self._asked
        answers = asked is None or time.monotonic() - asked < SILENCE_TIMEOUT
        if not answers and self._answers:
            answers = self._answered.wait(GRACE)
        self._answers = answers
        return answers

    def close(self) -> None:
        """See `KeySource.close`."""
        self._stop.set()
        for thread in reversed(self._threads):
            thread.join(CLOSE_TIMEOUT)

    def _listen(self) -> None:
        with contextlib.suppress(Exception):  # whatever ends it, `alive` tells
            self._listening.record_enable_context(self._context, self._hear)
        self._ready.set()

    def _hear(self, reply: Any) -> None:
        self._ready.set()
        if reply.category != 0:  # 0 is an event from the server
            return
        for start in range(0, len(reply.data) - EVENT_SIZE + 1, EVENT_SIZE):
            kind, code = reply.data[start] & 0x7F, reply.data[start + 1]
            key = self._names.get(code)
            if key is None:
                continue
            with self._lock:
                if kind == KEY_PRESS and code not in self._down:
                    self._down[code] = time.monotonic()
                    self._keys.press(key)
                elif kind == KEY_RELEASE:
                    self._down.pop(code, None)
                    self._keys.release(key)

    def _ask(self) -> None:
        with contextlib.suppress(Exception):  # whatever ends it, `alive` tells
            while not self._stop.wait(ASK_PERIOD):
                asked = time.monotonic()
                self._answered.clear()
                self._asked = asked
                pressed = _pressed(self._asking.query_keymap())
                self._asked = None
                self._answered.set()
                with self._lock:
                    # Presses heard after the question are not in the answer.
                    unheard = [code for code, since in self._down.items() if since < asked and code not in pressed]
                    for code in unheard:
                        del self._down[code]
                        if code in self._names:
                            self._keys.release(self._names[code])
                self._follow_layout()
            self._asking.record_disable_context(self._context)
            self._asking.sync()
            self._threads[0].join(CLOSE_TIMEOUT)
        self._disconnect()

    def _follow_layout(self) -> None:
        """Learn of another keyboard layout."""
        changed = False
        while self._asking.pending_events():
            event = self._asking.next_event()
            if event.type == MAPPING_NOTIFY:
                self._asking.refresh_keyboard_mapping(event)
                changed = True
        if changed:
            self._names = self._key_names()

    def _key_names(self) -> dict[int, str]:
        from Xlib import XK

        names = {}
        for symbol, key in SYMBOLS.items():
            for code, column in self._asking.keysym_to_keycodes(XK.string_to_keysym(symbol)):
                if column == 0:  # the key by itself, without Shift
                    names[code] = key
        return names

    def _make_context(self) -> int:
        from Xlib.ext import record

        nothing, no_extension = (0, 0), (0, 0, 0, 0)
        wanted = {
            "core_requests": nothing,
            "core_replies": nothing,
            "ext_requests": no_extension,
            "ext_replies": no_extension,
            "delivered_events": nothing,
            "device_events": (KEY_PRESS, KEY_RELEASE),
            "errors": nothing,
            "client_started": False,
            "client_died": False,
        }
        context = self._asking.record_create_context(0, [record.AllClients], [wanted])
        self._asking.sync()
        return context

    def _connect(self) -> Any:
        from Xlib import display

        self._connections.append(display.Display())
        return self._connections[-1]

    def _disconnect(self) -> None:
        connections, self._connections = self._connections, []
        for connection in connections:
            with contextlib.suppress(Exception):  # it says good-bye first, which a broken connection cannot
                connection.close()
            connection.display.socket.close()


def _pressed(keymap: list[int]) -> set[int]:
    """Keycodes of the keys that are down, from the 32 bytes that the server answers with."""
    return {8 * byte + bit for byte, bits in enumerate(keymap) for bit in range(8) if bits >> bit & 1}
