"""Write configuration files for LeRobot 0.6.1: record and replay by its gym_manipulator, train by actor and learner."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gym_hil.cli.arguments import path_argument, write_output
from gym_hil.errors import ConfigurationError
from gym_hil.registration import NAMESPACE, TASKS, controls, env_id, find_task, make_task
from gym_hil.teleop.registry import turns_by_default

# The files without what the arguments say. The one for training follows HIL-SERL (Luo et al. 2024, arXiv:2410.21845):
# half of each batch from the demonstrations, two critics, discount 0.97, the gripper as a discrete action of its own.
# Checkpoints are off, because LeRobot 0.6.1 fails to write the demonstrations beside them. A transition takes 0.4 MB in
# its buffers: images are kept as float32. `processor.reset` is null: the environment keeps its own time, and LeRobot's
# learner cannot encode anything else. The file for record and replay has no `env.type`: LeRobot's parser refuses it.
TEMPLATES = Path(__file__).parent / "lerobot"
MODES = {"record": "manipulator.json", "replay": "manipulator.json", "train": "train.json"}
CONTROL_MODES = {"Keyboard": "keyboard", "MetaQuest": "meta_quest"}  # control -> LeRobot's name of it
JOINT_VELOCITY = 3.0  # rad/s, scales the velocities; the arm may exceed it for a moment
GRIPPER_CLOSED = 255.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil lerobot-config`."""
    add = parser.add_argument
    root = Path("outputs/lerobot/data")
    shown = "(default: %(default)s)"
    add("--task", required=True, help="task and control, such as PandaPickCubeWeb-v0 (default version: v0)")
    add("--mode", required=True, choices=list(MODES), help="what LeRobot is to do with the file")
    add("--out", type=path_argument, metavar="FILE", help="file to write (default: print)")
    add("--repo-id", default="local/pick_cube", metavar="USER/NAME", help=f"name of the dataset {shown}")
    add("--root", type=path_argument, default=root, metavar="DIR", help=f"folder of the dataset {shown}")
    add("--instruction", default="pick up the cube", help=f"the task in words, stored with each frame {shown}")
    add("--episodes", type=int, default=10, help=f"number of episodes to record {shown}")
    add("--episode", type=int, default=0, help=f"number of the episode to replay {shown}")
    add("--device", default="cpu", choices=("cpu", "cuda"), help=f"where the networks run {shown}")
    add("--no-gripper", action="store_true", help="leave the gripper out of the action")
    penalty = f"reward for each change of the gripper {shown}"
    add("--gripper-penalty", type=float, default=-0.02, metavar="X", help=penalty)
    add("--steps", type=int, default=100_000, help=f"environment steps to train for {shown}")
    add("--batch-size", type=int, default=256, help=f"transitions in each update {shown}")
    add("--host", default="127.0.0.1", help=f"address of the learner {shown}")
    add("--port", type=int, default=50051, help=f"port of the learner {shown}")
    results = "folder for LeRobot's results, in the file for training (better given to learner and actor each)"
    add("--output-dir", type=path_argument, metavar="DIR", help=results)


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil lerobot-config`."""
    if arguments.mode == "record" and arguments.no_gripper:
        raise ConfigurationError(
            "LeRobot 0.6.1 records 4 numbers per action and fails with 3; leave out --no-gripper, "
            "or record with `gym-hil record`."
        )
    text = json.dumps(make_config(arguments), indent=2) + "\n"
    if arguments.out is None:
        print(text, end="")
    else:
        write_output(arguments.out, text)
        print(f"wrote {arguments.out}\n{_usage(arguments.mode, arguments.out)}")
    return 0


def make_config(arguments: argparse.Namespace) -> dict[str, Any]:
    """The content of the configuration file that the arguments describe."""
    task, control, version = split_task(arguments.task)
    if arguments.mode == "replay":
        control = ""  # a scripted operator would drive instead of the recording
    name = env_id(task, control, version).removeprefix(f"{NAMESPACE}/")
    use_gripper = not arguments.no_gripper
    values: dict[str, Any] = {
        "env/task": name,
        "env/processor/control_mode": CONTROL_MODES.get(control, "gamepad"),
        "env/processor/gripper/use_gripper": use_gripper,
        "env/processor/gripper/gripper_penalty": arguments.gripper_penalty,
        "dataset/repo_id": arguments.repo_id,
        "dataset/root": arguments.root.as_posix(),
    }
    if arguments.mode == "train":
        motion = _motion_numbers(task, control, version)
        values |= {
            "policy/output_features/action/shape": [motion],
            "policy/dataset_stats/action": {"min": [-1.0] * motion, "max": [1.0] * motion},
            "env/features/action/shape": [motion],
            "batch_size": arguments.batch_size,
            "policy/device": arguments.device,
            "policy/dataset_stats/observation.state": _state_range(f"{task}-v{version}"),
            "policy/num_discrete_actions": 3 if use_gripper else None,
            "policy/online_steps": arguments.steps,
            "policy/actor_learner_config/learner_host": arguments.host,
            "policy/actor_learner_config/learner_port": arguments.port,
            "output_dir": None if arguments.output_dir is None else arguments.output_dir.as_posix(),
        }
    else:
        values |= {
            "mode": arguments.mode,
            "device": arguments.device,
            "dataset/task": arguments.instruction,
            "dataset/num_episodes_to_record": arguments.episodes,
            "dataset/replay_episode": arguments.episode if arguments.mode == "replay" else None,
        }
    return _fill(MODES[arguments.mode], values)


def split_task(name: str) -> tuple[str, str, int]:
    """Task, control and version, such as `("PandaPickCube", "Web", 0)`, of an id with or without control and version.

    Without version it is v0, the one whose episodes LeRobot can replay.
    """
    stem, mark, version = name.removeprefix(f"{NAMESPACE}/").partition("-v")
    for task in TASKS:
        for control in controls():
            if stem.lower() == (task + control).lower() and control != "Viewer":
                return task, control, find_task(f"{task}-v{version if mark else 0}")[1]
    known = ", ".join(control for control in controls() if control not in ("", "Viewer"))
    raise ConfigurationError(
        f"LeRobot can drive no task {name!r}; expected {' or '.join(TASKS)}, followed by nothing or one of {known}, "
        "and by -v0 or -v1. Ids with Base or Viewer do not take the arguments that LeRobot gives."
    )


def _fill(template: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """A template with the values put at their places, such as `env/task`; all of these exist in the template."""
    content = json.loads((TEMPLATES / template).read_text(encoding="utf-8"))
    for place, value in values.items():
        *parents, key = place.split("/")
        node = content
        for parent in parents:
            node = node[parent]
        assert key in node, f"{template} has no {place}"
        node[key] = value
    return content


def _motion_numbers(task: str, control: str, version: int) -> int:
    """Numbers of an action without the gripper's: 6 where it turns the tool, else 3."""
    device = controls()[control].get("device", "")
    turns = TASKS[task][1][version].wrap_kwargs.get("orientation", turns_by_default(device))
    return 6 if turns else 3


def _state_range(task: str) -> dict[str, list[float]]:
    """Minimum and maximum of `agent_pos`: joints (rad), velocities (rad/s), gripper command, TCP (m)."""
    env = make_task(task)
    joints = np.array([env.model.joint(f"joint{number}").range for number in range(1, 8)])
    workspace = env.cartesian_bounds
    env.close()
    velocity = [JOINT_VELOCITY] * len(joints)
    return {
        "min": [*joints[:, 0].tolist(), *(-value for value in velocity), 0.0, *workspace[0].tolist()],
        "max": [*joints[:, 1].tolist(), *velocity, GRIPPER_CLOSED, *workspace[1].tolist()],
    }


def _usage(mode: str, path: Path) -> str:
    """How to run LeRobot with the file."""
    if mode != "train":
        return f"{mode}: python -m lerobot.rl.gym_manipulator --config_path {path}"
    command = "python -m lerobot.rl.{0} --config_path {1} --output_dir outputs/lerobot/{0}"
    return "\n".join(f"{name}: {command.format(name, path)}" for name in ("learner", "actor"))
