"""Images become places, and are moved about without losing what they show."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hil_trainer.agents.encoders import CHANNELS, SpatialSoftmaxEncoder, prepare, random_shift

SIZE = 8


def images(count, views, seed):
    return torch.randint(0, 256, (count, views, SIZE, SIZE, 3), generator=torch.Generator().manual_seed(seed)).byte()


@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(1, 2), st.integers(0, 3), st.integers(0, 1000))
def test_a_moved_image_is_a_window_of_the_padded_one(count, views, pixels, seed):
    before = images(count, views, seed)
    after = random_shift(before, pixels)
    assert after.shape == before.shape
    assert after.dtype == torch.uint8
    index = torch.arange(-pixels, SIZE + pixels).clamp(0, SIZE - 1)
    padded = before[:, :, index][:, :, :, index]
    for one, moved in zip(padded, after, strict=True):
        # The same window in all views.
        windows = [
            one[:, down : down + SIZE, right : right + SIZE]
            for down in range(2 * pixels + 1)
            for right in range(2 * pixels + 1)
        ]
        assert any(torch.equal(window, moved) for window in windows)


def test_images_move_each_on_its_own_and_every_way():
    one = images(1, 1, 0)
    moved = random_shift(one.repeat(400, 1, 1, 1, 1), 1)
    assert len({image.numpy().tobytes() for image in moved}) == 9


def test_images_are_prepared_for_convolutions():
    some = images(2, 2, 0)
    prepared = prepare(some)
    assert prepared.shape == (2, 2, 3, SIZE, SIZE)
    torch.testing.assert_close(prepared[1, 0, 2, 3, 4], some[1, 0, 3, 4, 2] / 255 - 0.5)


@pytest.mark.parametrize(
    ("row", "column", "x", "y"), [(0, 0, -1, -1), (0, 3, 1, -1), (3, 0, -1, 1), (1, 2, 1 / 3, -1 / 3)]
)
def test_an_encoder_tells_where_things_are(row, column, x, y):
    encoder = SpatialSoftmaxEncoder(views=2, size=16)
    maps = torch.zeros(1, CHANNELS, 4, 4)
    maps[..., row, column] = 100.0
    encoder.networks[0] = torch.nn.Module()
    encoder.networks[0].forward = lambda image: maps
    places = encoder(prepare(torch.zeros(1, 2, 16, 16, 3, dtype=torch.uint8)))
    assert places.shape == (1, encoder.size)
    torch.testing.assert_close(places[0, :CHANNELS], torch.full((CHANNELS,), float(x)))
    torch.testing.assert_close(places[0, CHANNELS : 2 * CHANNELS], torch.full((CHANNELS,), float(y)))


def test_each_view_has_a_network_of_its_own():
    encoder = SpatialSoftmaxEncoder(views=2, size=16)
    images = prepare(torch.randint(0, 256, (3, 2, 16, 16, 3)).byte())
    before = encoder(images)
    changed = images.clone()
    changed[:, 1] *= -1
    after = encoder(changed)
    torch.testing.assert_close(after[:, : 2 * CHANNELS], before[:, : 2 * CHANNELS])
    assert not torch.allclose(after[:, 2 * CHANNELS :], before[:, 2 * CHANNELS :])
