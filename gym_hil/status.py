"""How far a command has come: on a terminal one line that is rewritten in place, elsewhere plain lines."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

REDRAW_SECONDS = 0.1  # between two drawings of the line
SEPARATOR = "  "


class StatusLine:
    """A status line at the bottom of a terminal; whatever else is printed scrolls above it.

    In a file, in a pipe and on a dumb terminal there is no such line: messages are plain lines, and so is the status,
    every `interval` seconds. Several threads may use it.

    Args:
        file: where to write; standard output if None.
        interval: s between two plain lines of status where nothing can be rewritten; None for no such lines.
        bell: whether `bell` rings.
        clock: returns seconds.
    """

    def __init__(
        self,
        file: TextIO | None = None,
        *,
        interval: float | None = None,
        bell: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._file = sys.stdout if file is None else file
        self._interval, self._bell, self._clock = interval, bell, clock
        self._lock = threading.RLock()
        self._live = _live_display(self._file)
        self._drawn_at = clock()
        self._parts: Sequence[str] | Callable[[], Sequence[str]] | None = None

    @property
    def is_live(self) -> bool:
        """Whether the line is rewritten in place."""
        return self._live is not None

    def update(self, parts: Sequence[str] | Callable[[], Sequence[str]]) -> None:
        """Set the status. Cheap enough for every step: most calls draw nothing.

        `parts` are those of the line, the most important first, or a function that returns them when the line is drawn.
        What does not fit into the terminal's width is left out from the end.
        """
        with self._lock:
            self._parts = parts
            wait = REDRAW_SECONDS if self.is_live else self._interval
            now = self._clock()
            if wait is None or now - self._drawn_at < wait:
                return
            self._drawn_at = now
            self._draw()

    def print(self, text: str) -> None:
        """Print a line; on a terminal it stands above the status."""
        with self._lock:
            if self._live is None:
                print(text, file=self._file, flush=True)
            else:
                self._live.console.print(text, soft_wrap=True)

    def bell(self) -> None:
        """Ring the terminal's bell, if the line was made to."""
        with self._lock:
            if self._bell and self._live is not None:
                self._file.write("\a")
                self._file.flush()

    def clear(self) -> None:
        """Remove the status until the next `update`, where it has become untrue."""
        with self._lock:
            self._parts = None
            if self._live is not None and self._live.is_started:
                self._live.update("", refresh=True)

    def close(self, *, keep: bool = False) -> None:
        """End the status line; `keep` leaves the last status where it can be read."""
        with self._lock:
            live, self._live = self._live, None
            if live is not None:
                live.stop()
            if keep and self._parts is not None:
                self.print(SEPARATOR.join(self._current()))
            self._parts = None

    def __enter__(self) -> StatusLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _draw(self) -> None:
        if self._live is None:
            self.print(SEPARATOR.join(self._current()))
            return
        if not self._live.is_started:
            self._live.start()
        # One column stays free: some terminals wrap when the last one is written.
        self._live.update(_fit(self._current(), self._live.console.width - 1), refresh=True)

    def _current(self) -> Sequence[str]:
        assert self._parts is not None
        return self._parts() if callable(self._parts) else self._parts


def _fit(parts: Sequence[str], width: int) -> Text:
    """As many whole parts as fit into `width` columns; at least the first, cut if it must be."""
    from rich.text import Text

    line = Text(parts[0], no_wrap=True)
    for part in parts[1:]:
        longer = Text(f"{line.plain}{SEPARATOR}{part}", no_wrap=True)
        if longer.cell_len > width:
            break
        line = longer
    line.truncate(width, overflow="ellipsis")
    return line


def _live_display(file: TextIO | None) -> Live | None:
    """What draws the line, or None where nothing can be rewritten in place."""
    if file is None or not file.isatty():  # Python sets a closed standard output to None
        return None
    from rich.console import Console
    from rich.live import Live

    console = Console(file=file, force_terminal=True, highlight=False, markup=False, emoji=False)
    if not console.is_interactive:  # a dumb terminal
        return None
    return Live(console=console, auto_refresh=False, transient=True)
