"""What of a MuJoCo model the page needs once: shapes, colours and cameras. Only the bodies' poses change afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_hil.console.messages import Geom, MeshInfo, SceneCamera, SceneDescription

VISIBLE_GROUPS = (0, 1, 2)  # as MuJoCo's viewer shows at its start
KINDS = {
    mujoco.mjtGeom.mjGEOM_PLANE: "plane",
    mujoco.mjtGeom.mjGEOM_SPHERE: "sphere",
    mujoco.mjtGeom.mjGEOM_CAPSULE: "capsule",
    mujoco.mjtGeom.mjGEOM_ELLIPSOID: "ellipsoid",
    mujoco.mjtGeom.mjGEOM_CYLINDER: "cylinder",
    mujoco.mjtGeom.mjGEOM_BOX: "box",
    mujoco.mjtGeom.mjGEOM_MESH: "mesh",
}


@dataclass(frozen=True)
class PackedScene:
    """A model as the page gets it.

    Attributes:
        description: for `scene.json`.
        meshes: for `meshes.bin`; see `MeshInfo`.
    """

    description: SceneDescription
    meshes: bytes


@dataclass
class _Blob:
    """Bytes to which arrays are appended, each aligned to 4."""

    data: bytearray = field(default_factory=bytearray)

    def put(self, array: NDArray[Any]) -> int:
        self.data.extend(bytes(-len(self.data) % 4))
        offset = len(self.data)
        self.data.extend(np.ascontiguousarray(array).tobytes())
        return offset


def pack_scene(model: mujoco.MjModel, *, title: str, dt: float, workspace: ArrayLike | None = None) -> PackedScene:
    """Describe a model for the page.

    Args:
        model: the model. Height fields and signed distance fields are left out.
        title: for humans.
        dt: s, one control step.
        workspace: (2, 3) m, its lower and upper corner.
    """
    blob = _Blob()
    meshes: dict[str, MeshInfo] = {}
    geoms = []
    for number in range(model.ngeom):
        kind = KINDS.get(mujoco.mjtGeom(model.geom_type[number]))
        rgba = _colour(model, number)
        if kind is None or model.geom_group[number] not in VISIBLE_GROUPS or rgba[3] == 0:
            continue
        mesh = int(model.geom_dataid[number]) if kind == "mesh" else None
        if mesh is not None and str(mesh) not in meshes:
            meshes[str(mesh)] = _pack_mesh(model, mesh, blob)
        geoms.append(
            Geom(
                body=int(model.geom_bodyid[number]),
                type=kind,
                size=model.geom_size[number].tolist(),
                pos=model.geom_pos[number].tolist(),
                quat=model.geom_quat[number].tolist(),
                rgba=rgba,
                mesh=None if mesh is None else str(mesh),
            )
        )
    description = SceneDescription(
        title=title,
        dt=dt,
        bodies=[model.body(number).name for number in range(model.nbody)],
        geoms=geoms,
        meshes=meshes,
        cameras=[_camera(model, number) for number in range(model.ncam)],
        workspace=None if workspace is None else np.asarray(workspace, dtype=float).tolist(),
    )
    return PackedScene(description, bytes(blob.data))


def body_poses(positions: NDArray[np.float64], orientations: NDArray[np.float64]) -> bytes:
    """The part of a frame that moves.

    Args:
        positions: (bodies, 3) m.
        orientations: (bodies, 4) unit quaternions, w first.

    Returns:
        7 float32 for each body: position in m and a quaternion, w first, in the world frame.
    """
    return np.concatenate([positions, orientations], axis=1).astype("<f4").tobytes()


def _colour(model: mujoco.MjModel, geom: int) -> list[float]:
    material = int(model.geom_matid[geom])
    # MuJoCo lets a geom's own colour win unless it is the default, grey.
    if material >= 0 and (model.geom_rgba[geom] == (0.5, 0.5, 0.5, 1.0)).all():
        return [round(float(value), 4) for value in model.mat_rgba[material]]
    return [round(float(value), 4) for value in model.geom_rgba[geom]]


def _camera(model: mujoco.MjModel, number: int) -> SceneCamera:
    return SceneCamera(
        name=model.camera(number).name,
        body=int(model.cam_bodyid[number]),
        pos=model.cam_pos[number].tolist(),
        quat=model.cam_quat[number].tolist(),
        fovy=float(model.cam_fovy[number]),
    )


def _pack_mesh(model: mujoco.MjModel, mesh: int, blob: _Blob) -> MeshInfo:
    def part(values: NDArray[Any], starts: NDArray[Any], counts: NDArray[Any]) -> NDArray[Any]:
        return values[starts[mesh] : starts[mesh] + counts[mesh]]

    vertices = part(model.mesh_vert, model.mesh_vertadr, model.mesh_vertnum)
    normals = part(model.mesh_normal, model.mesh_normaladr, model.mesh_normalnum)
    faces = part(model.mesh_face, model.mesh_faceadr, model.mesh_facenum).ravel()
    face_normals = part(model.mesh_facenormal, model.mesh_faceadr, model.mesh_facenum).ravel()

    low = vertices.min(axis=0)
    extent = np.maximum(vertices.max(axis=0) - low, 1e-9)
    corners = np.zeros((len(faces), 8), dtype=np.int32)
    corners[:, :3] = np.round((vertices[faces] - low) / extent * 65535)
    corners[:, 4:7] = np.round(normals[face_normals] * 127)
    # A browser wants one normal for a vertex, so a vertex is sent once for every normal that it has.
    unique, indices = np.unique(corners, axis=0, return_inverse=True)
    wide = len(unique) > 65536
    return MeshInfo(
        vertices=len(unique),
        position=blob.put(unique[:, :4].astype("<u2")),
        normal=blob.put(unique[:, 4:].astype(np.int8)),
        index=blob.put(indices.ravel().astype("<u4" if wide else "<u2")),
        indices=len(faces),
        wide=wide,
        low=low.tolist(),
        extent=extent.tolist(),
    )
