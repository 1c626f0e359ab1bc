"""Waiting for what another thread or process does."""

import time
from collections.abc import Callable

PATIENCE = 30.0  # s, many times what anything here takes


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)
