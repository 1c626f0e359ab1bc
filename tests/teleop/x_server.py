"""An X server without a screen, and fingers for its keyboard."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess


class Fingers:
    """Presses keys of an X server."""

    def __init__(self, display: str):
        from Xlib import display as xlib

        self._display = xlib.Display(display)

    def move(self, symbol: str, down: bool) -> None:
        from Xlib import XK, X
        from Xlib.ext import xtest

        code = self._display.keysym_to_keycode(XK.string_to_keysym(symbol))
        xtest.fake_input(self._display, X.KeyPress if down else X.KeyRelease, code)
        self._display.sync()

    def tap(self, symbol: str) -> None:
        self.move(symbol, True)
        self.move(symbol, False)

    def close(self) -> None:
        with contextlib.suppress(Exception):  # the server may be gone
            self._display.close()
        self._display.display.socket.close()


class Server:
    """An X server of its own."""

    def __init__(self, *, auto_repeat: bool = True) -> None:
        reader, writer = os.pipe()
        # Without -noreset it starts over when the last client leaves, and drops clients that come meanwhile.
        command = ["Xvfb", "-noreset", "-displayfd", str(writer), "-screen", "0", "64x64x24", "-nolisten", "tcp"]
        command += [] if auto_repeat else ["-r"]
        # What waits for this program's output must not wait for a server that outlives it.
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, pass_fds=[writer], **quiet)
        os.close(writer)
        with os.fdopen(reader) as stream:
            self.display = f":{stream.readline().strip()}"

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
