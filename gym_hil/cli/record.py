"""Record demonstrations of an operator, or a policy's episodes with their corrections, as a LeRobotDataset."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gym_hil.cli import arguments as shared
from gym_hil.cli.driving import add_session_arguments, check_session, control_steps, introduction, operator_env
from gym_hil.datasets.hub import check_login, check_repo_id, check_upload, push_to_hub
from gym_hil.datasets.images import write_contact_sheet
from gym_hil.datasets.layout import SHEET, dataset_files
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.datasets.record import RecordEpisodes
from gym_hil.errors import ConfigurationError, DatasetError
from gym_hil.pacing import Pacer
from gym_hil.policies import LoadedPolicy
from gym_hil.status import StatusLine
from gym_hil.teleop.session import Choice, OperatorSession


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil record`."""
    shared.add_env_arguments(parser)
    shared.add_policy_arguments(parser)
    parser.add_argument(
        "--repo-id", required=True, metavar="USER/NAME", help="name of the dataset, as on the Hugging Face Hub"
    )
    parser.add_argument("--root", type=shared.path_argument, required=True, metavar="DIR", help="folder of the dataset")
    parser.add_argument(
        "--episodes", type=int, default=10, metavar="N", help="number of episodes to record (default: %(default)s)"
    )
    shared.add_operator_arguments(parser)
    add_session_arguments(parser)
    parser.add_argument(
        "--keep-undriven",
        action="store_true",
        help="keep episodes in which the operator did not drive at all; those of a policy are kept anyway",
    )
    parser.add_argument(
        "--instruction", metavar="TEXT", help="instruction given to the robot (default: the name of the task)"
    )
    shared.add_state_key_argument(parser)
    parser.add_argument(
        "--steps-after-success",
        type=int,
        default=0,
        metavar="K",
        help="number of frames to record after a success (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, help="seed of the session; the same seed gives the same episodes (default: random)"
    )
    parser.add_argument(
        "--no-images", action="store_true", help="record the positions of the objects instead of camera images"
    )
    parser.add_argument(
        "--renderer", choices=["raster", "gl"], default="raster", help="renderer of the images (default: %(default)s)"
    )
    shared.add_force_torque_argument(parser)
    parser.add_argument("--resume", action="store_true", help="add to the dataset in the folder")
    parser.add_argument("--overwrite", action="store_true", help="delete the dataset in the folder first")
    parser.add_argument(
        "--push-to-hub", action="store_true", help="upload the dataset to the Hugging Face Hub when recording ends"
    )
    parser.add_argument(
        "--overwrite-on-hub", action="store_true", help="replace another dataset of the same name on the Hub"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil record`."""
    shared.check_at_least(arguments, episodes=1)
    check_session(arguments)
    check_repo_id(arguments.repo_id)
    root: Path = arguments.root
    if arguments.push_to_hub:
        check_login()
        if not arguments.overwrite_on_hub:
            check_upload(root if arguments.resume else None, arguments.repo_id)
    options = shared.env_options(arguments)
    shared.check_task(options, "--no-images and --renderer are", arguments.no_images or arguments.renderer != "raster")
    if options.fps is not None and options.fps != round(options.fps):
        raise ConfigurationError(f"--fps is {options.fps:g}; only whole numbers can be recorded.")
    task_kwargs = {"image_obs": not arguments.no_images, "renderer": arguments.renderer}
    task_kwargs |= shared.force_torque_kwargs(arguments, options)
    with operator_env(arguments, task_kwargs=task_kwargs) as env:
        task = _words(options.spec().name) if arguments.instruction is None else arguments.instruction
        device = env.get_wrapper_attr("device")
        demonstrates = device is not None and device.human and arguments.policy is None
        recorder = RecordEpisodes(
            env,
            root,
            arguments.repo_id,
            task=task,
            fps=None if options.fps is None else round(options.fps),
            state_key=arguments.state_key,
            steps_after_success=arguments.steps_after_success,
            keep_undriven=arguments.keep_undriven or not demonstrates,
            resume=arguments.resume,
            overwrite=arguments.overwrite,
            seed=arguments.seed,
        )
        try:
            policy = shared.read_policy(arguments, env)
            print(introduction(recorder, policy), flush=True)
            is_done = _record(recorder, arguments, policy)
        finally:
            recorder.close()
    _summarise(root)
    if arguments.push_to_hub and is_done:
        address = push_to_hub(root, arguments.repo_id, overwrite_on_hub=arguments.overwrite_on_hub)
        print(f"uploaded to {address}")
    return 0 if is_done else 130


def _record(env: RecordEpisodes, arguments: argparse.Namespace, policy: LoadedPolicy | None) -> bool:
    """Record more episodes, until there are enough or the operator quits; False if Ctrl-C ended it."""
    # A human needs real time; the scripted operator is as fast as the machine.
    device = env.get_wrapper_attr("device")
    pacer = Pacer(env.get_wrapper_attr("control_dt")) if device is not None and device.human else None
    wanted, has_policy = arguments.episodes, policy is not None
    with StatusLine(bell=arguments.bell) as status:
        progress = _Progress(env, wanted, status)
        session = OperatorSession(
            env,
            status,
            activity="recording",
            has_policy=has_policy,
            dataset=arguments.repo_id,
            episodes=wanted,
            countdown=arguments.countdown,
        )
        try:
            choice = Choice.GO
            while choice is not Choice.QUIT and progress.recorded < wanted:
                session.prepare(progress.recorded + 1)
                observation, _ = env.reset()
                while (choice := session.wait_until_ready()) is Choice.DELETE:
                    progress.delete_last(session)
                    session.prepare(progress.recorded + 1)
                if choice is Choice.GO:
                    choice = _record_episode(env, session, progress, pacer, policy, observation)
        except KeyboardInterrupt:
            status.print(f"interrupted; {_count(progress.recorded, 'episode')} recorded")
            return False
        finally:
            session.close(f"Recording finished, {_count(progress.recorded, 'episode')}")
    if pacer is not None:
        print(pacer.report())
    return True


def _record_episode(
    env: RecordEpisodes,
    session: OperatorSession,
    progress: _Progress,
    pacer: Pacer | None,
    policy: LoadedPolicy | None,
    observation: Any,
) -> Choice:
    """Record one episode, after its reset; returns what the operator wants then."""
    otherwise = "nothing drives" if policy is None else "policy drives"
    before = progress.recorded
    progress.begin_episode()
    session.run()
    if pacer is not None:
        pacer.restart()
    for step in control_steps(env, observation, pacer, policy):
        driver = "operator drives" if step.info.get("is_intervention") else otherwise
        progress.step([*session.notes(), driver])
        if step.ends_episode:
            break
    session.end()
    is_saved = progress.recorded > before
    outcome = progress.end_episode(step.info, is_saved=is_saved)
    quits = Choice.QUIT if step.info.get("quit") else Choice.GO
    if not is_saved:
        if not step.info.get("rerecord_episode"):
            session.note_undriven()
        return quits
    session.last = f"episode {progress.recorded}"
    if quits is Choice.QUIT:
        return quits
    choice = session.decide(outcome, is_last=progress.recorded == progress.wanted)
    if choice in (Choice.AGAIN, Choice.DELETE):
        progress.delete_last(session, repeat=choice is Choice.AGAIN)
    return choice


class _Progress:
    """The status of a recording, and a line for each episode."""

    def __init__(self, env: RecordEpisodes, wanted: int, status: StatusLine):
        self._env, self.wanted, self._status = env, wanted, status
        self._before = env.writer.num_episodes
        self._began = time.monotonic()
        self._steps = self._episode_steps = 0

    @property
    def recorded(self) -> int:
        """Episodes that were recorded since the start."""
        return self._env.writer.num_episodes - self._before

    def begin_episode(self) -> None:
        self._episode_steps = 0

    def step(self, notes: Sequence[str]) -> None:
        """Show a step, and the notes before the totals."""
        self._steps += 1
        self._episode_steps += 1
        title = f"episode {self.recorded + 1} of {self.wanted}: step {self._episode_steps}"
        self._status.update(lambda: [title, *notes, *self._totals()])

    def end_episode(self, info: dict[str, Any], *, is_saved: bool) -> str:
        """Print how the episode ended; returns it in words."""
        steps = f"after {_count(self._episode_steps, 'step')}"
        if is_saved:
            success = "success" if info.get("next.success") else "no success"
            outcome = f"episode {self.recorded} of {self.wanted}: {success} {steps}"
        elif info.get("rerecord_episode"):
            outcome = f"episode {self.recorded + 1} discarded {steps}, to be recorded again"
        elif info.get("quit"):
            outcome = f"recording stopped {steps} of an episode, which is discarded"
        else:
            outcome = f"episode {self.recorded + 1} not kept, as the operator did not drive"
        self._status.clear()
        self._status.print(", ".join([outcome, *self._totals()]))
        return outcome

    def delete_last(self, session: OperatorSession, *, repeat: bool = False) -> None:
        """Delete the episode that was recorded last."""
        number = self.recorded
        self._env.delete_last_episode(repeat=repeat)
        session.note_deleted(None if self.recorded == 0 else f"episode {self.recorded}")
        self._status.clear()
        self._status.print(f"episode {number} deleted" + (", to be recorded again" if repeat else ""))

    def _totals(self) -> Sequence[str]:
        seconds = max(time.monotonic() - self._began, 1e-9)
        parts = [f"{self._env.successes} of {self.recorded} succeeded"]
        left = self.wanted - self.recorded
        if self.recorded and left:
            minutes, rest = divmod(round(seconds / self.recorded * left), 60)
            parts.append(f"{minutes}:{rest:02d} left")
        return [*parts, f"{self._steps} steps", f"{self._steps / seconds:.1f} steps/s"]


def _summarise(root: Path) -> None:
    """Print what the dataset holds now, and write its contact sheet; a damaged old file is no reason to fail."""
    dataset = EpisodeDataset(root)
    successes = sum(bool(record.success) for record in dataset.episodes)
    size = sum(path.stat().st_size for path in dataset_files(root, dataset.features))
    print(
        f"{root}: {_count(len(dataset), 'episode')}, {successes} of them successes, {dataset.total_frames} frames, "
        f"{dataset.total_frames / dataset.fps:.0f} s at {dataset.fps:g} frames per second, {size / 2**20:.1f} MiB"
    )
    if len(dataset) and dataset.image_keys:
        try:
            write_contact_sheet(dataset, root / SHEET)
            print(f"contact sheet in {root / SHEET}")
        except DatasetError as error:
            print(f"warning: no contact sheet: {error}", file=sys.stderr)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _words(task: str) -> str:
    """The name of a task as an instruction: "pick cube" for PandaPickCube."""
    return " ".join(re.findall(r"[A-Z][^A-Z]*", task.removeprefix("Panda"))).lower()
