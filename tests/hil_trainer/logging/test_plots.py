import json

import numpy as np
import pytest
from PIL import Image

from hil_trainer.errors import CheckpointError
from hil_trainer.logging.metrics import FILE
from hil_trainer.logging.plots import CURVES, draw_curves, write_report
from tests.hil_trainer.runs import made_up_run

pytest.importorskip("matplotlib", reason="needs the extra `train`")


def panels(rows):
    """(3, 2) axes: success, length and intervention against steps and minutes."""
    return np.array(draw_curves(rows, "made up").axes).reshape(3, 2)


def line(axes, label):
    (found,) = [one for one in axes.get_lines() if str(one.get_label()).startswith(label)]
    return np.array(found.get_data(), dtype=float)


def words(figure_or_axes):
    return [text.get_text() for text in figure_or_axes.texts]


def test_a_run_leaves_a_image_of_its_curves(tmp_path):
    made_up_run(tmp_path)
    path = write_report(tmp_path)
    assert path == tmp_path / CURVES
    with Image.open(path) as image:
        assert image.width >= 1200
        assert len(image.convert("RGB").getcolors(1 << 20)) > 50


def test_evaluations_are_points_and_the_full_ones_are_marked(tmp_path):
    rows = made_up_run(tmp_path)
    axes = panels(rows)[0, 0]
    for label, full in (("quick", False), ("full", True)):
        expected = [
            (row["step"], row["successes"] / row["episodes"])
            for row in rows
            if row["kind"] == "evaluation" and (row["episodes"] >= 100) == full
        ]
        np.testing.assert_allclose(line(axes, label).T, expected)


def test_the_columns_differ_in_their_axis_only(tmp_path):
    by_step, by_minute = panels(made_up_run(tmp_path))[0]
    steps, rates = line(by_step, "policy alone")
    minutes, same = line(by_minute, "policy alone")
    np.testing.assert_allclose(rates, same)
    assert steps[-1] >= 3000
    assert 1 < minutes[-1] < 2


def test_lines_are_means_over_the_last_episodes_without_the_demonstrations(tmp_path):
    rows = made_up_run(tmp_path)
    episodes = [row for row in rows if row["kind"] == "episode" and not row["demonstration"]]
    last = episodes[-20:]
    axes = panels(rows)[:, 0]
    assert line(axes[0], "policy alone")[1, -1] == sum(not row["operator_steps"] for row in last) / 20
    assert line(axes[0], "policy and operator").shape[1] == len(episodes)
    expected = sum(row["operator_steps"] for row in last) / sum(row["length"] for row in last)
    assert line(axes[2], "driven by the operator")[1, -1] == pytest.approx(expected)


def test_the_first_full_evaluation_that_is_good_enough_is_named(tmp_path):
    by_step, by_minute = panels(made_up_run(tmp_path, last=100))[0]
    assert any(text.startswith("99% at ") for text in words(by_step))
    assert any(text.startswith("99% at ") and ":" in text for text in words(by_minute))


def test_a_run_that_nobody_helped_and_that_learned_little_says_so(tmp_path):
    figure = draw_curves(made_up_run(tmp_path, speed=0.2, operator=False, last=3), "alone")
    assert "nobody helped" in " ".join(words(figure))
    assert "last full evaluation 3 of 100" in " ".join(words(figure))
    assert words(figure.axes[0]) == []


def test_a_resume_is_marked(tmp_path):
    rows = made_up_run(tmp_path, resumed_at=900)
    (resumed,) = [row for row in rows if row["kind"] == "event"]
    assert line(panels(rows)[0, 0], "resumed")[0, 0] == resumed["step"]


@pytest.mark.parametrize("count", [0, 1, 2, 25])
def test_a_run_that_has_just_begun_can_be_drawn(tmp_path, count):
    rows = made_up_run(tmp_path)[:count]
    (tmp_path / FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert write_report(tmp_path).exists()


def test_an_evaluation_of_unknown_length_is_drawn_where_it_can_be(tmp_path):
    rows = made_up_run(tmp_path)
    for row in rows:
        if row["kind"] == "evaluation":
            row["length"] = None
    axes = panels(rows)
    assert line(axes[0, 0], "full").size
    assert not [one for one in axes[1, 0].get_lines() if str(one.get_label()).startswith("full")]


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"has no metrics\.jsonl"):
        write_report(tmp_path)
