"""What the package is for, in one video: a scripted operator takes over from a random policy and finishes the task."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, cast

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_hil.envs import FrankaGymEnv, GymRenderingSpec
from gym_hil.errors import ConfigurationError
from gym_hil.registration import env_id, find_task

FRONT, SIDE = 480, 240  # pixels
_LAST_SECONDS = 0.8  # the last image of an episode stays this long
_INK, _PAPER, _GREY = (236, 240, 243), (18, 24, 31), (110, 122, 134)
_ACTORS = {False: ("POLICY", (122, 134, 147)), True: ("PERSON", (46, 204, 113))}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil demo`."""
    parser.add_argument("--task", default="PandaPickCube", help="task, with or without version (%(default)s)")
    parser.add_argument("--out", default="outputs/demo.mp4", metavar="FILE", help=".mp4 or .gif (%(default)s)")
    parser.add_argument("--episodes", type=int, default=3, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--renderer", choices=["raster", "gl"], default="raster", help="(%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil demo`."""
    lifted = run_demo(
        task=arguments.task,
        out=arguments.out,
        episodes=arguments.episodes,
        seed=arguments.seed,
        renderer=arguments.renderer,
    )
    return 0 if lifted == arguments.episodes else 1


def run_demo(
    task: str = "PandaPickCube",
    out: str | Path = "outputs/demo.mp4",
    episodes: int = 3,
    seed: int = 0,
    renderer: str = "raster",
) -> int:
    """Let a random policy act until the scripted operator takes over; tell what happens and leave a video.

    Args:
        task: with or without a version, for example `PandaPickCube-v1`.
        out: an .mp4 or .gif file.
        episodes: how many.
        seed: of the first episode, the policy and the operator.
        renderer: "raster" or "gl".

    Returns:
        How many episodes ended in success.

    Raises:
        ConfigurationError: unknown task or file type, less than one episode, or a file that cannot be written.
    """
    if episodes < 1:
        raise ConfigurationError(f"episodes is {episodes}; expected 1 or more.")
    name, version = find_task(task)
    env = gym.make(
        env_id(name, "Scripted", version),
        render_spec=GymRenderingSpec(FRONT, FRONT),
        renderer=renderer,
        device_options={"takeover": "no_progress", "reaction_delay": 2, "motion_noise": 0.1, "seed": seed},
    )
    env.action_space.seed(seed)
    task_env = cast(FrankaGymEnv, env.unwrapped)
    fps = task_env.metadata["render_fps"]
    successes = 0
    with _Video(Path(out), fps) as video:
        for episode in range(episodes):
            env.reset(seed=seed + episode)
            actors: list[bool] = []
            done = False
            while not done:
                # The policy keeps its random action for a while: a new one at each step would only tremble on the spot.
                if len(actors) % 5 == 0:
                    action = env.action_space.sample()
                _, _, terminated, truncated, info = env.step(action)
                done = terminated or truncated
                actors.append(info["is_intervention"])
                status = f"episode {episode + 1} of {episodes}", f"step {len(actors)}", info["succeed"]
                frame = _image(task_env.draw(["front", "wrist"]), actors, status)
                for _ in range(round(_LAST_SECONDS * fps) if done else 1):
                    video.add(frame)
            successes += info["succeed"]
            print(
                f"episode {episode + 1}: {'success' if info['succeed'] else 'no success'} after {len(actors)} steps, "
                f"{sum(actors)} of them the operator's"
            )
    env.close()
    print(f"{successes} of {episodes} episodes succeeded; video in {out}")
    return successes


def _image(views: list[NDArray[np.uint8]], actors: list[bool], status: tuple[str, str, bool]) -> NDArray[np.uint8]:
    """Put both views, who acts, and the history of who acted into one frame."""
    from PIL import Image, ImageDraw, ImageFont

    front, wrist = (Image.fromarray(view) for view in views)
    frame = Image.new("RGB", (FRONT + SIDE, FRONT), _PAPER)
    frame.paste(front, (0, 0))
    frame.paste(wrist.resize((SIDE, SIDE), Image.Resampling.BOX), (FRONT, 0))
    draw = ImageDraw.Draw(frame)
    who, colour = _ACTORS[actors[-1]]
    left, right = FRONT + 20, FRONT + SIDE - 20
    draw.rectangle((0, 0, FRONT - 1, FRONT - 1), outline=colour, width=5)
    draw.rounded_rectangle((left, 264, right, 312), 8, fill=colour)
    draw.text(((left + right) / 2, 288), who, fill=_PAPER, font=ImageFont.load_default(26), anchor="mm")
    episode, step, succeed = status
    draw.text((left, 330), episode, fill=_INK, font=ImageFont.load_default(17))
    draw.text((left, 354), step, fill=_INK, font=ImageFont.load_default(17))
    if succeed:
        draw.text((left, 384), "success", fill=_ACTORS[True][1], font=ImageFont.load_default(24))
    draw.text((left, 424), "who acted", fill=_GREY, font=ImageFont.load_default(13))
    for index, actor in enumerate(actors):
        at = left + (right - left) * np.array([index, index + 1]) / max(len(actors), 50)
        draw.rectangle((at[0], 446, at[1], 460), fill=_ACTORS[actor][1])
    return np.asarray(frame)


class _Video:
    """A video file that is written frame by frame."""

    def __init__(self, path: Path, fps: int):
        if path.suffix not in (".mp4", ".gif"):
            raise ConfigurationError(f"{path} ends in {path.suffix!r}; expected .mp4 or .gif.")
        self._path, self._fps = path, fps

    def __enter__(self) -> _Video:
        import imageio

        options: dict[str, Any] = {"fps": self._fps, "macro_block_size": 8, "quality": 8}
        if self._path.suffix == ".gif":
            options = {"duration": 1000 / self._fps, "loop": 0, "palettesize": 64, "subrectangles": True}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = imageio.get_writer(self._path, **options)
        except OSError as error:
            raise ConfigurationError(
                f"{self._path} cannot be written: {error}. Choose another place with --out."
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Append a frame."""
        self._writer.append_data(frame)
