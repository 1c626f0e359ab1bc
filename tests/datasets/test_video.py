import av
import numpy as np
import pytest

from gym_hil.datasets.video import VideoWriter, describe_video
from tests.datasets.reading import psnr


@pytest.fixture
def images():
    """A smooth scene with a coloured square that moves."""
    result = np.empty((9, 48, 64, 3), dtype=np.uint8)
    result[:] = np.linspace(40, 200, 64)[:, None]
    for k, image in enumerate(result):
        image[10:26, 4 * k : 4 * k + 16] = (200, 30, 30)
    return result


def write(path, images, fps=10):
    video = VideoWriter(path, *images.shape[1:3], fps)
    for image in images:
        video.add(image)
    return video.close()


def decode(path):
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


@pytest.mark.parametrize("fps", [10, 15, 30, 33, 100])
def test_every_image_is_shown_at_its_time(tmp_path, images, fps):
    write(tmp_path / "a.mp4", images, fps)
    times = [float(frame.pts * frame.time_base) for frame in decode(tmp_path / "a.mp4")]
    np.testing.assert_allclose(times, np.arange(9) / fps, atol=1e-6)


def test_images_come_back_much_as_they_were(tmp_path, images):
    write(tmp_path / "a.mp4", images)
    assert psnr(images, [frame.to_ndarray(format="rgb24") for frame in decode(tmp_path / "a.mp4")]).min() > 32


def test_statistics_are_those_of_the_images_and_near_to_what_a_reader_sees(tmp_path, images):
    statistics = write(tmp_path / "a.mp4", images)
    decoded = np.array([frame.to_ndarray(format="rgb24") for frame in decode(tmp_path / "a.mp4")]) / 255
    np.testing.assert_allclose(statistics["mean"].ravel(), images.mean(axis=(0, 1, 2)) / 255, atol=1e-9)
    np.testing.assert_allclose(statistics["mean"].ravel(), decoded.mean(axis=(0, 1, 2)), atol=0.01)
    assert statistics["count"] == [len(images)]


@pytest.mark.parametrize("size", [(31, 48), (48, 31), (1, 1)])
def test_odd_sizes_are_kept(tmp_path, size):
    write(tmp_path / "a.mp4", np.full((2, *size, 3), 99, dtype=np.uint8))
    assert decode(tmp_path / "a.mp4")[0].to_ndarray(format="rgb24").shape == (*size, 3)


@pytest.mark.parametrize("size", [(48, 64), (31, 48)])
def test_the_description_is_true(tmp_path, size):
    write(tmp_path / "a.mp4", np.zeros((2, *size, 3), dtype=np.uint8))
    said = describe_video(*size, 10)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.height, stream.width) == (said["video.height"], said["video.width"])
        assert stream.codec_context.name == said["video.codec"]
        assert stream.pix_fmt == said["video.pix_fmt"]
        assert stream.base_rate == said["video.fps"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path, images):
    with pytest.raises(OSError, match="No such file"):
        write(tmp_path / "missing" / "a.mp4", images)
