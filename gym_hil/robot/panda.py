"""The Franka Panda arm: frames, limits, inertials, collision geoms and visual meshes, as part of an MjSpec.

Sources: link frames, joint and torque limits and collision capsules from franka_description (Apache-2.0);
inertials from Gaz et al., "Dynamic Identification of the Franka Emika Panda Robot With Retrieval of Feasible Parameters
Using Penalty-Based Optimization", RA-L 2019; joint armature and damping as in MuJoCo Menagerie (Apache-2.0).
"""

from __future__ import annotations

from typing import NamedTuple

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_hil.robot.panda_meshes import panda_meshes
from gym_hil.robot.shapes import add_mesh

JOINTS = tuple(f"joint{k}" for k in range(1, 8))
FLANGE = "flange"  # name of the body that tools are mounted on

JOINT_ARMATURE = 0.1  # kg m^2
JOINT_DAMPING = 1.0  # N m s/rad

VISUAL_GROUP = 2
COLLISION_GROUP = 3  # MuJoCo's viewers hide it until asked
OBJECTS, FLOOR = 1, 2  # contact bits; 1 is MuJoCo's default, so a task's geoms need no thought

MATERIALS = {
    "white": (0.96, 0.96, 0.96, 1.0),
    "offwhite": (0.84, 0.86, 0.87, 1.0),
    "grey": (0.55, 0.56, 0.57, 1.0),
    "finger_grey": (0.33, 0.34, 0.35, 1.0),
    "dark": (0.17, 0.17, 0.18, 1.0),
    "black": (0.11, 0.11, 0.12, 1.0),
}

_TURN_X = (1.0, 1.0, 0.0, 0.0)  # quaternions, MuJoCo normalises them
_TURN_BACK_X = (1.0, -1.0, 0.0, 0.0)
_EIGHTH_Z = (0.9238795325112867, 0.0, 0.0, 0.3826834323650898)


class VisualMesh(NamedTuple):
    """A visual mesh on a link: name in `panda_meshes()`, material, pose in the link's frame (m, quaternion w first)."""

    mesh: str
    material: str
    pos: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quat: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)


class Capsule(NamedTuple):
    """A collision geom: both ends and the radius of a capsule, m, in the link's frame."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radius: float


class Link(NamedTuple):
    """A link and the joint that carries it."""

    pos: tuple[float, ...]  # (3,) m, in the parent link's frame
    quat: tuple[float, ...]  # (4,) in the parent link's frame, w first
    range: tuple[float, float]  # rad, joint limits
    torque: float  # N m, joint torque limit
    mass: float  # kg
    com: tuple[float, ...]  # (3,) m, in the link's frame
    inertia: tuple[float, ...]  # (6,) kg m^2 about the centre of mass: xx, yy, zz, xy, xz, yz
    visuals: tuple[VisualMesh, ...]  # its visual meshes
    capsules: tuple[Capsule, ...]  # its collision geoms


BASE_VISUALS = (
    VisualMesh("base", "white"),
    VisualMesh("base_rear", "white"),
    VisualMesh("base_foot", "white", (-0.002, 0.0, 0.006)),
    VisualMesh("base_panel", "offwhite", (-0.080, -0.0772, 0.042)),
    VisualMesh("base_socket", "dark", (-0.094, -0.078, 0.044), _TURN_X),
    VisualMesh("base_panel", "offwhite", (-0.080, 0.0772, 0.042)),
    VisualMesh("base_socket", "dark", (-0.088, 0.078, 0.044), _TURN_X),
    VisualMesh("seam", "grey", (0.0, 0.0, 0.141)),
)
# Mass (kg), centre of mass (m) and inertia (kg m^2), as in `Link`.
BASE_INERTIAL = (0.629769, (-0.041018, -0.00014, 0.049974), (0.00315, 0.00388, 0.004285, 8.2904e-7, 0.00015, 8.2299e-6))
BASE_CAPSULES = (Capsule((-0.085, 0.0, 0.06), (-0.05, 0.0, 0.06), 0.06), Capsule((0, 0, 0.055), (0, 0, 0.085), 0.055))

LINKS = (
    Link(
        (0.0, 0.0, 0.333), (1.0, 0.0, 0.0, 0.0), (-2.8973, 2.8973), 87.0,
        4.970684, (0.003875, 0.002081, -0.04762), (0.70337, 0.70661, 0.009117, -0.000139, 0.006772, 0.019169),
        (VisualMesh("shoulder", "white"), VisualMesh("seam", "grey", quat=_TURN_X)),
        (Capsule((0, 0, -0.150), (0, -0.020, -0.080), 0.055), Capsule((0, -0.074, 0), (0, -0.050, 0), 0.055)),
    ),
    Link(
        (0.0, 0.0, 0.0), _TURN_BACK_X, (-1.7628, 1.7628), 87.0,
        0.646926, (-0.003141, -0.02872, 0.003495), (0.007962, 0.02811, 0.025995, -0.003925, 0.010254, 0.000704),
        (VisualMesh("shoulder", "white", quat=_TURN_BACK_X), VisualMesh("seam", "grey", (0.0, -0.1945, 0.0), _TURN_X)),
        (Capsule((0, -0.150, 0), (0, -0.080, 0.020), 0.055), Capsule((0, 0, 0.074), (0, 0, 0.050), 0.055)),
    ),
    Link(
        (0.0, -0.316, 0.0), _TURN_X, (-2.8973, 2.8973), 87.0,
        3.228604, (0.027518, 0.039252, -0.066502), (0.037242, 0.036155, 0.01083, -0.004761, -0.011396, -0.012805),
        (
            VisualMesh("elbow", "white"),
            VisualMesh("seam", "grey", (0.0825, 0.0, 0.0), _TURN_X),
            VisualMesh("elbow_band", "dark", (0.0825, 0.0, 0.0)),
            VisualMesh("elbow_disc", "white", (0.0825, 0.0, 0.0)),
        ),
        (Capsule((0, 0, -0.080), (0.045, 0.03, -0.025), 0.055), Capsule((0.0825, 0.048, 0), (0.0825, 0.056, 0), 0.055)),
    ),
    Link(
        (0.0825, 0.0, 0.0), _TURN_X, (-3.0718, -0.0698), 87.0,
        3.587895, (-0.05317, 0.104419, 0.027454), (0.025853, 0.019552, 0.028323, 0.007796, -0.001332, 0.008641),
        (
            VisualMesh("elbow", "white", (-0.0825, 0.0, 0.0), _TURN_X),
            VisualMesh("seam", "grey", (-0.0825, 0.1235, 0.0), _TURN_X),
            VisualMesh("elbow_band", "dark", quat=_TURN_X),
            VisualMesh("elbow_disc", "white", quat=_TURN_X),
        ),
        (Capsule((-0.0825, 0.08, 0), (-0.0375, 0.025, 0.03), 0.055), Capsule((0, 0, 0.048), (0, 0, 0.056), 0.055)),
    ),
    Link(
        (-0.0825, 0.384, 0.0), _TURN_BACK_X, (-2.8973, 2.8973), 12.0,
        1.225946, (-0.011953, 0.041065, -0.038437), (0.035549, 0.029474, 0.008627, -0.002117, -0.004037, 0.000229),
        (VisualMesh("forearm", "white"), VisualMesh("forearm_cover", "dark"), VisualMesh("forearm_plate", "offwhite")),
        (
            Capsule((0, 0, -0.215), (0, 0.030, -0.190), 0.054),
            Capsule((0, 0.065, -0.170), (0, 0.083, -0.060), 0.028),
            Capsule((0, 0.064, 0), (0, 0.081, 0), 0.050),
        ),
    ),
    Link(
        (0.0, 0.0, 0.0), _TURN_X, (-0.0175, 3.7525), 12.0,
        1.666555, (0.060149, -0.014117, -0.010517), (0.001964, 0.004354, 0.005433, 0.000109, -0.001158, 0.000341),
        (
            VisualMesh("wrist_barrel", "white"),
            VisualMesh("wrist_rim", "dark"),
            VisualMesh("wrist_disc", "white", (0.0, 0.0, 0.0573)),
            VisualMesh("wrist_dot", "dark", (0.0, 0.0, 0.0586)),
            VisualMesh("wrist_bridge", "white"),
            VisualMesh("wrist_head", "white"),
            VisualMesh("wrist_cap", "dark"),
            VisualMesh("wrist_seam", "grey", (0.0, 0.0, -0.0155)),
        ),
        (Capsule((0, 0, 0.012), (0, 0, 0.015), 0.046), Capsule((0.088, -0.01, 0), (0.088, 0.036, 0), 0.045)),
    ),
    Link(
        (0.088, 0.0, 0.0), _TURN_X, (-2.8973, 2.8973), 12.0,
        0.735522, (0.010517, -0.004252, 0.061597), (0.012516, 0.010027, 0.004815, -0.000428, -0.001196, -0.000741),
        (
            VisualMesh("flange_ring", "offwhite"),
            VisualMesh("flange_plate", "grey", (0.0, 0.0, 0.1037)),
            VisualMesh("grip", "offwhite", quat=_EIGHTH_Z),
            VisualMesh("grip_buttons", "dark", quat=_EIGHTH_Z),
        ),
        (Capsule((0, 0, 0.062), (0, 0, 0.075), 0.043), Capsule((0.03, 0.03, 0.082), (0.055, 0.055, 0.082), 0.022)),
    ),
)  # fmt: skip

_FLANGE_POS = (0.0, 0.0, 0.107)
# The tool's x axis looks back along the fingers' opening, as in facts.json: an eighth turn beyond franka's own flange.
_FLANGE_QUAT = (0.3826834323650898, 0.0, 0.0, 0.9238795325112867)


def add_panda(spec: mujoco.MjSpec, home: ArrayLike, posture_stiffness: float) -> mujoco.MjsBody:
    """Add the arm to a model, its base at the world's origin, and return the flange's body, for a tool.

    The model's angles are in radians from then on. `home` (7,) rad is where the arm starts and where the posture
    springs pull with `posture_stiffness` N m/rad; they settle the one degree of freedom that the tool leaves open.
    """
    spec.compiler.degree = False
    for name, rgba in MATERIALS.items():
        spec.add_material(name=name, rgba=rgba, specular=0.4, shininess=0.3)
    for name, mesh in panda_meshes().items():
        add_mesh(spec, name, mesh)

    body = spec.worldbody.add_body(name="link0")
    body.mass, body.ipos, body.fullinertia, body.explicitinertial = *BASE_INERTIAL, True
    _add_geometry(body, BASE_VISUALS, BASE_CAPSULES)
    for number, (link, rest) in enumerate(zip(LINKS, np.asarray(home, float), strict=True), start=1):
        # The model's own zero is home, so that any program which opens it finds the arm there.
        body = body.add_body(name=f"link{number}", pos=link.pos, quat=_turned_about_z(link.quat, rest))
        body.mass, body.ipos, body.fullinertia, body.explicitinertial = link.mass, link.com, link.inertia, True
        body.gravcomp = 1
        joint = body.add_joint(name=JOINTS[number - 1], axis=(0, 0, 1), range=link.range)
        joint.actfrcrange = (-link.torque, link.torque)
        joint.armature = JOINT_ARMATURE
        set_linear(joint, damping=JOINT_DAMPING, stiffness=posture_stiffness)
        joint.ref = joint.springref = rest
        _add_geometry(body, link.visuals, link.capsules)
    return body.add_body(name=FLANGE, pos=_FLANGE_POS, quat=_FLANGE_QUAT)


def add_visual(body: mujoco.MjsBody, visual: VisualMesh) -> None:
    """Add a visual mesh to a body: it has no mass and touches nothing."""
    geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=visual.mesh, material=visual.material)
    geom.pos, geom.quat, geom.mass = visual.pos, visual.quat, 0
    geom.group, geom.contype, geom.conaffinity = VISUAL_GROUP, 0, 0


def set_linear(joint: mujoco.MjsJoint, **coefficients: float) -> None:
    """Set a joint's damping or stiffness, constant over its travel.

    Newer MuJoCo takes the coefficients of a polynomial here, 3.3 a plain number.
    """
    for name, value in coefficients.items():
        terms = np.size(getattr(joint, name))
        setattr(joint, name, value if terms == 1 else [value] + [0.0] * (terms - 1))


def set_contact(geom: mujoco.MjsGeom, touches: int) -> None:
    """Make a robot geom collide with the floor, with task objects or with both, never with the robot itself.

    The arm cannot reach itself within the workspace, and the pairs left out are most of the collision detector's work.

    It is weightless from now on, and drawn only when its group is asked for.
    """
    geom.group, geom.contype, geom.conaffinity, geom.mass = COLLISION_GROUP, 0, touches, 0
    geom.rgba = (0.3, 0.6, 0.3, 0.4)


def _turned_about_z(quat: tuple[float, ...], angle: float) -> NDArray[np.float64]:
    start, turned = np.array(quat) / np.linalg.norm(quat), np.empty(4)
    mujoco.mju_mulQuat(turned, start, np.array([np.cos(angle / 2), 0, 0, np.sin(angle / 2)]))
    return turned


def _add_geometry(body: mujoco.MjsBody, visuals: tuple[VisualMesh, ...], capsules: tuple[Capsule, ...]) -> None:
    for visual in visuals:
        add_visual(body, visual)
    for capsule in capsules:
        geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[*capsule.start, *capsule.end])
        geom.size = [capsule.radius, 0, 0]
        set_contact(geom, OBJECTS | FLOOR)
