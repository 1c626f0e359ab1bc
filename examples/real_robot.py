"""Drive a real arm behind LeRobot's `Robot` interface, with a workspace, a largest step and a watchdog.

python examples/real_robot.py [--device web] [--episodes N]

Without hardware it drives `PoorArm`, which behaves as real ones do. For yours, return it from `make_robot`, for example
`SO101Follower(SO101FollowerConfig(port=..., cameras=...))`, and correct the limits. The commands take it too, from this
folder:

gym-hil teleop --env real_robot:RealRobot-v0 --action-map 'x=0*0.02:state[0],y=1*0.02:state[1],z=2*0.02:state[2],gripper=3:last'
"""  # noqa: E501  # a command is one line

import argparse
import copy

import gymnasium as gym
import numpy as np

import gym_hil
from gym_hil.pacing import Pacer

FPS = 20
LIMITS = {"x.pos": (0.1, 0.5), "y.pos": (-0.3, 0.3), "z.pos": (0.0, 0.4), "gripper.pos": (0.0, 1.0)}  # m; 0 open
WORKSPACE = [[0.15, -0.2, 0.03], [0.4, 0.2, 0.3]]  # m
MAX_STEP = [0.02, 0.02, 0.02, 1.0]  # m a step, and the gripper's whole way
ACTION_MAP = "x=0*0.02:state[0],y=1*0.02:state[1],z=2*0.02:state[2],gripper=3:last"
FAULTS = 5  # in a row, after which it is no use to go on


class PoorArm:
    """An arm like a LeRobot `Robot`: it lags, now and then loses a frame, and now and then refuses an action."""

    def __init__(self):
        self.action_features = dict.fromkeys(LIMITS, float)
        self.observation_features = {**self.action_features, "front": (48, 64, 3)}
        self.is_connected = False
        self._position, self._target = np.array([0.25, 0.0, 0.2, 0.0]), np.array([0.25, 0.0, 0.2, 0.0])
        self._calls = 0

    def connect(self):
        self.is_connected = True

    def get_observation(self):
        self._calls += 1
        if self._calls % 7 == 0:
            raise TimeoutError("no frame from the camera front")
        self._position += 0.5 * (self._target - self._position)
        image = np.full((48, 64, 3), int(255 * self._position[3]), np.uint8)
        return {**dict(zip(LIMITS, self._position.tolist(), strict=True)), "front": image}

    def send_action(self, action):
        self._calls += 1
        if self._calls % 11 == 0:
            raise ConnectionError("no status packet from the motors")
        self._target = np.array([action[name] for name in LIMITS])
        return action

    def disconnect(self):
        self.is_connected = False


def make_robot():
    return PoorArm()


class RobotEnv(gym.Env):
    """A robot as an environment: its action is where its motors should go. The caller keeps the pace."""

    metadata = {"render_modes": [], "render_fps": FPS}  # noqa: RUF012

    def __init__(self, robot):
        self.robot = robot
        self._names = list(robot.action_features)
        low, high = np.array([LIMITS[name] for name in self._names], np.float32).T
        self.action_space = gym.spaces.Box(low, high)
        cameras = {name: one for name, one in robot.observation_features.items() if isinstance(one, tuple)}
        images = gym.spaces.Dict({name: gym.spaces.Box(0, 255, shape, np.uint8) for name, shape in cameras.items()})
        self.observation_space = gym.spaces.Dict(
            {"state": gym.spaces.Box(-np.inf, np.inf, low.shape), "pixels": images}
        )
        self._observation = None
        self._faults = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if not self.robot.is_connected:
            self.robot.connect()
        self._observation, self._faults = None, 0
        while self._observation is None:
            self._try(self._observe)
        return self._observation, {}

    def step(self, action):
        before = self._faults
        sent = self._try(self.robot.send_action, dict(zip(self._names, map(float, action), strict=True)))
        self._try(self._observe)  # the last observation stays if none comes
        if self._faults == before:
            self._faults = 0
        info = {"faults": self._faults}
        if sent is not None:
            info["executed_action"] = np.array([sent[name] for name in self._names], np.float32)
        return copy.deepcopy(self._observation), 0.0, False, False, info

    def hold(self):
        """Stay here: `SafetyWrapper` calls it when no step comes."""
        if self._observation is None:
            return
        here = dict(zip(self._names, map(float, self._observation["state"]), strict=True))
        while self._try(self.robot.send_action, here) is None:
            pass

    def close(self):
        if self.robot.is_connected:
            self.robot.disconnect()

    def _observe(self):
        seen = self.robot.get_observation()
        state = np.array([seen[name] for name in self._names], np.float32)
        self._observation = {"state": state, "pixels": {name: seen[name] for name in self.observation_space["pixels"]}}

    def _try(self, function, *arguments):
        """What a call of the robot returns; None if it fails, as long as it does not fail too often in a row."""
        try:
            return function(*arguments)
        except (OSError, TimeoutError) as error:
            self._faults += 1
            if self._faults >= FAULTS:
                raise RuntimeError(f"the robot has failed {FAULTS} times: {error}") from error
            return None


def make_env():
    return gym_hil.SafetyWrapper(
        RobotEnv(make_robot()),
        absolute=True,
        max_step=MAX_STEP,
        workspace=WORKSPACE,
        position=lambda observation: observation["state"][:3],
    )


gym.register("RealRobot-v0", make_env, max_episode_steps=20 * FPS)


def main():
    parser = argparse.ArgumentParser(description="Drive a real arm.")
    parser.add_argument("--device", default="web", help="what you drive with (%(default)s)")
    parser.add_argument("--episodes", type=int, default=3, help="how many (%(default)s)")
    arguments = parser.parse_args()
    env = gym_hil.wrap(gym.make("RealRobot-v0"), arguments.device, action_map=ACTION_MAP)
    pacer = Pacer(env.get_wrapper_attr("control_dt"))
    try:
        for episode in range(1, arguments.episodes + 1):
            env.reset()
            pacer.restart()
            done = False
            while not done:
                *_, terminated, truncated, info = env.step(env.get_wrapper_attr("idle_action"))
                done = terminated or truncated
                pacer.wait()
            print(f"episode {episode}: {'success' if info['next.success'] else 'no success'}", flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        env.close()
    print(pacer.report())


if __name__ == "__main__":
    main()
