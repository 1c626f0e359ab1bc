"""Pick up the cube yourself, with a gamepad or the keyboard, and see at each moment who acts.

python examples/test_teleoperation.py [--use-keyboard] [--controller-config FILE] [--episodes N]

`gym-hil teleop` does the same with more devices; this is how to do it in a program of your own.
"""

import argparse

import gymnasium as gym
import numpy as np

import gym_hil  # noqa: F401  # registers the ids
from gym_hil.pacing import Pacer

parser = argparse.ArgumentParser(description="Pick up the cube with a gamepad or the keyboard.")
parser.add_argument("--use-keyboard", action="store_true", help="instead of a gamepad")
parser.add_argument("--controller-config", metavar="FILE", help="your own mapping of the gamepad")
parser.add_argument("--episodes", type=int, default=10, help="how many (%(default)s)")
arguments = parser.parse_args()

control = "Keyboard" if arguments.use_keyboard else "Gamepad"
# These ids open a window where there is a display, else the web console if that is installed.
env = gym.make(f"gym_hil/PandaPickCube{control}-v1", controller_config_path=arguments.controller_config)
print(env.get_wrapper_attr("device").describe())

# The policy: dx, dy, dz are 0 and the gripper's 1 leaves it alone. Yours goes here.
stay = np.array([0, 0, 0, 1], dtype=np.float32)
pacer = Pacer(env.get_wrapper_attr("control_dt"))
try:
    for episode in range(1, arguments.episodes + 1):
        env.reset()
        pacer.restart()
        done = operator = False
        while not done:
            observation, reward, terminated, truncated, info = env.step(stay)
            done = terminated or truncated
            if info["is_intervention"] != operator:
                operator = info["is_intervention"]
                print("the operator acts" if operator else "the policy acts", flush=True)
            pacer.wait()
        print(f"episode {episode}: {'success' if info['next.success'] else 'no success'}", flush=True)
except KeyboardInterrupt:
    pass
finally:
    env.close()
print(pacer.report())
