"""Run a policy without an operator, and count successes."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_hil.cli import arguments as shared
from gym_hil.cli.demo import check_video, open_video
from gym_hil.cli.driving import Step, control_steps
from gym_hil.env_options import EnvOptions
from gym_hil.envs import GymRenderingSpec
from gym_hil.envs.threads import WorkThreads
from gym_hil.errors import ConfigurationError
from gym_hil.imports import running_user_code
from gym_hil.policies import LoadedPolicy
from gym_hil.rendering import make_renderer
from gym_hil.status import StatusLine
from gym_hil.teleop.operator import OperatorOptions

VIDEO_SIZE = 384  # height and width of video frames of our own tasks, in pixels
LAST_SECONDS = 0.8  # how long the last frame of an episode stays in the video


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil eval`."""
    shared.add_policy_arguments(parser, required=True)
    shared.add_env_arguments(parser)
    shared.add_state_key_argument(parser)
    parser.add_argument(
        "--episodes", type=int, default=50, metavar="N", help="number of episodes to run (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the first episode; the others count up from it (default: 0)"
    )
    parser.add_argument(
        "--num-envs",
        type=int,
        default=1,
        metavar="N",
        help="number of episodes that run at a time, each with a policy of its own (default: %(default)s)",
    )
    parser.add_argument("--images", action="store_true", help="let the policy see the images of a task's cameras")
    parser.add_argument(
        "--image-size", type=int, default=128, metavar="N", help="height and width of --images (default: %(default)s)"
    )
    parser.add_argument(
        "--orientation",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether a task's action has a rotation vector (default: where the task needs it)",
    )
    shared.add_force_torque_argument(parser)
    parser.add_argument(
        "--video", type=shared.path_argument, metavar="FILE", help=".mp4 or .gif file to film the episodes to"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil eval`."""
    shared.check_at_least(arguments, episodes=1, seed=0, image_size=1, num_envs=1)
    options = shared.env_options(arguments)
    shared.check_task(options, "--images and --orientation are", arguments.images or arguments.orientation)
    if arguments.video is not None:
        if arguments.num_envs > 1:
            raise ConfigurationError(
                f"--num-envs is {arguments.num_envs}, but --video films one episode after the other; leave one out."
            )
        check_video("--video", arguments.video)
    with contextlib.ExitStack() as stack:
        envs = []
        for _ in range(min(arguments.num_envs, arguments.episodes)):
            envs.append(_make(options, arguments))
            stack.callback(envs[-1].close)
        # What OpenGL draws with belongs to one thread.
        threads = 1 if options.kwargs.get("renderer") == "gl" else None
        successes = evaluate(envs, arguments, threads=threads, film=options.is_task())
    if arguments.video is not None:
        print(f"video in {arguments.video}")
    print(f"successes: {successes}/{arguments.episodes}")
    return 0


def _make(options: EnvOptions, arguments: argparse.Namespace) -> gym.Env[Any, Any]:
    task_kwargs: dict[str, Any] = shared.force_torque_kwargs(arguments, options)
    if arguments.images:
        size = arguments.image_size
        task_kwargs |= {"image_obs": True, "render_spec": GymRenderingSpec(height=size, width=size)}
    chosen = arguments.video is None or options.is_task() or "render_mode" in options.kwargs
    kwargs = {} if chosen else {"render_mode": "rgb_array"}
    operator = OperatorOptions(device=None, orientation=arguments.orientation)
    return options.make(operator, task_kwargs=task_kwargs, **kwargs)


def evaluate(
    envs: Sequence[gym.Env[Any, Any]], arguments: argparse.Namespace, *, threads: int | None, film: bool
) -> int:
    """Run the episodes, as many at a time as there are environments, and print how each ends; returns the successes.

    The environments are wrapped for an operator, without one, and share the threads (None: one per core). Each has a
    policy of its own, which may keep a plan. `film`: the video shows a camera of ours, not the environment's
    `render()`.
    """
    policies = [shared.read_policy(arguments, env) for env in envs]
    numbers = iter(range(1, arguments.episodes + 1))
    running: dict[int, _Episode] = {}  # environment -> its episode
    successes, total = 0, 0
    with contextlib.ExitStack() as stack:
        workers = WorkThreads(len(envs), threads=threads, main=0)
        stack.callback(workers.close)
        camera = None if arguments.video is None else _Camera(envs[0], arguments.video, stack, film)
        line = stack.enter_context(StatusLine())

        def advance(index: int) -> None:
            running[index].advance()

        while True:
            for index, (env, policy) in enumerate(zip(envs, policies, strict=True)):
                number = None if index in running else next(numbers, None)
                if number is not None:
                    running[index] = _Episode(number, _steps(env, policy, arguments.seed + number - 1, camera))
            if not running:
                break
            workers.run(advance, list(running))
            first = min(running.values(), key=lambda episode: episode.number)
            title = f"episode {first.number} of {arguments.episodes}"
            line.update((title, f"step {first.length}", f"successes: {successes}"))
            for index in [index for index, episode in running.items() if episode.last.ends_episode]:
                episode = running.pop(index)
                success = bool(episode.last.info["next.success"])
                successes, total = successes + success, total + episode.length
                outcome = "success" if success else "no success"
                line.print(f"episode {episode.number}: {outcome} after {episode.length} steps")
    print(f"{total / arguments.episodes:.1f} steps an episode")
    return successes


class _Episode:
    """An episode that runs."""

    last: Step

    def __init__(self, number: int, steps: Iterator[Step]):
        self.number, self.length = number, 0
        self._steps = steps

    def advance(self) -> None:
        """Make the next step."""
        self.last = next(self._steps)
        self.length += 1


def _steps(env: gym.Env[Any, Any], policy: LoadedPolicy | None, seed: int, camera: _Camera | None) -> Iterator[Step]:
    """Reset the environment at the first step, then step and film it."""
    observation, _ = env.reset(seed=seed)
    if camera is not None:
        camera.shoot()
    for step in control_steps(env, observation, None, policy):
        if camera is not None:
            camera.shoot(last=step.ends_episode)
        yield step


class _Camera:
    """Films an environment."""

    def __init__(self, env: gym.Env[Any, Any], path: Path, stack: contextlib.ExitStack, is_ours: bool):
        self._env, self._renderer = env, None
        self._fps = 1 / env.get_wrapper_attr("control_dt")
        if is_ours:
            self._renderer = make_renderer("raster", env.unwrapped.model, VIDEO_SIZE, VIDEO_SIZE)  # type: ignore[attr-defined]
            stack.callback(self._renderer.close)
        self._video = stack.enter_context(open_video(path, round(self._fps)))

    def shoot(self, *, last: bool = False) -> None:
        """Add a frame, which stays for a moment if it is the last of an episode."""
        frame = self._frame()
        for _ in range(max(round(LAST_SECONDS * self._fps), 1) if last else 1):
            self._video.append_data(frame)

    def _frame(self) -> NDArray[np.uint8]:
        if self._renderer is not None:
            return self._renderer.render(self._env.unwrapped.data, ["front"])[0]  # type: ignore[attr-defined]
        with running_user_code(f"{self._env.unwrapped} cannot render", "Leave --video out."):
            frame = np.asarray(self._env.render())
        if frame.ndim != 3 or frame.dtype != np.uint8:
            raise ConfigurationError(
                f"{self._env.unwrapped} renders no images (height, width, 3) of uint8 with render_mode='rgb_array'; "
                "leave --video out."
            )
        return frame
