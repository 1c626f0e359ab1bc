"""Read a dataset with LeRobot itself and hand its content over. Run by LeRobot's own Python, not by this project's.

python lerobot_reads.py ROOT OUT.npz
"""

import sys

import numpy as np
from lerobot.datasets import LeRobotDataset


def main(root: str, out: str) -> None:
    dataset = LeRobotDataset("local/read", root=root)
    frames = [dataset[index] for index in range(len(dataset))]
    content = {key: np.stack([frame[key].numpy() for frame in frames]) for key in frames[0] if key != "task"}
    content["task"] = np.array([frame["task"] for frame in frames])
    content["num_episodes"] = np.array(dataset.num_episodes)
    content["num_frames"] = np.array(dataset.num_frames)
    content["rows"] = np.array([len(dataset.hf_dataset), len(dataset.meta.episodes)])
    for key, statistics in dataset.meta.stats.items():
        content.update({f"stats/{key}/{name}": value for name, value in statistics.items()})
    np.savez(out, **content)


if __name__ == "__main__":
    main(*sys.argv[1:])
