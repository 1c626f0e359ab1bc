"""How the inner loops are compiled, and kept on disk so that the next process need not compile them.

No fast-math: equal states give equal bytes. Nothing compiled here owns memory, so no reference counts are kept; they
would cost more than the drawing. Where a helper is called from several places, whole numbers are made np.int64, so that
it need not be compiled for each kind of them.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import logging
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec

import numpy as np
from numba import njit

PATIENCE = 1.0  # s of silence before an operator is told what is going on; loading from the cache takes 0.2 s

_LOG = logging.getLogger(__name__)

P = ParamSpec("P")
Real = Any  # a float32 inside compiled code

ZERO: Real = np.float32(0.0)
HALF: Real = np.float32(0.5)
ONE: Real = np.float32(1.0)

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}

helper = njit(**_OPTIONS)
inlined = njit(forceinline=True, **_OPTIONS)


def fingerprint(*modules: str) -> int:
    """Checksum of the sources of some modules, 0 where there are none; numba itself looks at one module only."""
    try:
        return zlib.crc32("".join(inspect.getsource(sys.modules[name]) for name in modules).encode())
    except OSError:
        return 0


def entry(function: Callable[P, None]) -> Callable[P, None]:
    """Compile a function that Python calls, and keep the result on disk where some folder can be written."""
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # numba found no folder for its cache
        return helper(function)


@contextlib.contextmanager
def first_drawing() -> Iterator[None]:
    """Load or compile what is drawn with: quickly if it can be, and not without a word if it takes long."""
    message = "Compiling the renderer. This happens once on a machine and takes about a quarter of a minute."
    timer = threading.Timer(PATIENCE, _LOG.warning, [message])
    timer.daemon = True
    timer.start()
    # Numba makes very many objects to stay; looking through them for garbage again and again is a fifth of the time.
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        timer.cancel()
        if was_collecting:
            gc.enable()
