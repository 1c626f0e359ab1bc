"""A video of a replay: above what was recorded, below what happens now."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_hil.datasets.episode_dataset import Episode, EpisodeDataset
from gym_hil.datasets.features import IMAGES
from gym_hil.datasets.replay import Replayed, recorded_task, replay_episode
from gym_hil.datasets.video import VideoFile
from gym_hil.errors import ConfigurationError

PICTURE = 256  # pixels, of a camera in the video
CAMERAS = ("front", "wrist")
_BAR = 32  # pixels, where the words are
_INK, _PAPER = (236, 240, 243), (18, 24, 31)


class ReplayVideo:
    """An MP4 file of replayed episodes.

    Args:
        path: of the file.
        dataset: whose images are shown above.
        env: that is drawn below; made with images of `PICTURE` pixels.
        overwrite: replace a file that is there.

    Raises:
        ConfigurationError: the file has another ending, is there already, or cannot be written.
    """

    def __init__(self, path: Path, dataset: EpisodeDataset, env: gym.Env[Any, Any], *, overwrite: bool = False):
        if path.suffix != ".mp4":
            raise ConfigurationError(f"{path} ends in {path.suffix!r}; expected .mp4.")
        if path.exists() and not overwrite:
            raise ConfigurationError(f"{path} is there already; say overwrite=True (--overwrite) to replace it.")
        self._env, self._task = env, recorded_task(env)
        self._cameras = [camera for camera in CAMERAS if IMAGES + camera in dataset.image_keys]
        height = (PICTURE + _BAR) * (2 if self._cameras else 1)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = VideoFile(path, height, PICTURE * len(CAMERAS), round(dataset.fps))
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error}. Choose another place.") from error

    def __enter__(self) -> ReplayVideo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._file.close()
        else:
            self._file.abandon()

    def replay(self, episode: Episode) -> Replayed:
        """Replay an episode in front of the camera."""

        def film(frame: int) -> None:
            rows = [self._row(f"now, episode {episode.record.index}, step {frame}", self._task.draw(CAMERAS))]
            if self._cameras:
                number = min(frame, len(episode) - 1)
                recorded = {camera: episode.image(IMAGES + camera, number) for camera in self._cameras}
                blank = np.zeros((PICTURE, PICTURE, 3), dtype=np.uint8)
                rows.insert(0, self._row("recorded", [recorded.get(camera, blank) for camera in CAMERAS]))
            self._file.add(np.concatenate(rows))

        return replay_episode(self._env, episode, film)

    def _row(self, title: str, images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        from PIL import Image, ImageDraw, ImageFont

        row = Image.new("RGB", (PICTURE * len(images), PICTURE + _BAR), _PAPER)
        ImageDraw.Draw(row).text((8, _BAR / 2), title, fill=_INK, font=ImageFont.load_default(16), anchor="lm")
        for index, image in enumerate(images):
            view = Image.fromarray(image).resize((PICTURE, PICTURE), Image.Resampling.BILINEAR)
            row.paste(view, (PICTURE * index, _BAR))
        return np.asarray(row)
