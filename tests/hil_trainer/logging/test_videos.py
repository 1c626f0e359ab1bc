import numpy as np
import pytest

from gym_hil.errors import ConfigurationError
from hil_trainer.logging.videos import write_grid_video

av = pytest.importorskip("av", reason="needs the extra `data`")

SIDE, TILE, MARGIN = 64, 64 + 8 + 2, 6  # pixels: an image, with border and gap, before the first


def episode(length, shade):
    """Images that brighten from a shade."""
    return [np.full((SIDE, SIDE, 3), shade + index, np.uint8) for index in range(length)]


def frames(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


def tile(frame, number, columns=3):
    """An image in the grid, without its border."""
    top, left = MARGIN + number // columns * TILE, MARGIN + number % columns * TILE
    return frame[top : top + SIDE, left : left + SIDE]


def border(frame, number, columns=3):
    top, left = MARGIN + number // columns * TILE, MARGIN + number % columns * TILE
    return frame[top + 8 : top + SIDE - 8, left - 3 : left - 1].mean(axis=(0, 1))


def test_nine_episodes_are_three_by_three(tmp_path):
    path = write_grid_video(tmp_path / "new" / "nine.mp4", [episode(5, 20 * n) for n in range(9)], 10, [True] * 9)
    first = frames(path)[0]
    assert first.shape[0] == first.shape[1] == 3 * TILE + 2
    for number in range(9):
        assert abs(tile(first, number)[20:40, 20:40].mean() - 20 * number) < 8
    assert list(path.parent.iterdir()) == [path]


def test_the_video_lasts_as_long_as_the_longest_episode_and_a_second(tmp_path):
    path = write_grid_video(tmp_path / "two.mp4", [episode(4, 10), episode(30, 10)], 10)
    assert len(frames(path)) == 40


def test_an_episode_that_is_over_holds_its_last_image(tmp_path):
    path = write_grid_video(tmp_path / "two.mp4", [episode(2, 100), episode(60, 100)], 10)
    last = frames(path)[-1]
    assert abs(tile(last, 0, 2).mean() - 101) < 6
    assert abs(tile(last, 1, 2).mean() - 159) < 6


def test_the_border_shows_how_an_episode_ended_once_it_has(tmp_path):
    path = write_grid_video(tmp_path / "two.mp4", [episode(3, 100), episode(8, 100)], 10, [True, False])
    shown = frames(path)
    red, green, _ = border(shown[5], 0, 2)
    assert green > red + 60
    assert np.ptp(border(shown[5], 1, 2)) < 50
    red, green, _ = border(shown[-1], 1, 2)
    assert red > green + 60


def test_a_failure_has_a_cross_beside_the_colour(tmp_path):
    path = write_grid_video(tmp_path / "two.mp4", [episode(3, 30), episode(3, 30)], 10, [True, False])
    last = frames(path)[-1]
    assert tile(last, 0, 2)[:24, 40:].std() < 12
    assert tile(last, 1, 2)[:24, 40:].std() > 15


def test_borders_stay_grey_where_the_outcome_is_unknown(tmp_path):
    last = frames(write_grid_video(tmp_path / "one.mp4", [episode(3, 30)], 10))[-1]
    assert np.ptp(border(last, 0, 1)) < 50


@pytest.mark.parametrize("count", [1, 2, 5, 10])
def test_other_numbers_of_episodes_fit_too(tmp_path, count):
    path = write_grid_video(tmp_path / "some.mp4", [episode(1, 200)] * count, 10, [True] * count)
    columns = {1: 1, 2: 2, 5: 3, 10: 4}[count]
    assert tile(frames(path)[0], count - 1, columns).mean() > 150


@pytest.mark.parametrize(
    ("episodes", "successes", "name", "message"),
    [
        ([], None, "a.mp4", "no images"),
        ([[]], None, "a.mp4", "no images"),
        ([episode(1, 0), [np.zeros((SIDE, 32, 3), np.uint8)]], None, "a.mp4", r"shapes \[\(64, 32, 3\), \(64, 64, 3\)"),
        ([[np.zeros((SIDE, SIDE), np.uint8)]], None, "a.mp4", "expected one shape"),
        ([episode(1, 0)], [True, False], "a.mp4", "2 successes for 1"),
        ([episode(1, 0)], None, "a.avi", r"ends in '\.avi'"),
    ],
)
def test_what_cannot_be_shown_is_refused(tmp_path, episodes, successes, name, message):
    with pytest.raises(ConfigurationError, match=message):
        write_grid_video(tmp_path / name, episodes, 10, successes)
    assert list(tmp_path.iterdir()) == []
