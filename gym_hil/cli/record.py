"""Record demonstrations, by an operator or the scripted one, as a LeRobotDataset."""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path
from typing import Any, cast

import gymnasium as gym

from gym_hil.cli.arguments import add_operator_arguments, operator_options, path_argument
from gym_hil.console import close_console
from gym_hil.datasets.hub import check_login, check_repo_id, push_to_hub
from gym_hil.datasets.images import write_contact_sheet
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.datasets.record import RecordEpisodes
from gym_hil.errors import ConfigurationError
from gym_hil.pacing import Pacer
from gym_hil.registration import env_id, find_task
from gym_hil.teleop.operator import introduce, neutral_action, seconds_paused

SHEET = "contact_sheet.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil record`."""
    parser.add_argument("--task", default="PandaPickCube", help="task, with or without version (%(default)s)")
    parser.add_argument("--repo-id", required=True, metavar="USER/NAME", help="the dataset's name on the Hub")
    parser.add_argument("--root", type=path_argument, required=True, metavar="DIR", help="the folder to record into")
    parser.add_argument("--episodes", type=int, default=10, help="how many to record now (%(default)s)")
    add_operator_arguments(parser)
    parser.add_argument("--instruction", help="what the robot is to do, in words; the task's name if not given")
    parser.add_argument(
        "--steps-after-success", type=int, default=0, metavar="K", help="frames to record after success (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, help="from which the episodes' seeds are drawn; others each time if not given"
    )
    parser.add_argument("--no-images", action="store_true", help="record the objects' positions instead of images")
    parser.add_argument("--renderer", choices=["raster", "gl"], default="raster", help="(%(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on with the dataset in the folder")
    parser.add_argument("--overwrite", action="store_true", help="delete the dataset in the folder")
    parser.add_argument("--push-to-hub", action="store_true", help="upload the dataset at the end")


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil record`."""
    if arguments.episodes < 1:
        raise ConfigurationError(f"--episodes is {arguments.episodes}; expected 1 or more.")
    check_repo_id(arguments.repo_id)
    if arguments.push_to_hub:
        check_login()
    try:
        env = _make(arguments)
        try:
            is_done = _record(env, arguments.episodes)
        finally:
            env.close()
    finally:
        close_console()
    root = Path(arguments.root)
    _summarise(root)
    if arguments.push_to_hub and is_done:
        print(f"uploaded to {push_to_hub(root, arguments.repo_id)}")
    return 0 if is_done else 130


def _make(arguments: argparse.Namespace) -> RecordEpisodes:
    """The environment, with who drives it inside and the recorder outside."""
    name, version = find_task(arguments.task)
    options = operator_options(arguments).env_kwargs()
    env = gym.make(env_id(name, "", version), image_obs=not arguments.no_images, renderer=arguments.renderer, **options)
    try:
        recorder = RecordEpisodes(
            env,
            arguments.root,
            arguments.repo_id,
            task=_words(name) if arguments.instruction is None else arguments.instruction,
            steps_after_success=arguments.steps_after_success,
            resume=arguments.resume,
            overwrite=arguments.overwrite,
            seed=arguments.seed,
        )
    except BaseException:
        env.close()
        raise
    print(introduce(env), flush=True)
    return recorder


def _record(env: RecordEpisodes, wanted: int) -> bool:
    """Record so many more episodes, or until the operator quits; False if Ctrl+C ended it."""
    # An operator needs real time; the scripted one is as fast as the machine.
    pacer = Pacer(env.get_wrapper_attr("control_dt")) if env.get_wrapper_attr("device").human else None
    still = neutral_action(cast(gym.spaces.Box, env.action_space))
    progress = _Progress(env, wanted)
    try:
        while progress.recorded < wanted:
            env.reset()
            progress.begin()
            if pacer is not None:
                pacer.restart()
            done = False
            while not done:
                paused = seconds_paused(env)
                _, _, terminated, truncated, info = env.step(still)
                done = terminated or truncated
                progress.step(info)
                if pacer is not None:
                    pacer.leave_out(seconds_paused(env) - paused)
                if pacer is not None and not done:
                    pacer.wait()
            progress.end(info)
            if info.get("quit"):
                break
    except KeyboardInterrupt:
        progress.interrupt()
        return False
    if pacer is not None:
        print(pacer.report())
    return True


class _Progress:
    """Tells how far the recording has come: on a terminal in a line that changes, else in a line for each episode."""

    def __init__(self, env: RecordEpisodes, wanted: int):
        self._env, self._wanted, self._before = env, wanted, env.writer.num_episodes
        self._live = sys.stdout.isatty()
        self._began = self._episode_began = self._told = time.monotonic()
        self._steps = self._episode_steps = 0

    @property
    def recorded(self) -> int:
        """Episodes that were recorded since the start."""
        return self._env.writer.num_episodes - self._before

    def begin(self) -> None:
        """An episode begins."""
        self._episode_began, self._episode_steps = time.monotonic(), 0

    def step(self, info: dict[str, Any]) -> None:
        """A step was made."""
        self._steps += 1
        self._episode_steps += 1
        now = time.monotonic()
        if self._live and now - self._told > 0.2:
            self._told = now
            who = "operator" if info.get("is_intervention") else "nobody"
            line = (
                f"episode {self.recorded + 1} of {self._wanted}: step {self._episode_steps}, {who} acts, {self._all()}"
            )
            print(f"\r\x1b[K{line}", end="", flush=True)

    def end(self, info: dict[str, Any]) -> None:
        """An episode has ended."""
        if info.get("rerecord_episode"):
            outcome = f"episode {self.recorded + 1} thrown away after {self._episode_steps} steps, once more"
        elif info.get("quit") and not info.get("next.success"):
            outcome = f"stopped after {self._episode_steps} steps of an episode, which is not kept"
        else:
            success = "success" if info.get("next.success") else "no success"
            outcome = f"episode {self.recorded} of {self._wanted}: {success} after {self._episode_steps} steps"
        print(f"\r\x1b[K{outcome}, {self._all()}" if self._live else f"{outcome}, {self._all()}", flush=True)

    def interrupt(self) -> None:
        """Somebody pressed Ctrl+C."""
        print(f"\ninterrupted; {self.recorded} episodes are on the disk", flush=True)

    def _all(self) -> str:
        seconds = max(time.monotonic() - self._began, 1e-9)
        told = f"{self._env.successes} of {self.recorded} succeeded, {self._steps} steps"
        told += f", {self._steps / seconds:.1f} steps/s"
        left = self._wanted - self.recorded
        if self.recorded and left:
            minutes, rest = divmod(round(seconds / self.recorded * left), 60)
            told += f", {minutes}:{rest:02d} left"
        return told


def _summarise(root: Path) -> None:
    """Tell what the dataset holds now, and leave an image of it."""
    dataset = EpisodeDataset(root)
    successes = sum(bool(record.success) for record in dataset.episodes)
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    print(
        f"{root}: {len(dataset)} episodes, {successes} of them successes, {dataset.total_frames} frames, "
        f"{dataset.total_frames / dataset.fps:.0f} s at {dataset.fps:g} frames per second, {size / 2**20:.1f} MiB"
    )
    if len(dataset) and dataset.image_keys:
        write_contact_sheet(dataset, root / SHEET)
        print(f"contact sheet in {root / SHEET}")


def _words(task: str) -> str:
    """The name of a task as words: "pick cube" for PandaPickCube."""
    return " ".join(re.findall(r"[A-Z][^A-Z]*", task.removeprefix("Panda"))).lower()
