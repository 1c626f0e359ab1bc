"""What recording costs the control loop, and what is left when the recorder is killed."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import gym_hil  # noqa: F401  # registers the ids
from benchmarks.killing import Killer, problems, record
from benchmarks.row import Row
from gym_hil.datasets import EpisodeDataset, RecordEpisodes

OVERHEAD_MS = 1.5
PSNR_DB = 32.0
KILLS = 200
EPISODES_AT_MOST = 60  # in one folder, so that looking at all of them again after each kill stays quick
LEROBOT = "GYM_HIL_LEROBOT_PYTHON"  # names the Python of a LeRobot 0.6.1 install
READER = Path(__file__).parents[1] / "tests" / "datasets" / "lerobot_reads.py"


class Stopwatch(gym.Wrapper):
    """Tells how long the last step took inside."""

    took = 0.0  # s

    def step(self, action: Any) -> Any:
        start = time.perf_counter()
        result = self.env.step(action)
        self.took = time.perf_counter() - start
        return result


def overhead_in_real_time(quick: bool = False) -> Row:
    """A step with two cameras, 10 times a second."""
    return _overhead("at 10 Hz", 1 if quick else 4, 10.0, 20 if quick else 100)


def overhead_flat_out(quick: bool = False) -> Row:
    """A step with two cameras, one after the other."""
    return _overhead("as fast as possible", 2 if quick else 20, None, 100)


def _overhead(pace: str, episodes: int, rate: float | None, steps: int) -> Row:
    """Recorded and unrecorded episodes in turn; what a step takes outside the environment, and the step itself."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"image_obs": True, "max_episode_steps": steps}
        watch = Stopwatch(gym.make("gym_hil/PandaPickCube-v1", **options))
        recorded = RecordEpisodes(watch, folder, "me/benchmark", seed=0)
        bare = gym.make("gym_hil/PandaPickCube-v1", **options)
        own, ends, with_it, without = [], [], [], []
        for episode in range(episodes):
            for env, durations in ((bare, without), (recorded, with_it)):
                env.reset(seed=episode)
                env.action_space.seed(episode)
                due = time.perf_counter()
                done = False
                while not done:
                    action = env.action_space.sample()
                    start = time.perf_counter()
                    _, _, terminated, truncated, _ = env.step(action)
                    duration = time.perf_counter() - start
                    done = terminated or truncated
                    if not done:
                        durations.append(duration)
                    if env is recorded:
                        (ends if done else own).append(duration - watch.took)
                    if rate is not None:
                        due += 1 / rate
                        time.sleep(max(0.0, due - time.perf_counter()))
        recorded.close()
        bare.close()
    median, p99, most = 1e3 * np.median(own), 1e3 * np.percentile(own, 99), 1e3 * np.max(own)
    whole = 1e3 * (np.sum(own) + np.sum(ends)) / (len(own) + len(ends))
    slower = 1e3 * (np.median(with_it) - np.median(without))
    measured = (
        f"{whole:.2f} ms (a step {median:.2f}, 99 of 100 within {p99:.2f}, most {most:.2f}; the end of an episode of "
        f"{steps} steps {1e3 * np.median(ends):.0f}); the environment's own step takes "
        f"{1e3 * np.median(without):.2f} ms, {slower:+.2f} ms while recording"
    )
    what = f"Recording overhead per step {pace}, two cameras, on the control thread, ends of episodes shared out"
    return Row(what, f"at most {OVERHEAD_MS} ms", measured, bool(whole <= OVERHEAD_MS))


def killed_recorders(quick: bool = False) -> Row:
    """Recorders that are killed at random moments and go on with what they left."""
    kills = 5 if quick else KILLS
    found: list[str] = []
    episodes = clean = opened = 0
    python = os.environ.get(LEROBOT)
    with tempfile.TemporaryDirectory() as folder:
        number, finished = 0, 0
        root = Path(folder) / "0"
        killer = Killer(root, seed=0)
        for kill in range(kills):
            try:
                finished = max(finished, killer.kill())
            except RuntimeError as error:
                found.append(f"kill {kill}: {error}")
            wrong = problems(root, finished)
            found += [f"kill {kill}: {problem}" for problem in wrong]
            clean += not wrong
            if not wrong and finished:
                EpisodeDataset(root).check()
            if finished > EPISODES_AT_MOST or kill == kills - 1:
                opened += _lerobot_opens(python, root, found)
                finished = record(str(root), episodes=1)  # the one that is allowed to end
                found += problems(root, finished)
                episodes += finished
                number, finished = number + 1, 0
                root = Path(folder) / str(number)
                killer.root = root
    lerobot = f"; LeRobot 0.6.1 opened {opened} of {number} folders after a kill" if python else ""
    measured = (
        f"{clean} of {kills} left only whole episodes and were gone on with; {episodes} episodes finished, "
        f"{len(found)} problems{lerobot}"
    )
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return Row(
        f"kill -9 at {kills} random moments while recording", "every finished episode whole", measured, not found
    )


def images_kept(quick: bool = False) -> Row:
    """Recorded images beside the originals; read by LeRobot where it is installed."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        env = RecordEpisodes(gym.make("gym_hil/PandaPickCubeScripted-v1", image_obs=True), root, "me/benchmark", seed=0)
        seen: dict[str, list[Any]] = {"front": [], "wrist": []}
        rest: dict[str, list[Any]] = {"observation.state": [], "action": [], "next.reward": []}
        for _ in range(1 if quick else 10):
            observation, _ = env.reset()
            done = False
            while not done:
                for camera, images in seen.items():
                    images.append(observation["pixels"][camera])
                rest["observation.state"].append(observation["agent_pos"])
                observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
                rest["action"].append(info["action_intervention"])
                rest["next.reward"].append(np.float32(reward))
                done = terminated or truncated
        env.close()
        python = os.environ.get(LEROBOT)
        content = _read_by_lerobot(python, root) if python else _read_here(root)
        equal = all(np.array_equal(content[key], values) for key, values in rest.items())
        quality = np.concatenate([_psnr(content[f"observation.images.{camera}"], seen[camera]) for camera in seen])
    by = "LeRobot 0.6.1" if python else f"EpisodeDataset ({LEROBOT} is not set)"
    measured = (
        f"PSNR at least {quality.min():.1f} dB, mean {quality.mean():.1f} dB over {len(quality)} images; states, "
        f"actions, rewards {'equal' if equal else 'differ'}; read by {by}"
    )
    what = "Recorded episodes read again"
    bar = f"states, actions, rewards equal; PSNR at least {PSNR_DB:g} dB"
    return Row(what, bar, measured, bool(equal and quality.min() >= PSNR_DB))


def _psnr(one: Any, other: Any) -> np.ndarray:
    """Of each image, in dB; both (n, height, width, 3) in 0 to 255."""
    error = np.square(np.subtract(one, other, dtype=np.float64)).mean(axis=(1, 2, 3))
    return 10 * np.log10(255**2 / np.maximum(error, 1e-9))


def _read_here(root: Path) -> dict[str, np.ndarray]:
    dataset = EpisodeDataset(root)
    return {key: np.concatenate([episode[key] for episode in dataset]) for key in dataset.features}


def _read_by_lerobot(python: str, root: Path) -> dict[str, np.ndarray]:
    """All frames as LeRobot hands them out, images as (n, height, width, 3) in 0 to 255."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.npz"
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": folder, "PYTHONWARNINGS": "ignore"}
        subprocess.run([python, READER, root, out], env=environment, check=True, capture_output=True)
        with np.load(out) as content:
            frames = dict(content)
    for key, values in frames.items():
        if key.startswith("observation.images."):
            frames[key] = 255 * values.transpose(0, 2, 3, 1)
    return frames


def _lerobot_opens(python: str | None, root: Path, found: list[str]) -> bool:
    """Whether LeRobot reads every frame of what a killed recorder left."""
    if python is None:
        return False
    try:
        content = _read_by_lerobot(python, root)
    except subprocess.CalledProcessError as error:
        found.append(f"LeRobot: {error.stderr.decode()[-500:]}")
        return False
    return len(content["index"]) == content["num_frames"]
