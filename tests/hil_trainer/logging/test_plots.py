import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gym_hil.errors import ConfigurationError, MissingExtraError
from hil_trainer.errors import CheckpointError
from hil_trainer.logging.metrics import FILE
from hil_trainer.logging.plots import (
    CURVES,
    Run,
    draw_comparison,
    draw_curves,
    find_runs,
    new_figure,
    rolling_share,
    save_figure,
    write_report,
)
from tests.hil_trainer.runs import made_up_run

pytest.importorskip("matplotlib", reason="needs the extra `train`")


def panels(rows):
    """(3, 2) axes: success, length and intervention against steps and minutes."""
    return np.array(draw_curves(rows, "made up").axes).reshape(3, 2)


def line(axes, label):
    (found,) = [one for one in axes.get_lines() if str(one.get_label()).startswith(label)]
    return np.array(found.get_data(), dtype=float)


def texts(figure_or_axes):
    return " ".join(text.get_text() for text in figure_or_axes.texts)


@pytest.mark.parametrize("count", [0, 1, None])
def test_a_report_is_an_image_of_the_curves_from_the_first_row_on(tmp_path, count):
    rows = made_up_run(tmp_path)[:count]
    (tmp_path / FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = write_report(tmp_path)
    assert path == tmp_path / CURVES
    with Image.open(path) as image:
        assert image.width >= 1200  # wide enough for a README


def test_evaluations_are_points_and_episodes_without_demonstrations_make_lines(tmp_path):
    rows = made_up_run(tmp_path, final=98, resumed_at=900)
    found = panels(rows)
    for kind in ("quick", "full", "final"):
        expected = [
            (row["step"], row["successes"] / row["episodes"])
            for row in rows
            if row["kind"] == "evaluation" and row["purpose"] == kind
        ]
        np.testing.assert_allclose(line(found[0, 0], kind).T, expected)
    episodes = [row for row in rows if row["kind"] == "episode" and not row["demonstration"]]
    last = episodes[-20:]
    assert line(found[0, 0], "policy alone")[1, -1] == sum(not row["operator_steps"] for row in last) / 20
    assert line(found[0, 0], "policy and operator").shape[1] == len(episodes)
    expected = sum(row["operator_steps"] for row in last) / sum(row["length"] for row in last)
    assert line(found[2, 0], "driven by the operator")[1, -1] == pytest.approx(expected)
    (steps, rates), (minutes, same) = (line(axes, "policy alone") for axes in found[0])
    np.testing.assert_allclose(rates, same)
    assert steps[-1] >= 3000
    assert 1 < minutes[-1] < 2
    (resumed,) = [row for row in rows if row["kind"] == "event"]
    assert line(found[0, 0], "resumed")[0, 0] == resumed["step"]


def test_the_milestone_is_marked_and_the_final_evaluation_is_the_number_in_the_heading(tmp_path):
    rows = made_up_run(tmp_path, last=99, final=93)
    figure = draw_curves(rows, "made up")
    assert "99% at " in texts(figure.axes[0])
    assert ":" in texts(figure.axes[1])
    assert "final evaluation, on other seeds: 93 of 100" in texts(figure)


def test_a_run_without_intervention_or_milestone_is_described_so(tmp_path):
    rows = made_up_run(tmp_path, speed=0.2, operator=False, last=3)
    rows = [{**row, "length": None} if row["kind"] == "evaluation" else row for row in rows]
    figure = draw_curves(rows[:-1], "alone")
    assert "no intervention" in texts(figure)
    assert "last full evaluation 3 of 100" in texts(figure)
    assert texts(figure.axes[0]) == ""


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=30), st.integers(1, 25))
def test_a_rolling_share_is_that_of_the_last_ones_and_zero_of_nothing(pairs, window):
    parts, wholes = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    expected = []
    for end in range(1, len(pairs) + 1):
        total = sum(wholes[max(0, end - window) : end])
        expected.append(sum(parts[max(0, end - window) : end]) / total if total else 0)
    np.testing.assert_allclose(rolling_share(parts, wholes, window), expected, atol=1e-12)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_figures_come_in_three_formats_and_leave_no_other_file(tmp_path, suffix):
    figure, _ = new_figure(1, 2, (9, 4))
    path = save_figure(figure, tmp_path / "new" / f"curves{suffix}")
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("name", "message"), [("curves.bmp", r"ends in '\.bmp'"), ("file/c.png", "cannot be written")])
def test_a_path_that_cannot_be_written_is_named(tmp_path, name, message):
    (tmp_path / "file").write_text("")
    figure, _ = new_figure(1, 1, (3, 2))
    with pytest.raises(ConfigurationError, match=message):
        save_figure(figure, tmp_path / name)


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gym-hil\[train\]'"):
        new_figure(1, 1, (3, 2))


def labels(runs):
    return [(run.label, run.path.name) for run in runs]


def evaluations(path, label, points, final=None):
    """A run that was evaluated at these steps with these successes of 100."""
    row = {"kind": "evaluation", "episodes": 100, "purpose": "full"}
    rows = [{**row, "step": step, "seconds": 6.0 * step, "successes": successes} for step, successes in points]
    if final is not None:
        rows.append({**rows[-1], "purpose": "final", "successes": final})
    return Run(path, label, rows)


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws a comparison of runs and returns the axes."""
    kept = []
    monkeypatch.setattr("hil_trainer.logging.plots.save_figure", lambda figure, out: kept.append(figure) or out)

    def draw(*runs):
        draw_comparison(runs, tmp_path / "out.png")
        return kept[-1].axes

    return draw


def test_runs_in_one_folder_belong_together_count_once_and_have_the_folders_distinct_name(tmp_path):
    for name in ("state/seed_0", "state/seed_1", "pixels/seed_0"):
        made_up_run(tmp_path / name, steps=100)
    expected = [("pixels", "seed_0"), ("state", "seed_0"), ("state", "seed_1")]
    assert labels(find_runs([tmp_path, tmp_path / "state" / "seed_0"])) == expected
    assert labels(find_runs([tmp_path / "state" / "seed_1", tmp_path / "pixels"])) == [expected[2], expected[0]]
    assert labels(find_runs([tmp_path / "state"])) == expected[1:]
    for name in ("helped/seeds/0", "alone/seeds/0"):
        made_up_run(tmp_path / name, steps=100)
    found = find_runs([tmp_path / "helped", tmp_path / "alone"])
    assert labels(found) == [("helped/seeds", "0"), ("alone/seeds", "0")]


def test_labels_group_runs_from_anywhere(tmp_path):
    for name in ("a", "b", "c/1", "c/2"):
        made_up_run(tmp_path / name, steps=100)
    runs = find_runs([tmp_path / "a", tmp_path / "b", tmp_path / "c"], ["one", "two", "one"])
    assert labels(runs) == [("one", "a"), ("two", "b"), ("one", "1"), ("one", "2")]
    with pytest.raises(ConfigurationError, match="2 labels for 1 folder"):
        find_runs([tmp_path / "a"], ["one", "two"])


@pytest.mark.parametrize("look", [write_report, lambda folder: find_runs([folder])])
def test_a_folder_without_runs_is_named(tmp_path, look):
    with pytest.raises(CheckpointError, match=r"(has|contains) no metrics\.jsonl"):
        look(tmp_path)


def test_a_group_is_a_median_in_a_band_from_worst_to_best(tmp_path, drawn):
    by_step, by_minute = drawn(
        *(evaluations(tmp_path / str(best), "state", [(0, 0), (100, best // 2), (200, best)]) for best in (20, 60, 100))
    )
    median = by_step.get_lines()[0]
    np.testing.assert_allclose(median.get_data(), [[0, 100, 200], [0, 0.3, 0.6]])
    np.testing.assert_allclose(by_minute.get_lines()[0].get_xdata(), [0, 10, 20])
    outline = by_step.collections[0].get_paths()[0].vertices
    at_the_end = outline[outline[:, 0] == 200, 1]
    assert (at_the_end.min(), at_the_end.max()) == pytest.approx((0.2, 1))
    assert median.get_label() == "state (3 runs)"


def test_a_run_that_ended_stays_where_it_was(tmp_path, drawn):
    early = evaluations(tmp_path / "a", "state", [(0, 0), (100, 100)])
    late = evaluations(tmp_path / "b", "state", [(0, 0), (300, 100)])
    by_step, _ = drawn(early, late)
    np.testing.assert_allclose(by_step.get_lines()[0].get_data(), [[0, 100, 300], [0, (1 + 1 / 3) / 2, 1]])


def test_of_two_evaluations_at_one_step_the_longer_counts_and_the_final_one_is_a_star(tmp_path, drawn):
    run = evaluations(tmp_path / "a", "state", [(100, 97)], final=91)
    quick = {**run.rows[0], "episodes": 20, "successes": 20}
    for rows in ([quick, *run.rows], [*run.rows, quick]):
        by_step, _ = drawn(Run(run.path, "state", rows), Run(tmp_path, "not evaluated yet", []))
        curve, star = by_step.get_lines()
        assert curve.get_data()[1].tolist() == [0.97]
        assert (star.get_marker(), star.get_ydata()[0]) == ("*", 0.91)
    with pytest.raises(ConfigurationError, match="nothing to plot"):
        drawn(Run(tmp_path, "state", []))
