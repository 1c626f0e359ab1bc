"""Checkpoints of a run: atomic, and written beside the learning.

`DIR/checkpoints/step_00001500/` holds `learner.pt` (networks, optimizers, generators), `run.json` (counters, the
actor's generator, wall time) and `buffers.json`, which names the files of `DIR/checkpoints/buffers/` with the replay
buffers. Each of these files holds the transitions that were added between two checkpoints and is never changed, so that
a checkpoint writes only what is new. A folder gets the name of a checkpoint once everything in it is on disk, and loses
it before anything in it is removed. A second checkpoint of the same step is called `step_00001500.001`.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gym_hil.files import sync_dir
from hil_trainer.errors import CheckpointError

FOLDER = "checkpoints"
KEPT = 2  # checkpoints
_BUFFERS, _PREFIX, _UNFINISHED = "buffers", "step_", ".unfinished-"

Manifest = dict[str, list[dict[str, Any]]]  # buffer -> its files, oldest first: name, first and end number
WriteTo = Callable[[Any], object]  # writes to a file
Segments = dict[str, dict[str, Any]]  # buffer -> what `ReplayBuffer.segment` returns


class CheckpointWriter:
    """Writes the checkpoints of a run, which may go on from one, in a thread, one after the other.

    Raises:
        CheckpointError: that checkpoint is damaged.
    """

    def __init__(self, directory: Path, resumed_from: Path | None = None):
        self._directory = directory
        self._manifest: Manifest = {} if resumed_from is None else _read_json(resumed_from, "buffers.json")
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None
        self.finished = 0  # checkpoints that are on disk

    def next_transition(self, buffer: str) -> int:
        """The number of the first transition of a buffer that is not on disk."""
        self.wait()
        files = self._manifest.get(buffer)
        return files[-1]["end"] if files else 0

    def save(
        self, step: int, learner: dict[str, Any], segments: Segments, stored: dict[str, int], run: dict[str, Any]
    ) -> None:
        """Start to write a checkpoint; returns once the previous one is written.

        Args:
            step: of training.
            learner: the learner's state: tensors, numbers, and lists and dicts of these. It must not change meanwhile.
            segments: the transitions that are not on disk yet.
            stored: number of the oldest transition that each buffer still stores.
            run: all other state, as JSON.

        Raises:
            CheckpointError: a previous one could not be written.
        """
        self.wait()
        arguments = (step, learner, segments, stored, run)
        self._thread = threading.Thread(target=self._write, args=arguments, daemon=True, name="hil-checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Wait until everything is on disk; raises as `raise_failure`."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.raise_failure()

    def raise_failure(self) -> None:
        """Raise a CheckpointError if a checkpoint could not be written; the previous ones are kept."""
        if self._failure is not None:
            raise self._failure

    def _write(
        self, step: int, learner: dict[str, Any], segments: Segments, stored: dict[str, int], run: dict[str, Any]
    ) -> None:
        folder = self._directory / FOLDER
        try:
            (folder / _BUFFERS).mkdir(parents=True, exist_ok=True)
            for left in folder.glob(f"{_UNFINISHED}*"):
                shutil.rmtree(left)
            manifest = self._write_segments(folder / _BUFFERS, segments, stored)
            unfinished, final = folder / f"{_UNFINISHED}{step}", _free_name(folder / f"{_PREFIX}{step:08d}")
            files: dict[str, WriteTo] = {"learner.pt": partial(torch.save, learner)}
            files |= {"run.json": _as_json({"step": step, **run}), "buffers.json": _as_json(manifest)}
            unfinished.mkdir()
            for file, write in files.items():
                _write_file(unfinished / file, write)
            sync_dir(unfinished)
            os.replace(unfinished, final)
            sync_dir(folder)
            self._manifest = manifest
            self._remove_old(folder)
            self.finished += 1
        except OSError as error:
            self._failure = CheckpointError(
                f"No checkpoint can be written to {folder}: {error}. Make room, then go on with --resume."
            )
        except BaseException as error:
            self._failure = error if isinstance(error, Exception) else RuntimeError(repr(error))
            raise

    def _write_segments(self, folder: Path, segments: Segments, stored: dict[str, int]) -> Manifest:
        manifest: Manifest = {}
        for buffer, segment in segments.items():
            first, end = segment["first"], segment["first"] + len(segment["rows"])
            # Files whose transitions have all been overwritten in the buffer are not needed any more.
            files = [file for file in self._manifest.get(buffer, []) if file["end"] > stored[buffer]]
            if end > first:
                name = f"{buffer}_{first:09d}_{end:09d}.pt"
                unfinished = folder / f"{_UNFINISHED}{name}"
                _write_file(unfinished, partial(torch.save, segment))
                os.replace(unfinished, folder / name)
                files.append({"name": name, "first": first, "end": end})
            manifest[buffer] = files
        sync_dir(folder)
        return manifest

    def _remove_old(self, folder: Path) -> None:
        for old in checkpoints(self._directory)[:-KEPT]:
            os.replace(old, folder / f"{_UNFINISHED}{old.name}")
            shutil.rmtree(folder / f"{_UNFINISHED}{old.name}")
        kept = [_read_json(checkpoint, "buffers.json") for checkpoint in checkpoints(self._directory)]
        needed = {file["name"] for manifest in kept for files in manifest.values() for file in files}
        for path in (folder / _BUFFERS).iterdir():
            if path.name not in needed:
                path.unlink()


def checkpoints(directory: Path) -> list[Path]:
    """The finished checkpoints of a run, oldest first."""
    return sorted((directory / FOLDER).glob(f"{_PREFIX}*"))


def read_run_state(checkpoint: Path) -> dict[str, Any]:
    """All state but the learner's, of one of `checkpoints`; a CheckpointError if it is missing or damaged."""
    state = _read_json(checkpoint, "run.json")
    if "step" not in state:
        raise _damaged(checkpoint, "run.json is no object with a step")
    return state


def read_learner_state(checkpoint: Path) -> tuple[dict[str, Any], dict[str, Iterator[dict[str, Any]]]]:
    """The learner's state, of one of `checkpoints`; its tensors on the CPU.

    Returns:
        The state, and the segments of each buffer, oldest first, each read when it is asked for.

    Raises:
        CheckpointError: it is missing or damaged; also while segments are read.
    """
    folder, manifest = checkpoint.parent / _BUFFERS, _read_json(checkpoint, "buffers.json")

    def read(files: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for file in files:
            yield _load_tensors(checkpoint, folder / file["name"])

    state = _load_tensors(checkpoint, checkpoint / "learner.pt")
    return state, {buffer: read(files) for buffer, files in manifest.items()}


def _read_json(checkpoint: Path, name: str) -> dict[str, Any]:
    try:
        state = json.loads((checkpoint / name).read_text(encoding="utf-8"))
        if not isinstance(state, dict):
            raise ValueError(f"{name} is no JSON object")
    except (OSError, ValueError) as error:
        raise _damaged(checkpoint, error) from error
    return state


def _load_tensors(checkpoint: Path, path: Path) -> dict[str, Any]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its reader stumbles over
        # What torch advises then is to run code that may be in the file.
        why = f"{path.name} is damaged" if isinstance(error, pickle.UnpicklingError) else error
        raise _damaged(checkpoint, why) from error


def _damaged(checkpoint: Path, why: object) -> CheckpointError:
    return CheckpointError(f"{checkpoint} cannot be read: {why}. Remove it to use the previous one.")


def _free_name(final: Path) -> Path:
    # An existing one is never replaced: were it removed first, a crash could leave none.
    existing = sorted(final.parent.glob(f"{final.name}*"))
    if not existing:
        return final
    return final.with_name(f"{final.name}.{int(existing[-1].suffix[1:] or 0) + 1:03d}")


def _as_json(content: Any) -> WriteTo:
    return lambda file: file.write(json.dumps(content).encode())


def _write_file(path: Path, write: WriteTo) -> None:
    with open(path, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
