"""The rasteriser as a renderer: reads a model once, then draws any state of it on the CPU."""

from __future__ import annotations

import math
from typing import Any

import mujoco
import numpy as np

from gym_hil.rendering import appearance
from gym_hil.rendering.drawing import draw
from gym_hil.rendering.floor import GRID
from gym_hil.rendering.geometry import extract, reshape
from gym_hil.rendering.renderer import Image, Renderer
from gym_hil.rendering.scene import KNOWN, MOVES, NOTHING, STAYS, Buffers, Grounds, Poses, Scene, ShadowMap, Views
from gym_hil.rendering.simd import LANES

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
        texels = int(np.clip(SHADOW_TEXELS * max(self.height, self.width), *SHADOW_LIMITS))
        self._scene = Scene(
            shapes=self._geometry.shapes,
            floor=appearance.floor(model, self._geometry),
            sky=appearance.sky(model, endless_floor=self._geometry.is_endless),
            lights=lights,
            shadow_map=ShadowMap(
                axes=np.zeros((3, 3), dtype=np.float32),
                depth=np.zeros((texels, texels + LANES), dtype=np.float32),
                corner=np.zeros(LANES, dtype=np.float32),
                scale=np.tile(np.array([0, 0, 1, 1], dtype=np.float32), LANES // 4),
            ),
            buffers=self._buffers(self._geometry.shapes.normals.shape[1], len(self._geometry.shapes.radii)),
        )
        # What cameras see that stay, after a place for the others.
        self._grounds = self._empty_grounds(1)
        # Number of a camera -> poses of it, lights and floor; its place among the grounds; whether that was filled.
        self._stays: dict[int, tuple[Any, int, bool]] = {}
        self._poses: tuple[mujoco.MjData, Poses] | None = None
        self._light_direction: list[float] = []

    def _empty_grounds(self, count: int) -> Grounds:
        size = count, self.height, -(-self.width // GRID)
        return Grounds(
            kinds=np.zeros((*size[:2], size[2] + LANES), dtype=np.float32),
            colours=np.zeros((*size, 9, GRID), dtype=np.float32),
            bounds=np.zeros((*size, 4), dtype=np.float32),
            images=np.zeros((count, self.height, self.width, 3), dtype=np.uint8),
        )

    def _buffers(self, vertices: int, shapes: int) -> Buffers:
        rows, columns = (-(-side // GRID) + 1 for side in (self.height, self.width))
        samples = (2 * self.height, 2 * GRID * (columns - 1) + LANES)
        return Buffers(
            world=np.zeros((3, vertices), dtype=np.float32),
            screen=np.zeros((vertices, 4), dtype=np.float32),
            setup=np.zeros((16, LANES), dtype=np.float32),
            depth=np.zeros(samples, dtype=np.float32),
            ids=np.full(samples, NOTHING, dtype=np.int32),
            layer_depth=np.zeros(samples, dtype=np.float32),
            layer_ids=np.full(samples, NOTHING, dtype=np.int32),
            lit=np.zeros((vertices, 12), dtype=np.float32),
            is_lit=np.zeros(vertices // LANES, dtype=np.bool_),
            unlit=np.zeros(1 + vertices // LANES, dtype=np.int32),
            grid=np.zeros((rows, columns + LANES, 8), dtype=np.float32),
            band=np.zeros((columns, 8), dtype=np.float32),
            line=np.zeros(17, dtype=np.float32),
            laid=np.zeros((6, GRID), dtype=np.float32),
            sky=np.zeros((6, GRID), dtype=np.float32),
            distances=np.zeros(shapes, dtype=np.float32),
            corners=np.zeros((4, 4), dtype=np.float32),
            is_cleared=np.zeros((self.height, columns - 1), dtype=np.bool_),
            fan=np.array([[0, 1, 2], [0, 2, 3], *LANES * [[0, 0, 0]]], dtype=np.int32),
            queue=np.zeros((4, 4 * self.width + LANES), dtype=np.float32),
            queue_pixels=np.zeros(4 * self.width, dtype=np.int32),
            shaded=np.zeros((6, LANES), dtype=np.float32),
            parts=np.zeros(columns, dtype=np.int32),
            row=np.zeros((self.width, 6), dtype=np.float32),
            pixels=np.zeros((self.height, self.width, 6), dtype=np.float32),
        )

    def _update(self) -> None:
        self._stays, self._grounds = {}, self._empty_grounds(1)
        self._poses, self._light_direction = None, []
        reshape(self._model, self._geometry)
        self._lights, lights = appearance.lights(self._model)
        self._scene = self._scene._replace(
            floor=appearance.floor(self._model, self._geometry, self._scene.floor), lights=lights
        )

    def _draw(self, data: mujoco.MjData, cameras: list[int]) -> list[Image]:
        if self._poses is None or self._poses[0] is not data:
            self._poses = data, self._poses_of(data)
        poses = self._poses[1]
        lights, floor = self._scene.lights, self._scene.floor
        if lights.shadow >= 0:
            direction = poses.light_xdir[self._lights[lights.shadow]].tolist()
            if direction != self._light_direction:
                self._scene.shadow_map.axes[:] = appearance.light_axes(direction)
                self._light_direction = direction
        moving: tuple[Any, ...] = (poses.light_xpos.tobytes(), poses.light_xdir.tobytes())
        if floor.geom >= 0:
            moving += (poses.geom_xpos[floor.geom].tobytes(), poses.geom_xmat[floor.geom].tobytes())
        near = np.float32(self._model.vis.map.znear * self._model.stat.extent)
        views = Views(
            cameras=np.array(cameras, dtype=np.intp),
            focal=np.array(
                [self.height / math.tan(math.radians(self._model.cam_fovy[number]) / 2) for number in cameras],
                dtype=np.float32,
            ),
            near=near,
            slots=np.zeros(len(cameras), dtype=np.intp),
            known=np.full(len(cameras), MOVES, dtype=np.intp),
        )
        for k, number in enumerate(cameras):
            pose = poses.cam_xpos[number].tobytes(), poses.cam_xmat[number].tobytes()
            views.slots[k], views.known[k] = self._find_ground(number, (near, views.focal[k], *pose, *moving))
        images = np.empty((len(cameras), self.height, self.width, 3), dtype=np.uint8)
        draw(self._scene, poses, views, self._grounds, images)
        return list(images)

    def _find_ground(self, number: int, place: Any) -> tuple[int, int]:
        """Which of the grounds is a camera's, and what is known of it: MOVES, STAYS or KNOWN.

        While camera, lights and floor stay where they are, the floor looks the same except for the shadows on it.
        """
        before, slot, is_known = self._stays.get(number, (None, 0, False))
        if before != place:
            self._stays[number] = place, slot, False
            return 0, MOVES
        if is_known:
            return slot, KNOWN
        if slot == 0:
            slot = len(self._grounds.kinds)
            pairs: Any = zip(self._grounds, self._empty_grounds(1), strict=True)
            self._grounds = Grounds(*(np.concatenate(pair) for pair in pairs))
        self._stays[number] = place, slot, True
        return slot, STAYS

    def _poses_of(self, data: mujoco.MjData) -> Poses:
        return Poses(
            geoms=self._geometry.geoms,
            sites=self._geometry.sites,
            lights=self._lights,
            geom_xpos=data.geom_xpos,
            geom_xmat=data.geom_xmat,
            site_xpos=data.site_xpos,
            site_xmat=data.site_xmat,
            light_xpos=data.light_xpos,
            light_xdir=data.light_xdir,
            cam_xpos=data.cam_xpos,
            cam_xmat=data.cam_xmat,
        )
