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
    COLOURS,
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
    return [text.get_text() for text in figure_or_axes.texts]


def test_a_report_is_an_image_of_the_curves(tmp_path):
    made_up_run(tmp_path)
    path = write_report(tmp_path)
    assert path == tmp_path / CURVES
    with Image.open(path) as image:
        assert image.width >= 1200
        assert len(image.convert("RGB").getcolors(1 << 20)) > 50


def test_quick_full_and_final_evaluations_are_marked_apart(tmp_path):
    rows = made_up_run(tmp_path, final=98)
    axes = panels(rows)[0, 0]
    for kind in ("quick", "full", "final"):
        expected = [
            (row["step"], row["successes"] / row["episodes"])
            for row in rows
            if row["kind"] == "evaluation" and row["purpose"] == kind
        ]
        np.testing.assert_allclose(line(axes, kind).T, expected)


def test_the_columns_differ_in_their_axis_only(tmp_path):
    by_step, by_minute = panels(made_up_run(tmp_path))[0]
    steps, rates = line(by_step, "policy alone")
    minutes, same = line(by_minute, "policy alone")
    np.testing.assert_allclose(rates, same)
    assert steps[-1] >= 3000
    assert 1 < minutes[-1] < 2


def test_lines_are_means_over_the_last_episodes_without_demonstrations(tmp_path):
    rows = made_up_run(tmp_path)
    episodes = [row for row in rows if row["kind"] == "episode" and not row["demonstration"]]
    last = episodes[-20:]
    axes = panels(rows)[:, 0]
    assert line(axes[0], "policy alone")[1, -1] == sum(not row["operator_steps"] for row in last) / 20
    assert line(axes[0], "policy and operator").shape[1] == len(episodes)
    expected = sum(row["operator_steps"] for row in last) / sum(row["length"] for row in last)
    assert line(axes[2], "driven by the operator")[1, -1] == pytest.approx(expected)


def test_the_milestone_is_marked_and_the_final_evaluation_is_the_number_in_the_heading(tmp_path):
    rows = made_up_run(tmp_path, last=99, final=93)
    figure = draw_curves(rows, "made up")
    by_step, by_minute = figure.axes[:2]
    assert any(text.startswith("99% at ") for text in texts(by_step))
    assert any(text.startswith("99% at ") and ":" in text for text in texts(by_minute))
    assert "final evaluation, on other seeds: 93 of 100" in " ".join(texts(figure))


def test_a_run_without_intervention_or_milestone_is_described_so(tmp_path):
    rows = made_up_run(tmp_path, speed=0.2, operator=False, last=3)
    figure = draw_curves(rows[:-1], "alone")
    assert "no intervention" in " ".join(texts(figure))
    assert "last full evaluation 3 of 100" in " ".join(texts(figure))
    assert texts(figure.axes[0]) == []


def test_a_resume_is_marked(tmp_path):
    rows = made_up_run(tmp_path, resumed_at=900)
    (resumed,) = [row for row in rows if row["kind"] == "event"]
    assert line(panels(rows)[0, 0], "resumed")[0, 0] == resumed["step"]


@pytest.mark.parametrize("count", [0, 1, 25])
def test_a_run_that_has_just_begun_can_be_drawn(tmp_path, count):
    rows = made_up_run(tmp_path)[:count]
    (tmp_path / FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert write_report(tmp_path).exists()


def test_an_evaluation_of_unknown_length_is_drawn_in_the_other_panels(tmp_path):
    rows = [{**row, "length": None} if row["kind"] == "evaluation" else row for row in made_up_run(tmp_path)]
    axes = panels(rows)
    assert line(axes[0, 0], "full").size
    assert not [one for one in axes[1, 0].get_lines() if str(one.get_label()).startswith("full")]


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
    if suffix == ".png":
        with Image.open(path) as image:
            assert image.size == (1350, 600)  # wide enough for a README
    assert path.stat().st_size > 500


@pytest.mark.parametrize(("name", "message"), [("curves.bmp", r"ends in '\.bmp'"), ("file/c.png", "cannot be written")])
def test_a_path_that_cannot_be_written_is_named(tmp_path, name, message):
    (tmp_path / "file").write_text("")
    figure, _ = new_figure(1, 1, (3, 2))
    with pytest.raises(ConfigurationError, match=message):
        save_figure(figure, tmp_path / name)


def test_drawing_leaves_the_state_of_pyplot_alone():
    import matplotlib.pyplot

    before = matplotlib.pyplot.get_fignums()
    new_figure(1, 1, (3, 2))
    assert matplotlib.pyplot.get_fignums() == before


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gym-hil\[train\]'"):
        new_figure(1, 1, (3, 2))


# Brettel, Viénot and Mollon (1997) in the one-plane form of Viénot et al. (1999): what dichromats see of linear RGB.
DEUTERANOPIA = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
PROTANOPIA = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])


@pytest.mark.parametrize("vision", [np.eye(3), DEUTERANOPIA, PROTANOPIA], ids=["all", "deuteranopia", "protanopia"])
def test_colours_of_curves_stay_apart_for_colour_blind_readers(vision):
    linear = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in COLOURS]) ** 2.2
    shown = np.clip(linear @ vision.T, 0, 1) ** (1 / 2.2)
    apart = np.linalg.norm(shown[:, None] - shown[None], axis=-1)
    # From the fifth curve on, line styles have to help.
    for count, minimum in ((4, 0.25), (6, 0.14)):
        assert apart[:count, :count][~np.eye(count, dtype=bool)].min() > minimum


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


def test_runs_in_one_folder_belong_together_and_count_once(tmp_path):
    for name in ("state/seed_0", "state/seed_1", "pixels/seed_0"):
        made_up_run(tmp_path / name, steps=100)
    expected = [("pixels", "seed_0"), ("state", "seed_0"), ("state", "seed_1")]
    assert labels(find_runs([tmp_path, tmp_path / "state" / "seed_0"])) == expected
    assert labels(find_runs([tmp_path / "state" / "seed_1", tmp_path / "pixels"])) == [expected[2], expected[0]]


def test_folders_of_the_same_name_are_distinguished(tmp_path):
    for name in ("helped/seeds/0", "alone/seeds/0"):
        made_up_run(tmp_path / name, steps=100)
    assert labels(find_runs([tmp_path])) == [("alone/seeds", "0"), ("helped/seeds", "0")]


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
    assert outline[outline[:, 0] == 200, 1].min() == pytest.approx(0.2)
    assert outline[outline[:, 0] == 200, 1].max() == pytest.approx(1)
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
        by_step, _ = drawn(Run(run.path, "state", rows))
        curve, star = by_step.get_lines()
        assert curve.get_data()[1].tolist() == [0.97]
        assert (star.get_marker(), star.get_ydata()[0]) == ("*", 0.91)


def test_runs_that_were_not_evaluated_yet_are_left_out(tmp_path, drawn):
    by_step, _ = drawn(evaluations(tmp_path / "a", "state", [(1, 5)]), Run(tmp_path / "b", "state", []))
    assert by_step.get_lines()[0].get_label() == "state"
    with pytest.raises(ConfigurationError, match="nothing to plot"):
        drawn(Run(tmp_path, "state", []))


def test_many_groups_fit_into_a_figure(tmp_path):
    runs = [evaluations(tmp_path / str(n), f"a rather long name of group {n}", [(0, 0), (9, 9 * n)]) for n in range(9)]
    assert draw_comparison(runs, tmp_path / "out.png").stat().st_size > 10_000
