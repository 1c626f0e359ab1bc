"""Things that are dear to make and may be wanted again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class RecentlyUsed(Generic[Value]):
    """Keeps what was used last, up to a total size.

    Args:
        limit: of the sizes together; what was not used for the longest time goes first. One thing is always kept.
        size: of a thing.
        drop: called with what goes.
    """

    def __init__(
        self,
        limit: int,
        size: Callable[[Value], int] = lambda _: 1,
        drop: Callable[[Value], None] = lambda _: None,
    ):
        self._limit, self._size, self._drop = limit, size, drop
        self._kept: OrderedDict[Hashable, Value] = OrderedDict()
        self._total = 0

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What is kept under a key; made first if it is not there."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        value = self._kept[key] = make()
        self._total += self._size(value)
        while self._total > self._limit and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._total -= self._size(oldest)
            self._drop(oldest)
        return value

    def clear(self) -> None:
        """Let everything go."""
        for value in self._kept.values():
            self._drop(value)
        self._kept.clear()
        self._total = 0
