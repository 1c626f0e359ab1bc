"""Draw docs/images/randomization.png: what 25 episodes of PandaPickCube look like with randomize="full".

python docs/make_randomization_images.py
"""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
from PIL import Image

import gym_hil  # registers the ids

FIGURE = Path(__file__).parent / "images" / "randomization.png"
SIDE = 5  # images in a row, and rows
SIZE = 160  # pixels


def main() -> None:
    """Draw the front camera's image at the start of each episode, in rows."""
    spec = gym_hil.GymRenderingSpec(SIZE, SIZE)
    env = gym.make("gym_hil/PandaPickCube-v1", randomize="full", image_obs=True, render_spec=spec)
    images = [env.reset(seed=seed)[0]["pixels"]["front"] for seed in range(SIDE**2)]
    rows = [np.concatenate(images[first : first + SIDE], axis=1) for first in range(0, SIDE**2, SIDE)]
    Image.fromarray(np.concatenate(rows)).save(FIGURE, optimize=True)


if __name__ == "__main__":
    main()
