"""Configuration files for LeRobot 0.6.1: record and replay by its gym_manipulator, train by its actor and learner."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_hil.errors import ConfigurationError
from gym_hil.registration import NAMESPACE, TASKS, controls, env_id, find_task, make_task

MODES = ("record", "replay", "train")
FPS = 10  # steps/s, one control_dt of 0.1 s each
CAMERAS = ("front", "wrist")
IMAGE_SHAPE = [3, 128, 128]  # LeRobot gives the environment no image size, and crops nothing in simulation
# Mean and standard deviation of ImageNet's images, which HIL-SERL normalises with.
IMAGE_STATISTICS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
JOINT_VELOCITY = 3.0  # rad/s, scales the velocities; the arm may exceed it for a moment
GRIPPER_CLOSED = 255.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil lerobot-config`."""
    parser.add_argument("--task", required=True, help="such as PandaPickCubeWeb-v0; without version v0")
    parser.add_argument("--mode", required=True, choices=MODES)
    parser.add_argument("--out", metavar="FILE", help="where to write; prints if it is not given")
    parser.add_argument("--repo-id", default="local/pick_cube", metavar="USER/NAME", help="the dataset's name")
    parser.add_argument("--root", default="outputs/lerobot/data", metavar="DIR", help="the dataset's folder")
    parser.add_argument("--instruction", default="pick up the cube", help="the task in words, kept with each frame")
    parser.add_argument("--episodes", type=int, default=10, help="how many to record")
    parser.add_argument("--episode", type=int, default=0, help="which one to replay")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="where the networks are")
    parser.add_argument("--no-gripper", action="store_true", help="leave the gripper out of the action")
    parser.add_argument("--gripper-penalty", type=float, default=-0.02, help="for each change of the gripper")
    parser.add_argument("--steps", type=int, default=100_000, help="environment steps to train for")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--host", default="127.0.0.1", help="the learner's address")
    parser.add_argument("--port", type=int, default=50051, help="the learner's port")
    parser.add_argument("--output-dir", metavar="DIR", help="put into the train file; better given to each program")


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil lerobot-config`."""
    task, control, version = split_task(arguments.task)
    # Nobody may act in a replay: the scripted operator would drive instead of the recording.
    name = env_id(task, "" if arguments.mode == "replay" else control, version).removeprefix(f"{NAMESPACE}/")
    if arguments.mode == "train":
        env = make_task(f"{task}-v{version}")
        joints = np.array([env.model.joint(f"joint{number}").range for number in range(1, 8)])
        env.close()
        content = train_config(
            name,
            joints,
            env.cartesian_bounds,
            repo_id=arguments.repo_id,
            root=arguments.root,
            device=arguments.device,
            use_gripper=not arguments.no_gripper,
            gripper_penalty=arguments.gripper_penalty,
            steps=arguments.steps,
            batch_size=arguments.batch_size,
            host=arguments.host,
            port=arguments.port,
            output_dir=arguments.output_dir,
        )
    else:
        if arguments.mode == "record" and arguments.no_gripper:
            raise ConfigurationError(
                "LeRobot 0.6.1 records 4 numbers per action and fails with 3; leave out --no-gripper, "
                "or record with `gym-hil record`."
            )
        content = manipulator_config(
            name,
            mode=arguments.mode,
            repo_id=arguments.repo_id,
            root=arguments.root,
            instruction=arguments.instruction,
            episodes=arguments.episodes,
            episode=arguments.episode,
            device=arguments.device,
            use_gripper=not arguments.no_gripper,
            gripper_penalty=arguments.gripper_penalty,
        )
    text = json.dumps(content, indent=2) + "\n"
    if arguments.out is None:
        print(text, end="")
        return 0
    path = Path(arguments.out)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error}. Choose another file.") from error
    print(f"wrote {path}\n{_usage(arguments.mode, path)}")
    return 0


def split_task(name: str) -> tuple[str, str, int]:
    """Understand an id with or without control and version.

    Args:
        name: such as `PandaPickCubeWeb`, `PandaPickCube-v1` or `gym_hil/PandaPickCubeScripted-v0`; without version v0,
            the one whose episodes LeRobot can replay.

    Returns:
        Task, control and version, such as `("PandaPickCube", "Web", 0)`.

    Raises:
        ConfigurationError: there is no such id, or LeRobot cannot drive it.
    """
    stem, mark, version = name.removeprefix(f"{NAMESPACE}/").partition("-v")
    for task in TASKS:
        for control in controls():
            if stem.lower() == (task + control).lower() and control != "Viewer":
                return task, control, find_task(f"{task}-v{version if mark else 0}")[1]
    known = ", ".join(control for control in controls() if control not in ("", "Viewer"))
    raise ConfigurationError(
        f"LeRobot can drive no task {name!r}; take {' or '.join(TASKS)}, followed by nothing or one of {known}, "
        "and by -v0 or -v1. Ids with Base or Viewer do not take the arguments that LeRobot gives."
    )


def manipulator_config(
    task: str,
    *,
    mode: str,
    repo_id: str,
    root: str,
    instruction: str,
    episodes: int,
    episode: int,
    device: str,
    use_gripper: bool,
    gripper_penalty: float,
) -> dict[str, Any]:
    """The file for `python -m lerobot.rl.gym_manipulator`.

    Its `env` has no key `type`: LeRobot's class for it is already the concrete one, and its parser refuses the key.

    Args:
        task: the id without namespace.
        mode: "record" or "replay".
        repo_id: the dataset's name.
        root: the dataset's folder.
        instruction: the task in words.
        episodes: how many to record.
        episode: which one to replay.
        device: "cpu" or "cuda".
        use_gripper: whether the action has the gripper.
        gripper_penalty: for each change of the gripper.
    """
    return {
        "env": _env(task, use_gripper, gripper_penalty),
        "dataset": {
            "repo_id": repo_id,
            "root": root,
            "task": instruction,
            "num_episodes_to_record": episodes,
            "replay_episode": episode if mode == "replay" else None,
            "push_to_hub": False,
        },
        "mode": mode,
        "device": device,
    }


def train_config(
    task: str,
    joints: NDArray[np.float64],
    workspace: NDArray[np.float64],
    *,
    repo_id: str,
    root: str,
    device: str,
    use_gripper: bool,
    gripper_penalty: float,
    steps: int,
    batch_size: int,
    host: str,
    port: int,
    output_dir: str | None,
) -> dict[str, Any]:
    """The file for `python -m lerobot.rl.learner` and `python -m lerobot.rl.actor`.

    The values follow HIL-SERL (Luo et al. 2024, arXiv:2410.21845): half of each batch from the demonstrations, two
    critics, discount 0.97, the gripper as three discrete actions. Checkpoints are off, because LeRobot 0.6.1 fails to
    write the demonstrations beside them.

    Args:
        task: the id without namespace.
        joints: (7, 2) rad, limits of the arm's joints.
        workspace: (2, 3) m, lower and upper corner for the TCP.
        repo_id: the name of the demonstrations' dataset.
        root: its folder.
        device: "cpu" or "cuda".
        use_gripper: whether the action has the gripper.
        gripper_penalty: for each change of the gripper.
        steps: environment steps to train for.
        batch_size: transitions per update.
        host: the learner's address.
        port: the learner's port.
        output_dir: one folder for both programs, or None; each is better given its own on the command line.
    """
    images = {f"observation.images.{camera}": {"type": "VISUAL", "shape": IMAGE_SHAPE} for camera in CAMERAS}
    inputs = {**images, "observation.state": {"type": "STATE", "shape": [18]}}
    # The gripper is a discrete action of its own, so that the continuous ones are 3 either way.
    outputs = {"action": {"type": "ACTION", "shape": [3]}}
    network = {"hidden_dims": [256, 256]}
    return {
        "output_dir": output_dir,
        "job_name": "gym_hil",
        "resume": False,
        "seed": 1000,
        "num_workers": 0,
        "batch_size": batch_size,
        "log_freq": 100,
        "save_checkpoint": False,
        "wandb": {"enable": False},
        "mixer": "online_offline",
        "online_ratio": 0.5,
        "dataset": {"repo_id": repo_id, "root": root, "use_imagenet_stats": False, "video_backend": "pyav"},
        "policy": {
            "type": "gaussian_actor",
            "device": device,
            "storage_device": "cpu",
            "push_to_hub": False,
            "input_features": inputs,
            "output_features": outputs,
            "normalization_mapping": {"VISUAL": "MEAN_STD", "STATE": "MIN_MAX", "ENV": "MIN_MAX", "ACTION": "MIN_MAX"},
            "dataset_stats": {
                **dict.fromkeys(images, IMAGE_STATISTICS),
                "observation.state": _state_range(joints, workspace),
                "action": {"min": [-1.0, -1.0, -1.0], "max": [1.0, 1.0, 1.0]},
            },
            "num_discrete_actions": 3 if use_gripper else None,
            "vision_encoder_name": None,
            "freeze_vision_encoder": False,
            "shared_encoder": True,
            "image_encoder_hidden_dim": 32,
            "state_encoder_hidden_dim": 256,
            "latent_dim": 256,
            "actor_network_kwargs": network,
            "discrete_critic_network_kwargs": network,
            "online_steps": steps,
            # A transition takes 0.4 MB there: images are kept as float32.
            "online_buffer_capacity": 20_000,
            "offline_buffer_capacity": 10_000,
            "online_step_before_learning": 100,
            "actor_learner_config": {
                "learner_host": host,
                "learner_port": port,
                "policy_parameters_push_frequency": 4,
                "queue_get_timeout": 2,
            },
            "concurrency": {"actor": "threads", "learner": "threads"},
        },
        "algorithm": {
            "type": "sac",
            "discount": 0.97,
            "num_critics": 2,
            "temperature_init": 0.01,
            "utd_ratio": 2,
            "policy_update_freq": 1,
            "critic_network_kwargs": network,
            "discrete_critic_network_kwargs": network,
            "use_torch_compile": False,
        },
        "env": {
            "type": "gym_manipulator",
            **_env(task, use_gripper, gripper_penalty),
            "features": {**inputs, **outputs},
            "features_map": {name: name for name in (*inputs, *outputs)},
        },
    }


def _env(task: str, use_gripper: bool, gripper_penalty: float) -> dict[str, Any]:
    control_mode = next((name.lower() for name in ("Gamepad", "Keyboard") if name in task), "gamepad")
    return {
        "name": NAMESPACE,
        "task": task,
        "fps": FPS,
        "robot": None,
        "teleop": None,
        "processor": {
            "control_mode": control_mode,
            "gripper": {"use_gripper": use_gripper, "gripper_penalty": gripper_penalty},
            # The environment keeps its own time; and LeRobot's learner cannot encode anything but null here.
            "reset": None,
        },
    }


def _state_range(joints: NDArray[np.float64], workspace: NDArray[np.float64]) -> dict[str, list[float]]:
    """Least and greatest `agent_pos`: joints (rad), velocities (rad/s), gripper command, TCP (m)."""
    lower, upper = joints.T.tolist()
    velocity = [JOINT_VELOCITY] * len(joints)
    return {
        "min": [*lower, *(-value for value in velocity), 0.0, *workspace[0].tolist()],
        "max": [*upper, *velocity, GRIPPER_CLOSED, *workspace[1].tolist()],
    }


def _usage(mode: str, path: Path) -> str:
    """How to run LeRobot with the file."""
    if mode != "train":
        return f"{mode}: python -m lerobot.rl.gym_manipulator --config_path {path}"
    command = "python -m lerobot.rl.{0} --config_path {1} --output_dir outputs/lerobot/{0}"
    return "\n".join(f"{name}: {command.format(name, path)}" for name in ("learner", "actor"))
