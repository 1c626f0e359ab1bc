"""Draws docs/images/rendering.png: both tasks by the rasteriser (above) and by OpenGL (below), front and wrist camera.

Run it from the repository's top with an OpenGL back end: python docs/make_rendering_images.py
"""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import mujoco
import numpy as np

from gym_hil.envs import PandaArrangeBoxesGymEnv, PandaPickCubeGymEnv
from gym_hil.rendering import RENDERERS, make_renderer

SIZE = 128  # pixels, as in an observation
ENLARGED = 2


def main() -> None:
    """Draw the image and print how far the two renderers are apart."""
    columns = []
    for task in (PandaPickCubeGymEnv, PandaArrangeBoxesGymEnv):
        env = task(seed=0)
        env.reset(seed=0)
        mujoco.mj_forward(env.model, env.data)
        images = []
        for name in RENDERERS:
            renderer = make_renderer(name, env.model, SIZE, SIZE)
            images.append(np.stack(renderer.render(env.data, ["front", "wrist"])))
            renderer.close()
        raster, opengl = images
        for camera, one, other in zip(("front", "wrist"), raster, opengl, strict=True):
            difference = np.abs(one.astype(int) - other).mean()
            print(f"{task.__name__} {camera}: mean difference {difference:.2f} of 255")
            columns.append(np.concatenate([one, other], axis=0))
        env.close()
    sheet = np.concatenate(columns, axis=1).repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
    iio.imwrite(Path(__file__).parent / "images" / "rendering.png", sheet)


if __name__ == "__main__":
    main()
