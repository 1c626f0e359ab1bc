"""Upstream's package in a virtual environment and a process of its own, measured in turn with ours."""

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.report import ONE_THREAD, ROOT

REQUIREMENT = "gym-hil==0.1.14"
VENV = ROOT / ".cache" / "upstream-venv"
WORKER = Path(__file__).with_name("worker.py")


class WorkerError(RuntimeError):
    """A worker could not do what it was asked."""


class NoUpstreamError(WorkerError):
    """Upstream's package cannot be run here."""


class Worker:
    """A process that drives one `gym_hil`, until this one ends; see `worker.py` for the calls.

    Args:
        python: the interpreter of the environment that the package is installed in.
        environment: variables to add for the process.
    """

    def __init__(self, python: str | Path, environment: Mapping[str, str] = MappingProxyType({})):
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  # lives as long as the process
        self._process = subprocess.Popen(
            [str(python), str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, **ONE_THREAD, **environment},
        )

    def call(self, name: str, **arguments: Any) -> Any:
        """Have the worker call one of its functions.

        Raises:
            WorkerError: the function raised, or the process died; the message has its last words.
        """
        process: Any = self._process
        try:
            process.stdin.write(json.dumps({"call": name, "arguments": arguments}) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass
        line = process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise WorkerError(f"the worker died in {name}: {self._log.read()[-500:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{name}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._log.close()


@functools.cache
def ours() -> Worker:
    """A worker for this package."""
    return Worker(sys.executable)


@functools.cache
def upstream() -> Worker:
    """A worker for upstream's package, installed first if need be.

    Raises:
        NoUpstreamError: it can't be installed, or has no OpenGL back end to draw with.
    """
    installed = VENV / ".installed"
    if not installed.exists():
        command = [str(ROOT / ".ci" / "install"), str(VENV), REQUIREMENT]
        result = subprocess.run(command, env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True)
        if result.returncode:
            raise NoUpstreamError(f"{REQUIREMENT} cannot be installed: {result.stderr.strip()[-300:]}")
        installed.touch()
    failure = ""
    for backend in ("egl", "osmesa"):
        # PYTHONPATH may name our sources.
        environment = {"MUJOCO_GL": backend, "PYOPENGL_PLATFORM": backend, "PYTHONPATH": ""}
        worker = Worker(VENV / "bin" / "python", environment)
        try:
            worker.call("time_steps", count=1, seed=0, image_obs=True)
            return worker
        except WorkerError as error:
            worker.close()
            failure = str(error)
    raise NoUpstreamError(f"{REQUIREMENT} cannot draw here: {failure}")
