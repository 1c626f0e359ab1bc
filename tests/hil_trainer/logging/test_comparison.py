import numpy as np
import pytest

from hil_trainer.errors import CheckpointError, ConfigurationError
from hil_trainer.logging.comparison import Run, draw_comparison, find_runs
from tests.hil_trainer.runs import made_up_run

pytest.importorskip("matplotlib", reason="needs the extra `train`")


def labels(runs):
    return [(run.label, run.path.name) for run in runs]


def evaluations(path, label, points):
    """A run that was evaluated at these steps with these successes of 100."""
    return Run(
        path, label,
        [
            {"kind": "evaluation", "step": step, "seconds": 6.0 * step, "episodes": 100, "successes": successes}
            for step, successes in points
        ],
    )  # fmt: skip


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws runs and gives the axes."""
    kept = []
    monkeypatch.setattr("hil_trainer.logging.comparison.save_figure", lambda figure, out: kept.append(figure) or out)

    def draw(*runs):
        draw_comparison(runs, tmp_path / "out.png")
        return kept[-1].axes

    return draw


def test_runs_in_one_folder_belong_together(tmp_path):
    for name in ("state/seed_0", "state/seed_1", "pixels/seed_0"):
        made_up_run(tmp_path / name, steps=100)
    expected = [("pixels", "seed_0"), ("state", "seed_0"), ("state", "seed_1")]
    assert labels(find_runs([tmp_path])) == expected
    assert labels(find_runs([tmp_path / "state" / "seed_1", tmp_path / "pixels"])) == [expected[2], expected[0]]


def test_folders_of_the_same_name_are_told_apart(tmp_path):
    for name in ("helped/seeds/0", "alone/seeds/0"):
        made_up_run(tmp_path / name, steps=100)
    assert labels(find_runs([tmp_path])) == [("alone/seeds", "0"), ("helped/seeds", "0")]


def test_labels_group_runs_from_anywhere(tmp_path):
    for name in ("a", "b", "c/1", "c/2"):
        made_up_run(tmp_path / name, steps=100)
    runs = find_runs([tmp_path / "a", tmp_path / "b", tmp_path / "c"], ["one", "two", "one"])
    assert labels(runs) == [("one", "a"), ("two", "b"), ("one", "1"), ("one", "2")]


def test_a_run_that_is_named_twice_counts_once(tmp_path):
    made_up_run(tmp_path / "runs" / "0", steps=100)
    assert len(find_runs([tmp_path / "runs", tmp_path / "runs" / "0"])) == 1


def test_a_folder_without_runs_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"has no metrics\.jsonl"):
        find_runs([tmp_path])


def test_there_is_a_label_for_each_folder_or_none(tmp_path):
    made_up_run(tmp_path / "a", steps=100)
    with pytest.raises(ConfigurationError, match="2 labels were given for 1 folder"):
        find_runs([tmp_path / "a"], ["one", "two"])


def test_a_group_is_a_median_in_a_band_from_worst_to_best(tmp_path, drawn):
    ends = {100: 20, 200: 60, 300: 100}
    by_step, by_minute = drawn(
        *(evaluations(tmp_path / str(best), "state", [(0, 0), (100, best // 2), (200, best)]) for best in (20, 60, 100))
    )
    line = by_step.get_lines()[0]
    np.testing.assert_allclose(line.get_data(), [[0, 100, 200], [0, 0.3, 0.6]])
    np.testing.assert_allclose(by_minute.get_lines()[0].get_xdata(), [0, 10, 20])
    outline = by_step.collections[0].get_paths()[0].vertices
    assert outline[outline[:, 0] == 200, 1].min() == pytest.approx(min(ends.values()) / 100)
    assert outline[outline[:, 0] == 200, 1].max() == pytest.approx(1)
    assert line.get_label() == "state (3 runs)"


def test_a_run_that_ended_stays_where_it_was(tmp_path, drawn):
    early = evaluations(tmp_path / "a", "state", [(0, 0), (100, 100)])
    late = evaluations(tmp_path / "b", "state", [(0, 0), (300, 100)])
    by_step, _ = drawn(early, late)
    np.testing.assert_allclose(by_step.get_lines()[0].get_data(), [[0, 100, 300], [0, (1 + 1 / 3) / 2, 1]])


def test_of_two_evaluations_at_one_step_the_longer_counts(tmp_path, drawn):
    run = evaluations(tmp_path / "a", "state", [(100, 97)])
    quick = {**run.rows[0], "episodes": 20, "successes": 20}
    for rows in ([quick, *run.rows], [*run.rows, quick]):
        by_step, _ = drawn(Run(run.path, "state", rows))
        assert by_step.get_lines()[0].get_data()[1].tolist() == [0.97]


def test_runs_that_were_not_evaluated_yet_are_left_out(tmp_path, drawn):
    by_step, _ = drawn(evaluations(tmp_path / "a", "state", [(1, 5)]), Run(tmp_path / "b", "state", []))
    assert by_step.get_lines()[0].get_label() == "state"


def test_nothing_to_draw_is_said(tmp_path):
    with pytest.raises(ConfigurationError, match="nothing to draw"):
        draw_comparison([Run(tmp_path, "state", [])], tmp_path / "out.png")


def test_many_groups_fit_into_a_image(tmp_path):
    runs = [evaluations(tmp_path / str(n), f"a rather long name of group {n}", [(0, 0), (9, 9 * n)]) for n in range(9)]
    assert draw_comparison(runs, tmp_path / "out.png").stat().st_size > 10_000
