"""The rasteriser as a renderer: reads a model once, then draws any state of it on the CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from gym_hil.errors import RenderingError
from gym_hil.rendering import appearance
from gym_hil.rendering.compiling import first_drawing
from gym_hil.rendering.drawing import begin, draw
from gym_hil.rendering.geometry import extract
from gym_hil.rendering.ground import GRID
from gym_hil.rendering.renderer import Image, camera_id, checked_size
from gym_hil.rendering.scene import Scene

SHADOW_TEXELS = 2  # per pixel, along the side of the shadow map, which is fitted to what casts shadows
SHADOW_LIMITS = (64, 1024)  # texels


class RasterRenderer:
    """Draws on the CPU: no display, no driver, and the same pixels for the same state.

    Geoms and sites of groups 0 to 2 are drawn with their colours, the first opaque plane as a textured floor, the
    model's lights and headlight, shadows of its first shadow-casting light, and its skybox.

    Args:
        model: what to draw. Shapes, colours, textures and lights are read here, poses at every drawing.
        height: of the images, in pixels.
        width: of the images, in pixels.

    Raises:
        ConfigurationError: a size that is not a whole number of at least 1.
    """

    name = "raster"

    def __init__(self, model: mujoco.MjModel, height: int, width: int) -> None:
        self.height = checked_size("height", height)
        self.width = checked_size("width", width)
        self._model = model
        self._scene: Scene | None = self._read(model)
        self._has_drawn = False

    def _read(self, model: mujoco.MjModel) -> Scene:
        geometry = extract(model)
        self._geoms, self._sites = geometry.geoms, geometry.sites
        self._floor = geometry.floor if geometry.floor_shape < 0 else int(geometry.geoms[geometry.floor_shape])
        self._lights, lights, key = appearance.lights(model)
        self._repeats = appearance.texture_repeats(model, self._floor)
        floor, texels, mips = appearance.floor(model, geometry, self._floor)
        shapes, vertices, samples = len(geometry.spans), len(geometry.vertices), (2 * self.height, 2 * self.width)
        grid = (-(-self.height // GRID) + 1, -(-self.width // GRID) + 1, 7)
        texels_across = int(np.clip(SHADOW_TEXELS * max(self.height, self.width), *SHADOW_LIMITS))
        return Scene(
            vertices=geometry.vertices,
            normals=geometry.normals,
            triangles=geometry.triangles,
            shape=geometry.triangle_shape,
            surface=geometry.triangle_surface,
            spans=geometry.spans,
            bounds=geometry.bounds,
            colours=geometry.colours,
            gloss=geometry.gloss,
            floor=floor,
            texels=texels,
            mips=mips,
            sky=appearance.sky(model),
            haze=appearance.haze(model, geometry),
            ambient=appearance.ambient(model),
            headlight=appearance.headlight(model),
            choices=np.array([key, geometry.floor_shape], dtype=np.int32),
            positions=np.zeros((shapes, 3), dtype=np.float32),
            rotations=np.zeros((shapes, 9), dtype=np.float32),
            lights=lights if len(lights) else np.zeros((1, 16), dtype=np.float32),  # a dark one
            light_axes=np.zeros((3, 3), dtype=np.float32),
            cameras=np.zeros((0, 15), dtype=np.float32),
            world=np.zeros((vertices, 3), dtype=np.float32),
            world_normals=np.zeros((vertices, 3), dtype=np.float32),
            screen=np.zeros((vertices, 3), dtype=np.float32),
            depth=np.zeros(samples, dtype=np.float32),
            ids=np.full(samples, -1, dtype=np.int32),
            layer_depth=np.zeros(samples, dtype=np.float32),
            layer_ids=np.full(samples, -1, dtype=np.int32),
            shadow_map=np.zeros((texels_across, texels_across), dtype=np.float32),
            shadow_frame=np.zeros(3, dtype=np.float32),
            lit=np.zeros((vertices, 6), dtype=np.float32),
            lit_for=np.full(vertices, -1, dtype=np.int32),
            grid=np.zeros(grid, dtype=np.float32),
            band=np.zeros(grid[1:], dtype=np.float32),
            plane=np.zeros(3, dtype=np.float32),
            order=np.zeros(shapes, dtype=np.float32),
            window=np.zeros(4, dtype=np.int32),
            corners=np.zeros((4, 3), dtype=np.float32),
            colour=np.zeros(6, dtype=np.float32),
            no_ids=np.zeros((0, 0), dtype=np.int32),
            pixels=np.zeros((self.height, self.width, 6), dtype=np.float32),
            images=np.zeros((0, self.height, self.width, 3), dtype=np.uint8),
        )

    def render(self, data: mujoco.MjData, cameras: Sequence[str | int]) -> list[Image]:
        """Draw one image per camera; see `Renderer.render`."""
        scene = self._scene
        if scene is None:
            raise RenderingError("This renderer is closed; make a new one.")
        ids = [camera_id(self._model, camera) for camera in cameras]
        views = np.zeros((len(ids), 15), dtype=np.float32)
        # a simulation that has blown up is for others to report
        with np.errstate(invalid="ignore", over="ignore"):
            self._pose(scene, data, ids, views)
        images = np.empty((len(ids), self.height, self.width, 3), dtype=np.uint8)
        scene = scene._replace(cameras=views, images=images)
        with contextlib.nullcontext() if self._has_drawn else first_drawing():
            begin(scene)
            for view in range(len(ids)):
                draw(scene, view)
        self._has_drawn = True
        return list(images)

    def _pose(self, scene: Scene, data: mujoco.MjData, cameras: list[int], views: NDArray[np.float32]) -> None:
        """Write where everything is into the scene, and the cameras into `views` (C, 15)."""
        shown = len(self._geoms)
        scene.positions[:shown] = data.geom_xpos[self._geoms]
        scene.rotations[:shown] = data.geom_xmat[self._geoms]
        scene.positions[shown:] = data.site_xpos[self._sites]
        scene.rotations[shown:] = data.site_xmat[self._sites]
        if self._floor >= 0:
            appearance.place_floor(data, self._floor, self._repeats, scene.floor)
        count = len(self._lights)
        scene.lights[:count, 10:13] = data.light_xpos[self._lights]
        scene.lights[:count, 13:16] = data.light_xdir[self._lights]
        if scene.choices[0] >= 0:
            scene.light_axes[:] = appearance.light_axes(data.light_xdir[self._lights[scene.choices[0]]])
        views[:, :3] = data.cam_xpos[cameras]
        views[:, 3:12] = data.cam_xmat[cameras]
        views[:, 12] = self.height / np.tan(np.radians(self._model.cam_fovy[cameras]) / 2)
        views[:, 13] = self._model.vis.map.znear * self._model.stat.extent
        views[:, 14] = 1 / views[:, 12]

    def close(self) -> None:
        """Free the buffers. Closing twice is allowed."""
        self._scene = None
