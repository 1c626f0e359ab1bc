"""Kill a recorder at any moment and see what it leaves."""

import json
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

FPS, SIDE = 10, 32
CAMERA = "observation.images.front"
FEATURES: dict[str, dict[str, Any]] = {
    "observation.state": {"dtype": "float32", "shape": [3], "names": None},
    CAMERA: {"dtype": "video", "shape": [3, SIDE, SIDE], "names": None},
    "next.reward": {"dtype": "float32", "shape": [1], "names": None},
}
LONGEST = 4  # frames; short episodes, so that much of the time goes into bringing them to their place


def length(episode: int) -> int:
    """How many frames an episode has."""
    return 1 + episode % LONGEST


def frame(episode: int, number: int) -> dict[str, Any]:
    """A frame that tells which one it is."""
    image = np.full((SIDE, SIDE, 3), 40 + 20 * number, dtype=np.uint8)
    image[: SIDE // 2] = 40 + 10 * (episode % 20)
    return {
        "observation.state": [episode, number, episode + number],
        CAMERA: image,
        "next.reward": float(number + 1 == length(episode)),
    }


def record(root: str, told: Connection | None = None, episodes: int = 1_000_000) -> int:
    """Record into a folder, going on with what is there; tell the number of episodes whenever it has changed.

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
            if told is not None:
                told.send(writer.num_episodes)
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
        self._processes.set_forkserver_preload(["benchmarks.killing", "gym_hil.datasets.writer"])

    def kill(self, longest: float = 0.4) -> int:
        """Let a recorder work for up to so many seconds and kill it.

        Returns:
            How many episodes it said there were.

        Raises:
            RuntimeError: it ended by itself.
        """
        reader, told = self._processes.Pipe(duplex=False)
        recorder = self._processes.Process(target=record, args=(str(self.root), told))
        recorder.start()
        told.close()
        if self._random.random() < 0.9:
            reader.poll(20.0)  # until the first episode is there; else it dies at once, while opening the folder
        time.sleep(self._random.uniform(0.0, longest))
        if recorder.is_alive():
            os.kill(recorder.pid, signal.SIGKILL)
        recorder.join()
        if recorder.exitcode != -signal.SIGKILL:
            raise RuntimeError(f"the recorder ended by itself, with {recorder.exitcode}; it could not go on")
        said = 0
        try:
            while True:
                said = reader.recv()
        except EOFError:
            return said


def problems(root: Path, finished: int) -> list[str]:
    """What is wrong with a dataset of which so many episodes were finished; read without this package."""
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
