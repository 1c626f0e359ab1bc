"""What of a MuJoCo model the page needs once: shapes, colours and cameras. Only poses change afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_hil.console.messages import Geom, MeshInfo, SceneCamera, ViewPoint
from gym_hil.rendering.renderer import TEXELS, VISIBLE_GROUPS

DEFAULT_GREY = (0.5, 0.5, 0.5, 1.0)  # a geom's or site's own colour counts, unless it is this one
WORKSPACE_VIEW = {"distance": 1.84, "azimuth": 50.0, "elevation": -27.5}  # m and degrees
KINDS = {
    getattr(mujoco.mjtGeom, f"mjGEOM_{kind.upper()}"): kind
    for kind in ("plane", "sphere", "capsule", "ellipsoid", "cylinder", "box", "mesh", "sdf", "hfield")
}
_IDENTITY = [1.0, 0.0, 0.0, 0.0]


class MeshBlob:
    """The triangles of a model for `meshes.bin`, packed once: `data`, and where in it the numbers of each name are."""

    def __init__(self, model: mujoco.MjModel):
        self.model = model
        self.data = bytearray()
        self.infos: dict[str, MeshInfo] = {}

    def mesh(self, number: int) -> str:
        """The name of a mesh of the model, which is packed at the first call."""
        model, name = self.model, f"mesh{number}"

        def part(values: NDArray[Any], starts: NDArray[Any], counts: NDArray[Any]) -> NDArray[Any]:
            return values[starts[number] : starts[number] + counts[number]]

        if name not in self.infos:
            self._pack(
                name,
                part(model.mesh_vert, model.mesh_vertadr, model.mesh_vertnum),
                part(model.mesh_face, model.mesh_faceadr, model.mesh_facenum).ravel(),
                part(model.mesh_normal, model.mesh_normaladr, model.mesh_normalnum),
                part(model.mesh_facenormal, model.mesh_faceadr, model.mesh_facenum).ravel(),
            )
        return name

    def height_field(self, number: int) -> str:
        """The name of a height field of the model, which is packed at the first call."""
        model, name = self.model, f"hfield{number}"
        if name not in self.infos:
            rows, columns = int(model.hfield_nrow[number]), int(model.hfield_ncol[number])
            half_x, half_y, height, _ = model.hfield_size[number]
            start = model.hfield_adr[number]
            z = height * model.hfield_data[start : start + rows * columns].reshape(rows, columns)
            x, y = np.linspace(-half_x, half_x, columns), np.linspace(-half_y, half_y, rows)
            vertices = np.stack([*np.meshgrid(x, y), z], axis=2).reshape(-1, 3)
            slope_y, slope_x = np.gradient(z, y, x)
            normals = np.stack([-slope_x, -slope_y, np.ones_like(z)], axis=2).reshape(-1, 3)
            normals /= np.linalg.norm(normals, axis=1, keepdims=True)
            corner = np.arange(rows * columns).reshape(rows, columns)
            a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1]
            faces = np.stack([a, b, c, a, c, d], axis=2).ravel()
            self._pack(name, vertices, faces, normals, faces)
        return name

    def _pack(
        self, name: str, vertices: NDArray[Any], faces: NDArray[Any], normals: NDArray[Any], face_normals: NDArray[Any]
    ) -> None:
        low = vertices.min(axis=0)
        extent = np.maximum(vertices.max(axis=0) - low, 1e-9)
        corners = np.zeros((len(faces), 8), dtype=np.int32)
        corners[:, :3] = np.round((vertices[faces] - low) / extent * 65535)
        corners[:, 4:7] = np.round(normals[face_normals] * 127)
        # A browser wants one normal for a vertex, so a vertex is sent once for every normal that it has.
        unique, indices = np.unique(corners, axis=0, return_inverse=True)
        wide = len(unique) > 65536
        self.infos[name] = MeshInfo(
            vertices=len(unique),
            position=self._put(unique[:, :4].astype("<u2")),
            normal=self._put(unique[:, 4:].astype(np.int8)),
            index=self._put(indices.ravel().astype("<u4" if wide else "<u2")),
            indices=len(faces),
            wide=wide,
            low=low.tolist(),
            extent=extent.tolist(),
        )

    def _put(self, array: NDArray[Any]) -> int:
        """Append an array, aligned to 4 bytes; returns where."""
        self.data.extend(bytes(-len(self.data) % 4))
        offset = len(self.data)
        self.data.extend(np.ascontiguousarray(array).tobytes())
        return offset


@dataclass(frozen=True)
class PackedScene:
    """A model as the page gets it.

    `bodies` are names of what moves: the model's bodies, then the visible sites and the cameras that are not fixed to a
    body, which some environments move without moving a body. The `signature` says whether it still looks like this.
    """

    bodies: list[str]
    geoms: list[Geom]
    cameras: list[SceneCamera]
    blob: MeshBlob
    signature: tuple[bytes, ...]
    _sites: list[int]
    _cameras: list[int]

    def shows(self, model: mujoco.MjModel) -> bool:
        """Whether the model still looks like this."""
        return self.blob.model is model and self.signature == signature(model)

    def poses(self, data: mujoco.MjData) -> NDArray[np.float32]:
        """Where everything is, (bodies, 7): position in m and a quaternion, w first, in the world frame."""
        count = data.xpos.shape[0]
        poses = np.empty((len(self.bodies), 7), "<f4")
        poses[:count, :3], poses[:count, 3:] = data.xpos, data.xquat
        quaternion = np.empty(4)
        moving = [(data.site_xpos, data.site_xmat, site) for site in self._sites]
        moving += [(data.cam_xpos, data.cam_xmat, camera) for camera in self._cameras]
        for row, (positions, matrices, number) in enumerate(moving, start=count):
            mujoco.mju_mat2Quat(quaternion, matrices[number])
            poses[row, :3], poses[row, 3:] = positions[number], quaternion
        return poses


def pack_scene(model: mujoco.MjModel, known: MeshBlob | None = None) -> PackedScene:
    """Describe a model for the page, without skins and flexes; `known` are meshes that may be this model's."""
    blob = known if known is not None and known.model is model else MeshBlob(model)
    geoms = list(_geoms(model, blob))
    bodies = [model.body(number).name for number in range(model.nbody)]
    sites = []
    for site in range(model.nsite):
        rgba = _colour(model, model.site_rgba[site], model.site_matid[site])
        if model.site_group[site] < VISIBLE_GROUPS and rgba[3] > 0:
            kind = KINDS[mujoco.mjtGeom(model.site_type[site])]
            size = model.site_size[site].tolist()
            geoms.append(Geom(len(bodies), kind, size, [0.0] * 3, _IDENTITY, rgba, None))
            bodies.append(model.site(site).name)
            sites.append(site)
    cameras, free = [], []
    for number in range(model.ncam):
        body, pos, quat = int(model.cam_bodyid[number]), model.cam_pos[number].tolist(), model.cam_quat[number].tolist()
        if model.cam_mode[number] != int(mujoco.mjtCamLight.mjCAMLIGHT_FIXED):
            body, pos, quat = len(bodies), [0.0] * 3, _IDENTITY
            bodies.append(model.camera(number).name)
            free.append(number)
        name = model.camera(number).name or f"camera {number}"
        cameras.append(SceneCamera(name, body, pos, quat, float(model.cam_fovy[number])))
    return PackedScene(bodies, geoms, cameras, blob, signature(model), sites, free)


def signature(model: mujoco.MjModel) -> tuple[bytes, ...]:
    """The values of a model that some environments change while they run, and that are seen."""
    values = (
        *(model.geom_rgba, model.geom_size, model.geom_pos, model.geom_quat, model.geom_group, model.mat_rgba),
        *(model.site_rgba, model.site_size, model.hfield_data, model.cam_pos, model.cam_quat, model.cam_fovy),
        model.tex_data[::TEXELS],
    )
    return tuple(value.tobytes() for value in values)


def view_point(env: Any, model: mujoco.MjModel, workspace: ArrayLike | None) -> ViewPoint:
    """Where to look from at first: on the workspace, or else as the environment's own frames do, or as MuJoCo does.

    `workspace` is (2, 3) m, lower and upper corner; environments of Gymnasium have a `mujoco_renderer`.
    """
    if workspace is not None:
        return ViewPoint(centre=np.asarray(workspace, dtype=float).mean(axis=0).tolist(), track=None, **WORKSPACE_VIEW)
    given = getattr(getattr(env, "mujoco_renderer", None), "default_cam_config", None)
    config: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    track = int(config.get("trackbodyid", -1))
    if track <= 0:
        tracking = [int(mujoco.mjtCamLight.mjCAMLIGHT_TRACK), int(mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM)]
        track = next((int(model.cam_bodyid[k]) for k in range(model.ncam) if model.cam_mode[k] in tracking), -1)
    return ViewPoint(
        centre=np.asarray(config.get("lookat", model.stat.center), dtype=float).tolist(),
        distance=float(config.get("distance", 1.5 * model.stat.extent)),
        azimuth=float(config.get("azimuth", model.vis.global_.azimuth)),
        elevation=float(config.get("elevation", model.vis.global_.elevation)),
        track=track if track > 0 else None,
    )


def _geoms(model: mujoco.MjModel, blob: MeshBlob) -> Iterator[Geom]:
    """The visible shapes on bodies."""
    for number in range(model.ngeom):
        kind = KINDS.get(mujoco.mjtGeom(model.geom_type[number]))
        rgba = _colour(model, model.geom_rgba[number], model.geom_matid[number])
        if kind is None or model.geom_group[number] >= VISIBLE_GROUPS or rgba[3] == 0:
            continue
        mesh = None
        if kind in ("mesh", "sdf"):
            kind, mesh = "mesh", blob.mesh(int(model.geom_dataid[number]))
        elif kind == "hfield":
            kind, mesh = "mesh", blob.height_field(int(model.geom_dataid[number]))
        yield Geom(
            body=int(model.geom_bodyid[number]),
            type=kind,
            size=model.geom_size[number].tolist(),
            pos=model.geom_pos[number].tolist(),
            quat=model.geom_quat[number].tolist(),
            rgba=rgba,
            mesh=mesh,
        )


def _colour(model: mujoco.MjModel, own: NDArray[np.float32], material: int) -> list[float]:
    """The colour of a shape; where it has a texture, that of the texture's mean."""
    rgba = np.array(own, dtype=float)
    if material >= 0:
        if (own == DEFAULT_GREY).all():
            rgba = np.array(model.mat_rgba[material], dtype=float)
        texture = int(model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB])
        channels = 0 if texture < 0 else int(model.tex_nchannel[texture])
        if channels >= 3:
            start = model.tex_adr[texture]
            size = int(model.tex_height[texture]) * int(model.tex_width[texture]) * channels
            pixels = model.tex_data[start : start + size].reshape(-1, channels)[:, :3]
            # A quick mean is enough for large textures.
            rgba[:3] *= pixels[:: max(1, len(pixels) // 65536)].mean(axis=0) / 255
    return [round(float(value), 4) for value in rgba]
