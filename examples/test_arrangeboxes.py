"""Bring five boxes onto the pads of their colours yourself, with a gamepad or the keyboard.

python examples/test_arrangeboxes.py [--use-keyboard] [--episodes N]
"""

import argparse

import gymnasium as gym
import numpy as np

import gym_hil  # noqa: F401  # registers the ids
from gym_hil.pacing import Pacer

parser = argparse.ArgumentParser(description="Arrange five boxes with a gamepad or the keyboard.")
parser.add_argument("--use-keyboard", action="store_true", help="instead of a gamepad")
parser.add_argument("--episodes", type=int, default=10, help="how many (%(default)s)")
arguments = parser.parse_args()

control = "Keyboard" if arguments.use_keyboard else "Gamepad"
env = gym.make(f"gym_hil/PandaArrangeBoxes{control}-v1")
task = env.unwrapped
print(env.get_wrapper_attr("device").describe())

stay = np.array([0, 0, 0, 1], dtype=np.float32)  # dx, dy, dz, gripper: 0 opens, 1 leaves it alone, 2 closes
pacer = Pacer(task.control_dt)
try:
    for episode in range(1, arguments.episodes + 1):
        env.reset()
        pacer.restart()
        done, by_operator = False, []
        while not done:
            observation, reward, terminated, truncated, info = env.step(stay)
            done = terminated or truncated
            by_operator.append(info["is_intervention"])
            pacer.wait()
        offsets = np.abs(task.box_positions - task.target_positions)[:, :2]
        placed = (offsets <= 0.03).all(axis=1).sum()
        print(
            f"episode {episode}: {placed} of 5 boxes in place, the operator acted in {sum(by_operator)} steps",
            flush=True,
        )
except KeyboardInterrupt:
    pass
finally:
    env.close()
print(pacer.report())
