"""The rasteriser as a renderer: reads a model once, then draws any state of it on the CPU."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from gym_hil.rendering import appearance
from gym_hil.rendering.drawing import begin, draw
from gym_hil.rendering.floor import GRID
from gym_hil.rendering.geometry import extract, reshape
from gym_hil.rendering.renderer import Image, Renderer
from gym_hil.rendering.scene import KNOWN, MOVES, NOTHING, STAYS, Buffers, Camera, Floats, Scene, ShadowMap

SHADOW_TEXELS = 2  # per pixel, along the side of the shadow map, which is fitted to what casts shadows
SHADOW_LIMITS = (64, 1024)  # texels


class RasterRenderer(Renderer):
    """Draws on the CPU: no display, no driver, and the same pixels for the same state.

    Geoms and sites of groups 0 to 2 are drawn with their colours, the first opaque plane as a textured floor, the
    model's lights and headlight, shadows of its first shadow-casting light, and its skybox.
    """

    name = "raster"

    def __init__(self, model: mujoco.MjModel, height: int, width: int) -> None:
        super().__init__(model, height, width)
        self._geometry = extract(model)
        self._lights, lights = appearance.lights(model)
        self._repeats = appearance.texture_repeats(model, self._geometry.floor)
        texels = int(np.clip(SHADOW_TEXELS * max(self.height, self.width), *SHADOW_LIMITS))
        self._scene = Scene(
            shapes=self._geometry.shapes,
            floor=appearance.floor(model, self._geometry),
            sky=appearance.sky(model, endless_floor=self._geometry.is_endless),
            lights=lights,
            shadow_map=ShadowMap(
                axes=np.zeros((3, 3), dtype=np.float32),
                depth=np.zeros((texels, texels), dtype=np.float32),
                corner=np.zeros(2, dtype=np.float32),
                scale=np.zeros(1, dtype=np.float32),
            ),
            buffers=self._buffers(len(self._geometry.shapes.vertices), len(self._geometry.shapes.radii)),
        )
        self._ground = np.zeros((self.height, self.width, 9), dtype=np.float32)
        # Number of a camera -> poses of it, lights and floor; and the floor that it sees, from its second image on.
        self._stays: dict[int, tuple[Any, Floats | None]] = {}

    def _buffers(self, vertices: int, shapes: int) -> Buffers:
        samples = (2 * self.height, 2 * self.width)
        rows, columns = (-(-side // GRID) + 1 for side in (self.height, self.width))
        return Buffers(
            world=np.zeros((vertices, 3), dtype=np.float32),
            world_normals=np.zeros((vertices, 3), dtype=np.float32),
            screen=np.zeros((vertices, 3), dtype=np.float32),
            depth=np.zeros(samples, dtype=np.float32),
            ids=np.full(samples, NOTHING, dtype=np.int32),
            layer_depth=np.zeros(samples, dtype=np.float32),
            layer_ids=np.full(samples, NOTHING, dtype=np.int32),
            lit=np.zeros((vertices, 6), dtype=np.float32),
            is_lit=np.zeros(vertices, dtype=np.bool_),
            grid=np.zeros((rows, columns, 7), dtype=np.float32),
            band=np.zeros((columns, 7), dtype=np.float32),
            run=np.zeros((12, GRID * (columns - 1)), dtype=np.float32),
            distances=np.zeros(shapes, dtype=np.float32),
            corners=np.zeros((4, 3), dtype=np.float32),
            colour=np.zeros(6, dtype=np.float32),
            no_ids=np.zeros((0, 0), dtype=np.int32),
            pixels=np.zeros((self.height, self.width, 6), dtype=np.float32),
        )

    def _update(self) -> None:
        self._stays = {}
        reshape(self._model, self._geometry)
        self._lights, lights = appearance.lights(self._model)
        self._repeats = appearance.texture_repeats(self._model, self._geometry.floor)
        self._scene = self._scene._replace(
            floor=appearance.floor(self._model, self._geometry, self._scene.floor), lights=lights
        )

    def _draw(self, data: mujoco.MjData, cameras: list[int]) -> list[Image]:
        # a simulation that has blown up is for others to report
        with np.errstate(invalid="ignore", over="ignore"):
            self._pose(self._scene, data)
            views = [self._camera(data, camera) for camera in cameras]
        images = np.empty((len(cameras), self.height, self.width, 3), dtype=np.uint8)
        begin(self._scene)
        for number, view, image in zip(cameras, views, images, strict=True):
            ground, known = self._find_ground(number, view)
            draw(self._scene, view, ground, known, image)
        return list(images)

    def _find_ground(self, number: int, view: Camera) -> tuple[Floats, int]:
        """The array for the floor that a camera sees, and what is known of it: MOVES, STAYS or KNOWN.

        While camera, lights and floor stay where they are, the floor looks the same except for the shadows on it.
        """
        floor, lights = self._scene.floor, self._scene.lights
        moving = (floor.origin, floor.u_axis, floor.v_axis, floor.normal, lights.position, lights.direction)
        place = (view, *(values.tobytes() for values in moving))
        before, ground = self._stays.get(number, (None, None))
        if before != place:
            self._stays[number] = place, None
            return self._ground, MOVES
        if ground is not None:
            return ground, KNOWN
        ground = np.zeros_like(self._ground)
        self._stays[number] = place, ground
        return ground, STAYS

    def _pose(self, scene: Scene, data: mujoco.MjData) -> None:
        """Write where everything is into the scene."""
        shapes, lights, geometry = scene.shapes, scene.lights, self._geometry
        count = len(geometry.geoms)
        shapes.positions[:count] = data.geom_xpos[geometry.geoms]
        shapes.rotations[:count] = data.geom_xmat[geometry.geoms]
        shapes.positions[count:] = data.site_xpos[geometry.sites]
        shapes.rotations[count:] = data.site_xmat[geometry.sites]
        if geometry.floor >= 0:
            appearance.place_floor(data, geometry.floor, self._repeats, scene.floor)
        if len(self._lights):
            lights.position[:] = data.light_xpos[self._lights]
            lights.direction[:] = data.light_xdir[self._lights]
        if lights.shadow >= 0:
            scene.shadow_map.axes[:] = appearance.light_axes(data.light_xdir[self._lights[lights.shadow]])

    def _camera(self, data: mujoco.MjData, camera: int) -> Camera:
        axes = tuple(data.cam_xmat[camera].astype(np.float32))
        focal = np.float32(self.height / np.tan(np.radians(self._model.cam_fovy[camera]) / 2))
        return Camera(
            position=tuple(data.cam_xpos[camera].astype(np.float32)),
            right=axes[0::3],
            up=axes[1::3],
            back=axes[2::3],
            focal=focal,
            pixel=1 / focal,
            near=np.float32(self._model.vis.map.znear * self._model.stat.extent),
            half_width=np.float32(self.width),
            half_height=np.float32(self.height),
        )
