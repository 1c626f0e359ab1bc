"""Show what the package is for, in one video: a scripted operator takes over from a random policy, or a policy acts."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any, cast

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_hil.cli.arguments import add_randomize_argument, add_task_argument, check_at_least, check_output, path_argument
from gym_hil.env_options import with_randomize
from gym_hil.envs import FrankaGymEnv
from gym_hil.errors import ConfigurationError
from gym_hil.imports import is_function_name
from gym_hil.policies import LoadedPolicy, load_policy
from gym_hil.registration import env_id, find_task
from gym_hil.rendering import make_renderer
from gym_hil.status import StatusLine

FRONT, SIDE = 480, 240  # pixels
SUFFIXES = (".mp4", ".gif")
_LAST_SECONDS = 0.8  # how long the last image of an episode stays
_HOLD_STEPS = 5  # the policy keeps a random action this long: a new one at each step would only tremble on the spot
_INK, _PAPER, _GREY = (236, 240, 243), (18, 24, 31), (110, 122, 134)
_ACTORS = {False: ("POLICY", (122, 134, 147)), True: ("OPERATOR", (46, 204, 113))}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil demo`."""
    which = parser.add_mutually_exclusive_group()
    add_task_argument(which)
    which.add_argument(
        "--policy",
        metavar="POLICY",
        help="trained policy that acts alone in its task, in place of the random one and the operator: a run of "
        "hil-trainer, or a name that `hil-trainer policies` lists",
    )
    add_randomize_argument(parser)
    parser.add_argument(
        "--out",
        type=path_argument,
        default=Path("outputs/demo.mp4"),
        metavar="FILE",
        help=".mp4 or .gif file to write; an existing one is replaced (default: %(default)s)",
    )
    parser.add_argument("--episodes", type=int, default=3, help="number of episodes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default: %(default)s)")
    parser.add_argument(
        "--renderer",
        choices=["raster", "gl"],
        default="raster",
        help="what draws the images: raster on the CPU, or gl with OpenGL (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil demo`."""
    check_at_least(arguments, episodes=1)
    check_video("--out", arguments.out)
    env = _make(arguments)
    try:
        env.action_space.seed(arguments.seed)
        policy = None if arguments.policy is None else load_policy(arguments.policy, env)
        successes = _film(env, policy, arguments)
    finally:
        env.close()
    print(f"{successes} of {arguments.episodes} episodes succeeded; video in {arguments.out}")
    return 0 if successes == arguments.episodes else 1


def _make(arguments: argparse.Namespace) -> gym.Env[Any, Any]:
    """The task with the scripted operator, or as the policy was trained in it."""
    task, control, kwargs = arguments.task, "Scripted", {}
    if arguments.policy is None:
        operator = {"takeover": "no_progress", "reaction_delay": 2, "motion_noise": 0.1, "seed": arguments.seed}
        kwargs["device_options"] = operator
    else:
        trained_in = None if is_function_name(arguments.policy) else load_policy(arguments.policy).trained_in
        if trained_in is None:
            raise ConfigurationError(
                f"The policy {arguments.policy} does not say in which task it acts; "
                "film it with gym-hil eval --policy POLICY --video FILE."
            )
        (task, kwargs), control = trained_in, ""
    name, version = find_task(task)
    return gym.make(env_id(name, control, version), **with_randomize(kwargs, arguments.randomize))


def _film(env: gym.Env[Any, Any], policy: LoadedPolicy | None, arguments: argparse.Namespace) -> int:
    """Write the video, and print how each episode ends; returns the number of successes."""
    task, episodes = cast(FrankaGymEnv, env.unwrapped), arguments.episodes
    fps = task.metadata["render_fps"]
    successes = 0
    renderer = make_renderer(arguments.renderer, task.model, FRONT, FRONT)
    with contextlib.closing(renderer), open_video(arguments.out, fps) as video, StatusLine() as line:
        for episode in range(1, episodes + 1):
            observation, _ = env.reset(seed=arguments.seed + episode - 1)
            if policy is not None:
                policy.reset()
            actors: list[bool] = []
            done = False
            while not done:
                if policy is not None:
                    action = policy(observation)
                elif len(actors) % _HOLD_STEPS == 0:
                    action = env.action_space.sample()
                observation, _, terminated, truncated, info = env.step(action)
                done = terminated or truncated
                actors.append(info["is_intervention"])
                status = f"episode {episode} of {episodes}", f"step {len(actors)}"
                line.update(status)
                frame = _frame(renderer.render(task.data, ["front", "wrist"]), actors, status, info["succeed"])
                for _ in range(round(_LAST_SECONDS * fps) if done else 1):
                    video.append_data(frame)
            successes += info["succeed"]
            by_operator = f", {sum(actors)} of them by the operator" if policy is None else ""
            line.print(
                f"episode {episode}: {'success' if info['succeed'] else 'no success'} after {len(actors)} steps"
                f"{by_operator}"
            )
    return successes


def _frame(
    views: list[NDArray[np.uint8]], actors: list[bool], status: tuple[str, str], succeed: bool
) -> NDArray[np.uint8]:
    """Compose both views, who acts, and the history of who acted into one image."""
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
    for top, text in zip((330, 354), status, strict=True):
        draw.text((left, top), text, fill=_INK, font=ImageFont.load_default(17))
    if succeed:
        draw.text((left, 384), "success", fill=_ACTORS[True][1], font=ImageFont.load_default(24))
    draw.text((left, 424), "who acted", fill=_GREY, font=ImageFont.load_default(13))
    for index, actor in enumerate(actors):
        at = left + (right - left) * np.array([index, index + 1]) / max(len(actors), 50)
        draw.rectangle((at[0], 446, at[1], 460), fill=_ACTORS[actor][1])
    return np.asarray(frame)


def check_video(flag: str, path: Path) -> None:
    """Make sure that a video can be written to the path that a flag names; else a ConfigurationError."""
    if path.suffix not in SUFFIXES:
        raise ConfigurationError(f"{flag} is {path}; expected a file that ends in {' or '.join(SUFFIXES)}.")
    check_output(path, overwrite=True)


def open_video(path: Path, fps: int) -> Any:
    """A writer of a video file, frame by frame; it is closed by `with`."""
    import imageio

    options: dict[str, Any] = {"fps": fps, "macro_block_size": 8, "quality": 8}
    if path.suffix == ".gif":
        options = {"duration": 1000 / fps, "loop": 0, "palettesize": 64, "subrectangles": True}
    return imageio.get_writer(path, **options)
