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


def tile(frame, number, columns):
    """An image in the grid, without its border."""
    top, left = MARGIN + number // columns * TILE, MARGIN + number % columns * TILE
    return frame[top : top + SIDE, left : left + SIDE]


def border(frame, number, columns):
    top, left = MARGIN + number // columns * TILE, MARGIN + number % columns * TILE
    return frame[top + 8 : top + SIDE - 8, left - 3 : left - 1].mean(axis=(0, 1))


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (5, 3), (9, 3), (10, 4)])
def test_episodes_are_in_rows_and_columns(tmp_path, count, columns):
    path = write_grid_video(
        tmp_path / "new" / "some.mp4", [episode(5, 20 * n) for n in range(count)], 10, [True] * count
    )
    first = frames(path)[0]
    assert first.shape[1] == columns * TILE + 2
    for number in range(count):
        assert abs(tile(first, number, columns)[20:40, 20:40].mean() - 20 * number) < 8
    assert list(path.parent.iterdir()) == [path]


def test_an_episode_that_is_over_holds_its_last_image_and_the_border_shows_how_it_ended(tmp_path):
    path = write_grid_video(tmp_path / "two.mp4", [episode(3, 100), episode(30, 30)], 10, [True, False])
    shown = frames(path)
    assert len(shown) == 40
    assert abs(tile(shown[-1], 0, 2).mean() - 102) < 6
    red, green, _ = border(shown[5], 0, 2)
    assert green > red + 60
    assert np.ptp(border(shown[5], 1, 2)) < 50
    red, green, _ = border(shown[-1], 1, 2)
    assert red > green + 60
    # A failure has a cross beside the colour.
    assert tile(shown[-1], 0, 2)[:24, 40:].std() < 12
    assert tile(shown[-1], 1, 2)[:24, 40:].std() > 15


@pytest.mark.parametrize(("name", "message"), [("a.avi", r"ends in '\.avi'"), ("file/a.mp4", "cannot be written")])
def test_a_path_that_cannot_be_written_is_named(tmp_path, name, message):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=message):
        write_grid_video(tmp_path / name, [episode(1, 0)], 10, [True])
