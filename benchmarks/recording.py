"""What recording costs the control loop, and what is left when the recorder is killed."""

import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import gym_hil  # noqa: F401  # registers the ids
from benchmarks.report import Row
from gym_hil.datasets import EpisodeDataset, RecordEpisodes

OVERHEAD_MS = 1.5
PSNR_DB = 32.0
KILLS = 200
EPISODES_AT_MOST = 60  # in one folder, so that looking at all of them again after each kill stays quick

# Of the datasets whose recorders are killed.
FPS, SIDE = 10, 32
CAMERA = "observation.images.front"
FEATURES: dict[str, dict[str, Any]] = {
    "observation.state": {"dtype": "float32", "shape": [3], "names": None},
    CAMERA: {"dtype": "video", "shape": [3, SIDE, SIDE], "names": None},
    "next.reward": {"dtype": "float32", "shape": [1], "names": None},
}
LONGEST = 4  # frames; short episodes, so that much of the time goes into bringing them to their place


class Stopwatch(gym.Wrapper):
    """Measures how long the last step took inside."""

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
    episodes = clean = number = finished = 0
    with tempfile.TemporaryDirectory() as folder:
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
                finished = record(str(root), episodes=1)  # the one that is allowed to end
                found += problems(root, finished)
                episodes += finished
                number, finished = number + 1, 0
                root = Path(folder) / str(number)
                killer.root = root
    measured = (
        f"{clean} of {kills} left only whole episodes and were gone on with; {episodes} episodes finished, "
        f"{len(found)} problems"
    )
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return Row(
        f"kill -9 at {kills} random moments while recording", "every finished episode whole", measured, not found
    )


def images_kept(quick: bool = False) -> Row:
    """Recorded images beside the originals."""
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
        dataset = EpisodeDataset(root)
        content = {key: np.concatenate([episode[key] for episode in dataset]) for key in dataset.features}
        equal = all(np.array_equal(content[key], values) for key, values in rest.items())
        quality = np.concatenate([_psnr(content[f"observation.images.{camera}"], seen[camera]) for camera in seen])
    measured = (
        f"PSNR at least {quality.min():.1f} dB, mean {quality.mean():.1f} dB over {len(quality)} images; states, "
        f"actions, rewards {'equal' if equal else 'differ'}"
    )
    what = "Recorded episodes read again"
    bar = f"states, actions, rewards equal; PSNR at least {PSNR_DB:g} dB"
    return Row(what, bar, measured, bool(equal and quality.min() >= PSNR_DB))


def _psnr(one: Any, other: Any) -> np.ndarray:
    """Of each image, in dB; both (n, height, width, 3) in 0 to 255."""
    error = np.square(np.subtract(one, other, dtype=np.float64)).mean(axis=(1, 2, 3))
    return 10 * np.log10(255**2 / np.maximum(error, 1e-9))


def length(episode: int) -> int:
    """How many frames an episode has."""
    return 1 + episode % LONGEST


def frame(episode: int, number: int) -> dict[str, Any]:
    """A frame that shows which one it is."""
    image = np.full((SIDE, SIDE, 3), 40 + 20 * number, dtype=np.uint8)
    image[: SIDE // 2] = 40 + 10 * (episode % 20)
    return {
        "observation.state": [episode, number, episode + number],
        CAMERA: image,
        "next.reward": float(number + 1 == length(episode)),
    }


def record(root: str, counts: Connection | None = None, episodes: int = 1_000_000) -> int:
    """Record into a folder, going on with what is there; send the number of episodes whenever it has changed.

    Returns:
        How many episodes there are.
    """
    from gym_hil.datasets.writer import DatasetWriter

    with DatasetWriter(root, repo_id="me/killed", features=FEATURES, fps=FPS, resume=True) as writer:
        for _ in range(episodes):
            episode = writer.num_episodes
            for number in range(length(episode)):
                writer.add_frame(frame(episode, number), task=f"task {episode // 3}")
            writer.save_episode({"seed": episode, "success": True})
            if counts is not None:
                counts.send(writer.num_episodes)
        return writer.num_episodes


class Killer:
    """Starts recorders and kills them.

    Args:
        root: the folder to record into; may be changed between two.
        seed: of the moments.
    """

    def __init__(self, root: Path, seed: int):
        self.root, self._random = root, random.Random(seed)
        # A clean process that has loaded everything forks the recorders: quick, and free of this one's threads.
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(["benchmarks.recording", "gym_hil.datasets.writer"])

    def kill(self, longest: float = 0.4) -> int:
        """Let a recorder work for at most `longest` seconds and kill it.

        Returns:
            How many episodes it reported.

        Raises:
            RuntimeError: it ended by itself.
        """
        reader, counts = self._processes.Pipe(duplex=False)
        recorder = self._processes.Process(target=record, args=(str(self.root), counts))
        recorder.start()
        counts.close()
        if self._random.random() < 0.9:
            reader.poll(20.0)  # until the first episode is there; else it dies at once, while opening the folder
        time.sleep(self._random.uniform(0.0, longest))
        if recorder.is_alive():
            os.kill(recorder.pid, signal.SIGKILL)
        recorder.join()
        if recorder.exitcode != -signal.SIGKILL:
            raise RuntimeError(f"the recorder ended by itself, with {recorder.exitcode}; it could not go on")
        reported = 0
        try:
            while True:
                reported = reader.recv()
        except EOFError:
            return reported


def problems(root: Path, finished: int) -> list[str]:
    """What is wrong with a dataset with a number of finished episodes; read without this package."""
    import av
    import pyarrow.parquet as pq

    if not (root / "meta/info.json").exists():
        return [f"no info.json, but {finished} episodes were finished"] if finished else []
    info = json.loads((root / "meta/info.json").read_text())
    found = []
    total = info["total_episodes"]
    if total < finished:
        found.append(f"{finished} episodes were finished, info.json has {total}")
    rows = []
    for path in sorted(root.glob("meta/episodes/*/*.parquet")):
        rows += pq.read_table(path).to_pylist()
    # Where the files of episodes were being joined, a row may be there twice: the first counts.
    rows = list({row["episode_index"]: row for row in reversed(rows)}.values())[::-1]
    if [row["episode_index"] for row in rows] != list(range(len(rows))) or len(rows) not in (total, total + 1):
        found.append(f"{len(rows)} rows of episodes, info.json has {total}")
    for row in rows:
        episode = row["episode_index"]
        data = pq.read_table(
            root / f"data/chunk-000/file-{row['data/file_index']:03d}.parquet",
            filters=[("episode_index", "==", episode)],
        ).to_pylist()
        states = [frame(episode, number)["observation.state"] for number in range(length(episode))]
        if [line["observation.state"] for line in data] != states or row["gym_hil/seed"] != episode:
            found.append(f"episode {episode} has other frames")
        number, start = (row[f"videos/{CAMERA}/{name}"] for name in ("file_index", "from_timestamp"))
        with av.open(str(root / f"videos/{CAMERA}/chunk-000/file-{number:03d}.mp4")) as container:
            images = [
                image.to_ndarray(format="rgb24")
                for image in container.decode(video=0)
                if -0.5 < (image.time - start) * FPS < length(episode) - 0.5
            ]
        shades = [frame(episode, number)[CAMERA] for number in range(length(episode))]
        if len(images) != len(shades) or np.abs(np.subtract(images, shades, dtype=np.int16)).mean() > 4:
            found.append(f"episode {episode} has other images")
    for path in root.glob("data/*/*.parquet"):
        pq.read_table(path)  # those that no row refers to have to be whole too: LeRobot opens them all
    return found
