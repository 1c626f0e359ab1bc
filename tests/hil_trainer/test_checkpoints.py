"""Checkpoints are whole or do not exist, and hold every transition once."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from hil_trainer import checkpoints as module
from hil_trainer.checkpoints import CheckpointWriter, checkpoints, read_learner_state, read_run_state
from hil_trainer.errors import CheckpointError


def segment(first, end, number=0):
    rows = torch.arange(first, end, dtype=torch.float32)[:, None].repeat(1, 2)
    rows[:, 1] = number
    return {"online": {"first": first, "rows": rows, "images": None}}


def write(writer, step, number=0, added=None, stored=0):
    """Write a checkpoint whose buffer has as many transitions as its number, or as are given."""
    first = writer.next_transition("online")
    rows = segment(first, max(first, number if added is None else added), number)
    writer.save(step, {"weights": torch.full((3,), float(number))}, rows, {"online": stored}, {"number": number})
    writer.wait()
    return checkpoints(writer._directory)[-1]


def save(directory, step, number=0, **values):
    found = checkpoints(directory)
    return write(CheckpointWriter(directory, found[-1] if found else None), step, number, **values)


def read(directory):
    """The content of the newest checkpoint, of all its files."""
    newest = checkpoints(directory)[-1]
    state = read_run_state(newest)
    learner, segments = read_learner_state(newest)
    assert learner["weights"].tolist() == [state["number"]] * 3
    rows = [row for part in segments["online"] for row in part["rows"][:, 0].tolist()]
    assert rows == list(range(len(rows)))
    assert len(rows) >= state["number"]
    return state["step"], state["number"]


def buffer_files(directory):
    return sorted(path.name for path in (directory / "checkpoints" / "buffers").iterdir())


def test_the_newest_two_are_kept_also_of_one_step(tmp_path):
    assert checkpoints(tmp_path) == []
    for step in (0, 5, 1500, 20):
        save(tmp_path, step, step)
    assert [path.name for path in checkpoints(tmp_path)] == ["step_00000020", "step_00001500"]
    for number in range(13):
        save(tmp_path, 2000, number)
        assert read(tmp_path) == (2000, number)
    assert len(checkpoints(tmp_path)) == 2
    save(tmp_path, 2001, 99)
    assert read(tmp_path) == (2001, 99)


def test_only_new_transitions_are_written_and_files_that_no_checkpoint_needs_are_removed(tmp_path):
    writer = CheckpointWriter(tmp_path)
    for step, added in enumerate((10, 10, 30, 45)):
        write(writer, step, added=added)
    files = [f"online_{first:09d}_{end:09d}.pt" for first, end in ((0, 10), (10, 30), (30, 45))]
    assert buffer_files(tmp_path) == files
    resumed = CheckpointWriter(tmp_path, checkpoints(tmp_path)[-1])
    assert resumed.next_transition("online") == 45
    write(resumed, 4, added=50, stored=20)
    write(resumed, 5, added=60, stored=30)
    assert buffer_files(tmp_path) == [*files[1:], "online_000000045_000000050.pt", "online_000000050_000000060.pt"]
    _, segments = read_learner_state(checkpoints(tmp_path)[-1])
    assert [part["first"] for part in segments["online"]] == [30, 45, 50]


class Crash(BaseException):
    """As if the process had been killed."""


STEPS = [(module.torch, "save"), (module.json, "dumps"), (os, "fsync"), (os, "replace"), (module.shutil, "rmtree")]


@pytest.mark.parametrize("again", [False, True], ids=["another step", "the same step"])
@pytest.mark.parametrize(("place", "name"), STEPS, ids=[name for _, name in STEPS])
def test_a_crash_at_any_moment_leaves_a_whole_one(tmp_path, monkeypatch, place, name, again):
    saved = 0
    save(tmp_path, 0, 1)
    # Each call of what may be interrupted is interrupted once.
    for call in range(1, 14):
        step = 0 if again else call
        real, calls = getattr(place, name), []

        def interrupted(*arguments, real=real, calls=calls, call=call, **settings):
            calls.append(name)
            if len(calls) == call:
                raise Crash
            return real(*arguments, **settings)

        before, found = read(tmp_path), checkpoints(tmp_path)
        writer = CheckpointWriter(tmp_path, found[-1])
        with monkeypatch.context() as patched:
            patched.setattr(place, name, interrupted)
            first = writer.next_transition("online")
            learner = {"weights": torch.full((3,), float(call + 1))}
            try:
                writer._write(step, learner, segment(first, first + call), {"online": 0}, {"number": call + 1})
                saved += 1
            except Crash:
                assert read(tmp_path) in (before, (step, call + 1))
        assert len(checkpoints(tmp_path)) <= 3
    assert saved
    save(tmp_path, 100, 100)
    assert read(tmp_path) == (100, 100)
    assert len(checkpoints(tmp_path)) == 2
    assert not list((tmp_path / "checkpoints").glob(".*"))
    assert not list((tmp_path / "checkpoints" / "buffers").glob(".*"))


def test_everything_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order = []
    sync, rename = os.fsync, os.replace
    name = lambda descriptor: os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: E731
    if not os.path.exists("/proc/self/fd"):
        pytest.skip("needs /proc")
    monkeypatch.setattr(os, "fsync", lambda descriptor: order.append(name(descriptor)) or sync(descriptor))
    monkeypatch.setattr(os, "replace", lambda one, other: order.append("renamed") or rename(one, other))
    save(tmp_path, 3, 5)
    name = "online_000000000_000000005.pt"
    assert order == [
        *(f".unfinished-{name}", "renamed", "buffers"),
        *("learner.pt", "run.json", "buffers.json", ".unfinished-3", "renamed", "checkpoints"),
    ]


@pytest.mark.parametrize("name", ["learner.pt", "run.json", "buffers.json", "../buffers/online_000000000_000000005.pt"])
@pytest.mark.parametrize("content", [None, b"", b"[]", b"PK\x03\x04 no", "half"])
def test_a_damaged_checkpoint_is_refused_with_advice(tmp_path, name, content):
    path = save(tmp_path, 3, 5)
    whole = (path / name).read_bytes()
    (path / name).unlink()
    if content == "half":
        (path / name).write_bytes(whole[: len(whole) // 2])
    elif content is not None:
        (path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"step_00000003 cannot be read: .* Remove it to use the previous one"):
        read(tmp_path)


KILLED = """
import sys, torch
from hil_trainer.checkpoints import CheckpointWriter
from pathlib import Path
writer, number = CheckpointWriter(Path(sys.argv[1])), 0
print("writing", flush=True)
while True:
    number += 1
    rows = torch.arange(writer.next_transition("online"), 1000 * number, dtype=torch.float32)[:, None].repeat(1, 50)
    segment = {"first": 1000 * (number - 1), "rows": rows, "images": None}
    weights = torch.full((100_000,), float(number))
    writer.save(number, {"weights": weights}, {"online": segment}, {"online": 0}, {"number": number})
"""


@pytest.mark.skipif(os.name == "nt", reason="processes are killed otherwise on Windows")
def test_a_writer_that_is_killed_leaves_a_whole_checkpoint(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        while not checkpoints(tmp_path):
            time.sleep(0.01)
        time.sleep(0.13)  # s, amid one of the next
        process.send_signal(signal.SIGKILL)
    newest = checkpoints(tmp_path)[-1]
    number = read_run_state(newest)["number"]
    learner, segments = read_learner_state(newest)
    assert (learner["weights"] == number).all()
    rows = torch.cat([part["rows"][:, 0] for part in segments["online"]])
    assert rows.tolist() == list(range(1000 * number))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("suffix", [".pt", ".json"])
def test_a_full_disk_is_an_error_and_the_previous_one_is_kept(tmp_path, monkeypatch, suffix):
    save(tmp_path, 1, 1)
    real = open

    def full(path, *rest, **more):
        return real("/dev/full" if str(path).endswith(suffix) else path, *rest, **more)

    monkeypatch.setattr("builtins.open", full)
    with pytest.raises(CheckpointError, match=r"No space left on device. Make room, then go on with --resume"):
        save(tmp_path, 2, 2)
    monkeypatch.undo()
    assert read(tmp_path) == (1, 1)
