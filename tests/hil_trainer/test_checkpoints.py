"""Checkpoints are whole or not there."""

import os

import pytest
import torch

from hil_trainer import checkpoints as module
from hil_trainer.checkpoints import checkpoints, read_learner_state, read_run_state, save_checkpoint
from hil_trainer.errors import CheckpointError


def save(directory, step, number=0):
    return save_checkpoint(directory, step, {"weights": torch.full((3,), float(number))}, {"number": number})


def read(directory):
    """What the newest checkpoint says, from both files."""
    newest = checkpoints(directory)[-1]
    state = read_run_state(newest)
    assert read_learner_state(newest)["weights"].tolist() == [state["number"]] * 3
    return state["step"], state["number"]


def test_the_newest_two_are_kept(tmp_path):
    assert checkpoints(tmp_path) == []
    for step in (0, 5, 1500, 20):
        save(tmp_path, step, step)
    assert [path.name for path in checkpoints(tmp_path)] == ["step_00000020", "step_00001500"]
    save(tmp_path, 2000, 7)
    assert read(tmp_path) == (2000, 7)


def test_a_second_checkpoint_of_a_step_is_newer_than_the_first(tmp_path):
    for number in range(13):
        save(tmp_path, 500, number)
        assert read(tmp_path) == (500, number)
    assert len(checkpoints(tmp_path)) == 2
    save(tmp_path, 501, 99)
    assert read(tmp_path) == (501, 99)


class Crash(BaseException):
    """As if the process had been killed."""


def crash(*arguments, **settings):
    raise Crash


STEPS = [
    (module.torch, "save"),
    (module.json, "dump"),
    (module.os, "fsync"),
    (module.os, "replace"),
    (module.shutil, "rmtree"),
]


@pytest.mark.parametrize("again", [False, True], ids=["another step", "the same step"])
@pytest.mark.parametrize(("place", "name"), STEPS, ids=[name for _, name in STEPS])
def test_a_crash_at_any_moment_leaves_a_whole_one(tmp_path, monkeypatch, place, name, again):
    saved = 0
    save(tmp_path, 0, 1)
    # Each call of what may be interrupted is interrupted once.
    for call in range(1, 8):
        step = 0 if again else call
        real, calls = getattr(place, name), []

        def interrupted(*arguments, real=real, calls=calls, call=call, **settings):
            calls.append(name)
            if len(calls) == call:
                raise Crash
            return real(*arguments, **settings)

        before = read(tmp_path)
        with monkeypatch.context() as patched:
            patched.setattr(place, name, interrupted)
            try:
                save(tmp_path, step, call + 1)
                saved += 1
            except Crash:
                assert read(tmp_path) in (before, (step, call + 1))
        assert len(checkpoints(tmp_path)) <= 3
    assert saved
    save(tmp_path, 100, 100)
    assert read(tmp_path) == (100, 100)
    assert len(checkpoints(tmp_path)) == 2
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_everything_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order = []
    sync, rename = os.fsync, os.replace
    name = lambda descriptor: os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: E731
    if not os.path.exists("/proc/self/fd"):
        pytest.skip("needs /proc")
    monkeypatch.setattr(os, "fsync", lambda descriptor: order.append(name(descriptor)) or sync(descriptor))
    monkeypatch.setattr(os, "replace", lambda one, other: order.append("renamed") or rename(one, other))
    save(tmp_path, 3)
    assert order == ["learner.pt", "run.json", ".unfinished-3", "renamed", "checkpoints"]


@pytest.mark.parametrize("name", ["learner.pt", "run.json"])
@pytest.mark.parametrize("content", [None, b"", b"[]", b"PK\x03\x04 no", b'{"number": 1}'])
def test_a_damaged_checkpoint_is_said_to_be_one(tmp_path, name, content):
    path = save(tmp_path, 3)
    (path / name).unlink()
    if content is not None:
        (path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"step_00000003 cannot be read: .* Remove it to use the one before"):
        (read_learner_state if name == "learner.pt" else read_run_state)(path)


def test_half_a_checkpoint_is_said_to_be_damaged(tmp_path):
    path = save(tmp_path, 3) / "learner.pt"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_learner_state(path.parent)


def test_a_full_disk_is_told_and_the_last_one_kept(tmp_path, monkeypatch):
    save(tmp_path, 1, 1)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"No space left on device. Make room, then go on with --resume"):
        save(tmp_path, 2, 2)
    assert read(tmp_path) == (1, 1)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_is_full_while_tensors_are_written_is_told_too(tmp_path, monkeypatch):
    real = open

    def full(path, *rest, **more):
        return real("/dev/full" if str(path).endswith(".pt") else path, *rest, **more)

    monkeypatch.setattr("builtins.open", full)
    with pytest.raises(CheckpointError, match="Make room"):
        save_checkpoint(tmp_path, 2, {"weights": torch.zeros(1_000_000)}, {})
    assert checkpoints(tmp_path) == []
