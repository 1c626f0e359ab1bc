import itertools
import os

import pytest

from benchmarks.recording import FEATURES, FPS, Killer, frame, length, problems, record
from gym_hil.datasets import tables
from gym_hil.datasets.writer import DatasetWriter
from tests.datasets import reading


class Killed(BaseException):
    """Stands for the end of the process: nothing in the package catches it."""


@pytest.fixture
def dies_in(monkeypatch):
    """Calls something in which the process dies at a change of the disk; returns whether it came to that change."""

    def call(change, work):
        changes, replace = itertools.count(), os.replace

        def replace_or_die(source, destination):
            if next(changes) == change:
                raise Killed
            replace(source, destination)

        with monkeypatch.context() as patches:
            patches.setattr(os, "replace", replace_or_die)
            try:
                work()
            except Killed:
                return True
        return False

    return call


@pytest.mark.parametrize("change", range(8))
def test_a_recorder_that_dies_between_two_changes_leaves_whole_episodes(tmp_path, dies_in, change):
    record(str(tmp_path), episodes=3)
    writer = DatasetWriter(tmp_path, repo_id="me/killed", features=FEATURES, fps=FPS, resume=True)
    for number in range(length(3)):
        writer.add_frame(frame(3, number), task="task 1")
    died = dies_in(change, lambda: writer.save_episode({"seed": 3}))
    writer._lock.release()  # as the end of a process does
    assert died == (change < 7)  # journal, video, frames, tasks, rows, statistics, info
    assert problems(tmp_path, finished=3 if died else 4) == []
    assert record(str(tmp_path), episodes=2) == (5 if change < 5 else 6)
    assert problems(tmp_path, finished=5) == []
    assert reading.info(tmp_path)["total_episodes"] == len(reading.rows(tmp_path))
    # What the dead recorder had begun is gone.
    files = reading.files(tmp_path)
    assert len([path for path in files if path.startswith(("data/", "videos/"))]) == 2


def test_a_recorder_killed_at_any_moment_leaves_every_finished_episode(tmp_path):
    killer, finished = Killer(tmp_path / "data", seed=0), 0
    for _ in range(6):
        finished = max(finished, killer.kill())
        assert problems(tmp_path / "data", finished) == []
    # The one that is allowed to end finds everything in its place, cleans up and joins the files.
    assert record(str(tmp_path / "data"), episodes=1) > finished
    assert problems(tmp_path / "data", finished + 1) == []
    left = set(reading.files(tmp_path / "data"))
    assert len([path for path in left if path.startswith(("data/", "videos/"))]) == 2
    assert not any(path.startswith(".recording") for path in left)


def test_rows_decide_where_counts_and_statistics_were_not_written(tmp_path):
    record(str(tmp_path), episodes=3)
    info = (tmp_path / "meta/info.json").read_text()
    (tmp_path / "meta/info.json").write_text(info.replace('"total_episodes": 3', '"total_episodes": 2'))
    (tmp_path / "meta/stats.json").unlink()
    expected = reading.files(tmp_path)
    record(str(tmp_path), episodes=0)
    assert reading.info(tmp_path)["total_episodes"] == 3
    assert reading.stats(tmp_path)["observation.state"]["count"] == [6]
    untouched = [path for path in expected if path.startswith(("videos/", "data/", "meta/episodes"))]
    assert all(reading.files(tmp_path)[path] == expected[path] for path in untouched)


def test_rows_that_another_program_wrote_are_kept(tmp_path):
    record(str(tmp_path), episodes=2)
    path = tmp_path / "meta/episodes/chunk-000/file-000.parquet"
    table = tables.read(path)
    tables.write(path, table.drop_columns(["gym_hil/seed"]).append_column("of_others", [[7, 8]]))
    record(str(tmp_path), episodes=1)
    assert [row["episode_index"] for row in reading.rows(tmp_path)] == [0, 1, 2]
    assert [row["of_others"] for row in reading.rows(tmp_path)] == [7, 8, None]
    assert [row["gym_hil/seed"] for row in reading.rows(tmp_path)] == [None, None, 2]


@pytest.mark.parametrize("change", range(5))
@pytest.mark.parametrize("before", [0, 2])
def test_a_recorder_that_dies_while_it_deletes_leaves_the_episode_whole_or_nothing_of_it(
    tmp_path, dies_in, before, change
):
    if before:
        record(str(tmp_path), episodes=before)
    writer = DatasetWriter(tmp_path, repo_id="me/killed", features=FEATURES, fps=FPS, resume=True)
    for number in range(length(before)):
        writer.add_frame(frame(before, number), task="task 1")
    writer.save_episode({"seed": before})
    died = dies_in(change, writer.delete_last_episode)
    writer._lock.release()  # as the end of a process does
    rows = len(reading.rows(tmp_path)) if (tmp_path / "meta/episodes").exists() else 0
    assert rows in (before, before + 1)
    assert died or rows == before
    if rows:
        assert problems(tmp_path, finished=rows) == []
    record(str(tmp_path), episodes=1)
    assert problems(tmp_path, finished=rows + 1) == []
    files = reading.files(tmp_path)
    assert len([path for path in files if path.startswith(("data/", "videos/"))]) == 2
