import sys
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hil_trainer.errors import ConfigurationError, MissingExtraError
from hil_trainer.logging.figures import COLOURS, new_figure, rolling_share, save_figure

needs_matplotlib = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs the extra `train`")


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), max_size=30), st.integers(1, 25))
def test_a_rolling_share_is_that_of_the_last_ones(pairs, window):
    parts, wholes = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    expected = [
        sum(parts[max(0, i - window + 1) : i + 1]) / sum(wholes[max(0, i - window + 1) : i + 1])
        for i in range(len(pairs))
    ]
    np.testing.assert_allclose(rolling_share(parts, wholes, window), expected, atol=1e-12)


def test_a_share_of_nothing_is_zero():
    assert rolling_share([0, 0], [0, 0], 5).tolist() == [0, 0]


@needs_matplotlib
def test_a_image_is_wide_enough_for_a_readme(tmp_path):
    figure, _ = new_figure(1, 2, (9, 4))
    with Image.open(save_figure(figure, tmp_path / "new" / "curves.png")) as image:
        assert image.size == (1350, 600)


@needs_matplotlib
@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_images_come_in_three_formats_and_leave_nothing_else(tmp_path, suffix):
    figure, _ = new_figure(1, 1, (3, 2))
    path = save_figure(figure, tmp_path / f"curves{suffix}")
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_size > 500


@needs_matplotlib
def test_another_ending_is_refused(tmp_path):
    figure, _ = new_figure(1, 1, (3, 2))
    with pytest.raises(ConfigurationError, match=r"ends in '\.bmp'"):
        save_figure(figure, tmp_path / "curves.bmp")


@needs_matplotlib
def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    figure, _ = new_figure(1, 1, (3, 2))
    with pytest.raises(ConfigurationError, match="cannot be written"):
        save_figure(figure, tmp_path / "file" / "curves.png")


@needs_matplotlib
def test_drawing_leaves_the_state_of_pyplot_alone():
    new_figure(1, 1, (3, 2))
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gym-hil\[train\]'"):
        new_figure(1, 1, (3, 2))


# Brettel, Viénot and Mollon (1997) in the one-plane form of Viénot et al. (1999): what dichromats see of linear RGB.
DEUTERANOPIA = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
PROTANOPIA = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])


@pytest.mark.parametrize("obs", [np.eye(3), DEUTERANOPIA, PROTANOPIA], ids=["all", "deuteranopia", "protanopia"])
def test_colours_of_curves_stay_apart_for_colour_blind_people(obs):
    linear = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in COLOURS]) ** 2.2
    shown = np.clip(linear @ obs.T, 0, 1) ** (1 / 2.2)
    apart = np.linalg.norm(shown[:, None] - shown[None], axis=-1)
    # From the fifth curve on, line styles have to help.
    for count, least in ((4, 0.25), (6, 0.14)):
        assert apart[:count, :count][~np.eye(count, dtype=bool)].min() > least
