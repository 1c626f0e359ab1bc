"""What the page shows of an environment: its MuJoCo model as a scene, or its frames, and the images it observes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from gym_hil.console.images import as_image, rendered
from gym_hil.console.messages import SceneDescription
from gym_hil.console.scene_stream import PackedScene, pack_scene, view_point
from gym_hil.pacing import find_control_dt
from gym_hil.rendering import Renderer, make_renderer

FRAME = "render()"  # name of the environment's own frame among the images
FRAME_PERIOD = 1 / 30  # s between two frames of `render()`, at least
FRAME_SHARE = 0.25  # of the time, at most, that frames of `render()` take
DRAWN_SIZE = (360, 480)  # pixels, height and width of the images for pages that cannot draw the scene
_NO_POSES = np.empty((0, 7), "<f4")


class Captured(NamedTuple):
    """What is to be seen at one step."""

    description: SceneDescription
    poses: NDArray[np.float32]  # (bodies, 7)
    images: Mapping[str, NDArray[np.uint8]]


class EnvView:
    """Captures what is to be seen of an environment, in its thread. The environment itself is not kept.

    Attributes:
        description: what does not change from step to step.
        watched: whether any page watches. Without one, only the first frame of an episode is taken.
        needs_images: whether a page asks for images of the scene, because it cannot draw the scene.
    """

    def __init__(self, env: Any, title: str):
        self.watched = self.needs_images = False
        self._title = title
        self._dt = find_control_dt(env)
        self._id: str = title if getattr(env, "spec", None) is None else env.spec.id
        self._scene: PackedScene | None = None
        self._renderer: Renderer | None = None
        self._preparing = False
        self._frame: NDArray[np.uint8] | str | None = None  # the newest one, or why there is none
        self._frame_due = 0.0  # s, before which no other frame is taken
        self._observed: dict[str, None] = {}  # names of images of the observation, in order
        self._track_model(env)
        self.description = self._describe(env, 1)

    @property
    def meshes(self) -> bytes:
        """The scene's triangles; see `MeshInfo`."""
        return b"" if self._scene is None else bytes(self._scene.blob.data)

    def capture(
        self,
        env: Any,
        images: Mapping[str, Any],
        render: tuple[Callable[[], Any], str | None] | None,
        *,
        is_first: bool,
    ) -> Captured:
        """What is to be seen now; see `Channel.publish`. `is_first` says whether an episode starts with this."""
        changed = self._track_model(env)
        shown = {name: image for name, given in images.items() if (image := as_image(given)) is not None}
        self._observed.update(dict.fromkeys(shown))
        names = self._camera_names()
        if self.needs_images and any(name not in shown for name in names):
            shown = {**self._drawn(env, names), **shown}
        if render is not None and (self._scene is None or (self.needs_images and not names)):
            self._take_frame(*render, is_first=is_first)
        if isinstance(self._frame, np.ndarray):
            shown[FRAME] = self._frame
        known = self.description.images, self.description.observed, self.description.note
        if changed or known != (self._image_names(), list(self._observed), self._note()):
            self.description = self._describe(env, self.description.revision + 1)
        poses = _NO_POSES if self._scene is None else self._scene.poses(env.data)
        return Captured(self.description, poses, shown)

    def _track_model(self, env: Any) -> bool:
        """Pack the model again if it has changed; True if it has."""
        model = mujoco_model(env)
        if model is None:
            changed, self._scene = self._scene is not None, None
            return changed
        if self._scene is not None and self._scene.shows(model):
            return False
        if self._scene is None or self._scene.blob.model is not model:
            self._renderer = None
        self._scene = pack_scene(model, None if self._scene is None else self._scene.blob)
        return True

    def _take_frame(self, render: Callable[[], Any], render_mode: str | None, *, is_first: bool) -> None:
        start = time.monotonic()
        failed = isinstance(self._frame, str)
        if is_first or (self.watched and start >= self._frame_due and not failed):
            self._frame = rendered(render, render_mode, self._id)
            end = time.monotonic()
            self._frame_due = max(start + FRAME_PERIOD, end + (end - start) * (1 / FRAME_SHARE - 1))

    def _drawn(self, env: Any, cameras: list[str]) -> dict[str, NDArray[np.uint8]]:
        """What the model's cameras see, drawn here."""
        if self._renderer is not None:
            return dict(zip(cameras, self._renderer.render(env.data, range(len(cameras))), strict=True))
        if not self._preparing:
            self._preparing = True
            threading.Thread(target=self._prepare_renderer, args=[env.model], daemon=True).start()
        return {}

    def _prepare_renderer(self, model: mujoco.MjModel) -> None:
        """Make the renderer and have it compiled, beside the environment, which would stand still meanwhile."""
        try:
            renderer = make_renderer("raster", model, *DRAWN_SIZE)
            data = mujoco.MjData(model)
            mujoco.mj_forward(model, data)
            renderer.render(data, [0])
        except Exception as error:  # a model of another maker; it is tried once
            self._frame = f"The scene cannot be drawn without WebGL: {error}"
        else:
            self._preparing, self._renderer = False, renderer

    def _camera_names(self) -> list[str]:
        return [] if self._scene is None else [camera.name for camera in self._scene.cameras]

    def _image_names(self) -> list[str]:
        frame = [FRAME] if isinstance(self._frame, np.ndarray) else []
        return list(dict.fromkeys([*frame, *self._camera_names(), *self._observed]))

    def _note(self) -> str | None:
        return self._frame if isinstance(self._frame, str) else None

    def _describe(self, env: Any, revision: int) -> SceneDescription:
        scene, names = self._scene, self._image_names()
        bounds: Any = getattr(env, "cartesian_bounds", None)
        workspace = bounds if scene is not None and np.shape(bounds) == (2, 3) else None
        return SceneDescription(
            title=self._title,
            dt=self._dt,
            revision=revision,
            images=names,
            observed=list(self._observed),
            big=names[0] if names else None,
            note=self._note(),
            bodies=[] if scene is None else scene.bodies,
            geoms=[] if scene is None else scene.geoms,
            meshes={} if scene is None else scene.blob.infos,
            cameras=[] if scene is None else scene.cameras,
            workspace=None if workspace is None else np.asarray(workspace, dtype=float).tolist(),
            view=None if scene is None else view_point(env, scene.blob.model, workspace),
        )


def mujoco_model(env: Any) -> mujoco.MjModel | None:
    """The MuJoCo model of an environment that has one, with data; else None."""
    model, data = getattr(env, "model", None), getattr(env, "data", None)
    return model if isinstance(model, mujoco.MjModel) and isinstance(data, mujoco.MjData) else None
