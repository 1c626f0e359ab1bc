"""Make `tests/data/lerobot_pick` with LeRobot itself, in an environment that has LeRobot 0.6.1 and this package.

    HF_HUB_OFFLINE=1 python tests/data/make_lerobot_pick.py

Two episodes of PandaPickCube-v0, with the features of LeRobot's `gym_manipulator`: one in which the simulated person
lifts the cube, and one of six steps at random. `expected.npz` has the numbers that went in, and the pictures that
LeRobot reads back.
"""

import shutil
from pathlib import Path

import gymnasium as gym
import numpy as np
from lerobot.datasets import LeRobotDataset

import gym_hil

ROOT = Path(__file__).with_name("lerobot_pick")
SIZE = 48  # pixels
SHOWN = [0, 1, 11, -7, -6, -5, -1]  # frames whose pictures are kept
CAMERAS = ("front", "wrist")
RANDOM_STEPS = 6
FEATURES = {
    "action": {"dtype": "float32", "shape": (4,), "names": ["delta_x", "delta_y", "delta_z", "gripper"]},
    "next.reward": {"dtype": "float32", "shape": (1,), "names": None},
    "next.done": {"dtype": "bool", "shape": (1,), "names": None},
    "complementary_info.discrete_penalty": {"dtype": "float32", "shape": (1,), "names": ["discrete_penalty"]},
    "observation.state": {"dtype": "float32", "shape": (18,), "names": None},
    **{
        f"observation.images.{camera}": {
            "dtype": "video",
            "shape": (3, SIZE, SIZE),
            "names": ["channels", "height", "width"],
        }
        for camera in CAMERAS
    },
}


def record(dataset: LeRobotDataset, control: str, steps: int) -> None:
    spec = gym_hil.GymRenderingSpec(SIZE, SIZE)
    env = gym.make(f"gym_hil/PandaPickCube{control}-v0", image_obs=True, render_spec=spec)
    env.action_space.seed(1)
    observation, _ = env.reset()
    for step in range(steps):
        pixels = observation["pixels"]
        frame = {"observation.state": observation["agent_pos"], "task": "pick_cube"}
        frame |= {f"observation.images.{camera}": pixels[camera] for camera in CAMERAS}
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        done = terminated or truncated or step == steps - 1
        frame |= {
            "action": info["teleop_action"],
            "next.reward": np.array([reward], np.float32),
            "next.done": np.array([done]),
            "complementary_info.discrete_penalty": np.array([info["discrete_penalty"]], np.float32),
        }
        dataset.add_frame(frame)
        if done:
            break
    dataset.save_episode()
    env.close()


def main() -> None:
    shutil.rmtree(ROOT, ignore_errors=True)
    dataset = LeRobotDataset.create("local/pick", 10, root=ROOT, use_videos=True, features=FEATURES)
    record(dataset, "Scripted", 100)
    record(dataset, "", RANDOM_STEPS)
    dataset.finalize()
    shutil.rmtree(ROOT / "images", ignore_errors=True)

    dataset = LeRobotDataset("local/pick", root=ROOT, video_backend="pyav")
    frames = [dataset[index] for index in range(len(dataset))]
    keys = [key for key, feature in FEATURES.items() if feature["dtype"] != "video"]
    numbers = {key: np.stack([np.atleast_1d(frame[key].numpy()) for frame in frames]) for key in keys}
    pictures = {
        camera: np.stack(
            [
                np.rint(frames[index][f"observation.images.{camera}"].numpy() * 255).astype(np.uint8).transpose(1, 2, 0)
                for index in SHOWN
            ]
        )
        for camera in CAMERAS
    }
    shown = np.array(SHOWN) % len(frames)
    np.savez_compressed(ROOT / "expected.npz", shown=shown, **numbers, **pictures)


if __name__ == "__main__":
    main()
