"""Who may drive: one page at a time, until it lets go or has been silent for long."""

from __future__ import annotations

from gym_hil.console.protocol import SEAT_SILENCE


class Seat:
    """The seat of one channel. All times are in s, of a clock that never goes back.

    Args:
        silence: s without a word from the holder, after which others may take the seat.
    """

    def __init__(self, silence: float = SEAT_SILENCE):
        self._silence = silence
        self._holder: str | None = None
        self._heard = 0.0

    def take(self, page: str, now: float) -> bool:
        """Let a page sit down, if nobody else is there. True if it has the seat then."""
        if self.holder(now) not in (None, page):
            return False
        self._holder, self._heard = page, now
        return True

    def release(self, page: str) -> bool:
        """Let a page get up. True if it had the seat."""
        if self._holder != page:
            return False
        self._holder = None
        return True

    def hear(self, page: str, now: float) -> bool:
        """Note a word of a page. True if it has the seat, also after a silence in which nobody took it."""
        if self._holder != page:
            return False
        self._heard = now
        return True

    def holder(self, now: float) -> str | None:
        """The page that has the seat; None if anyone may take it."""
        return self._holder if now - self._heard <= self._silence else None

    def free_in(self, now: float) -> float | None:
        """How long until a silent holder loses the seat, in s; None while it is heard, and if nobody has it."""
        silent = now - self._heard
        if self.holder(now) is None or silent < 1.0:
            return None
        return self._silence - silent
