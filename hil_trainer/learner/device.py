"""Where and how exactly a learner computes."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

import torch

from gym_hil.errors import ConfigurationError
from hil_trainer.config import LOCAL, TrainConfig

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT = 1 << 30  # bytes
_MAX_THREADS = 4  # unless the configuration says otherwise; batches are small


def find_device(name: str) -> torch.device:
    """The device of a name, of `auto` a GPU if there is one; a ConfigurationError if there is no such device."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigurationError(f"device is {name!r}; expected auto, cpu, cuda, cuda:1, ...") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(
            f"device is {name!r}, but torch {torch.__version__} finds {torch.cuda.device_count()} CUDA devices here. "
            "Choose --device cpu, or install a driver and a build of torch with CUDA."
        )
    return device


def find_threads(config: TrainConfig) -> int:
    """How many threads a learner on a CPU takes: one for each core that does not act or evaluate, and at least one.

    Threads of one computation wait for each other. On two cores, two threads are 1.3 times (state) and 1.8 times
    (pixels) as fast as one, but where one of the cores has something else to do they take two to three times as long.
    """
    if config.threads is not None:
        return config.threads
    # In a container, or on a shared server, not all cores are for this process.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    actors = config.ray.actors if config.ray.address == LOCAL else 1
    return max(1, min(_MAX_THREADS, cores - actors - 1))


def keep_freed_memory() -> None:
    """Let glibc keep large blocks of memory that are freed; other C libraries stay as they are.

    The tensors of one update are as large as those of the next. Memory that goes back to the system in between comes
    back page by page, which takes up to a quarter of an update from images.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
            mallopt(parameter, _KEPT)


def uses_mixed_precision(choice: str, device: torch.device) -> bool:
    """Whether to compute in bfloat16, where that is faster.

    It takes half the time on AMD's processors with instructions for it. Intel's take 1.4 times as long with these as in
    float32, unless they have matrix units (AMX).
    """
    if choice != "auto":
        return choice == "on"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    processor = _processor()
    return "amx_bf16" in processor or ("avx512_bf16" in processor and "AuthenticAMD" in processor)


def _processor() -> str:
    """What a Linux kernel says of the first processor; empty elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return ""
