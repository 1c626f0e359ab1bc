"""How much one page may say."""

from __future__ import annotations


class RateLimit:
    """A budget of messages that refills with time.

    Args:
        per_second: messages that it gains in a second.
        burst: messages that it holds at most, and at the start.
        now: s, of a clock that never goes back.
    """

    def __init__(self, per_second: float, burst: float, now: float):
        self._per_second, self._burst = per_second, burst
        self._left, self._then = burst, now

    def allow(self, now: float) -> bool:
        """Spend one message. False if there is none left."""
        self._left = min(self._burst, self._left + (now - self._then) * self._per_second)
        self._then = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
