"""Upstream's package in a virtual environment and a process of its own, measured in turn with ours."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

ROOT = Path(__file__).parents[1]
REQUIREMENT = "gym-hil==0.1.14"
VENV = ROOT / ".cache" / "upstream-venv"
WORKER = Path(__file__).with_name("worker.py")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}


class WorkerError(RuntimeError):
    """A worker could not do what it was asked."""


class Worker:
    """A process that drives one `gym_hil`; see `worker.py` for the calls.

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
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"call": name, "arguments": arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise WorkerError(f"the worker died in {name}: {self._log.read()[-500:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{name}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        self.close()


def ours() -> Worker:
    """A worker for this package."""
    return Worker(sys.executable)


def upstream() -> Worker:
    """A worker for upstream's package, installed first if need be.

    Raises:
        WorkerError: it can't be installed, or has no OpenGL back end to draw with.
    """
    installed = VENV / ".installed"
    if not installed.exists():
        command = [str(ROOT / ".ci" / "install"), str(VENV), REQUIREMENT]
        result = subprocess.run(command, env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True)
        if result.returncode:
            raise WorkerError(f"{REQUIREMENT} cannot be installed: {result.stderr.strip()[-300:]}")
        installed.touch()
    failure = ""
    for backend in ("egl", "osmesa"):
        # PYTHONPATH may name our sources.
        environment = {"MUJOCO_GL": backend, "PYOPENGL_PLATFORM": backend, "PYTHONPATH": ""}
        worker = Worker(VENV / "bin" / "python", environment)
        try:
            worker.call("time_steps", count=1, seed=0, image_obs=True)
        except WorkerError as error:
            worker.close()
            failure = str(error)
        else:
            return worker
    raise WorkerError(f"{REQUIREMENT} cannot draw here: {failure}")
