"""The arena around the robot: floor, lights, sky, the two cameras, and the physics options."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_hil.robot import add_controller, add_gripper, add_panda
from gym_hil.robot.controller import POSTURE_STIFFNESS, TOOL_DOWN
from gym_hil.robot.gripper import TCP_SITE
from gym_hil.robot.panda import FLOOR, OBJECTS
from gym_hil.rotations import quaternion_matrix, rotation_quaternion

CAMERAS = ("front", "wrist")
FORCE_SENSOR, TORQUE_SENSOR = "wrist_force", "wrist_torque"

FLOOR_SIZE = 3.0  # m, half side
CHECKER = ((25, 51, 76), (51, 76, 102))  # rgb of the floor's two colours
_SQUARES_PER_METRE = 2.0
_TOOL_DOWN = np.array(TOOL_DOWN, dtype=np.float64)
SKY = ((77, 128, 178), (0, 0, 0))  # rgb straight up and straight down


def build_scene(home: ArrayLike, bounds: ArrayLike, *, force_torque: bool = False) -> mujoco.MjSpec:
    """Put the robot into the arena.

    Args:
        home: (7,) rad, where the arm starts and where the posture springs pull.
        bounds: (2, 3) m, lower and upper corner of the workspace.
        force_torque: add the sensors of force and torque at the wrist.

    Returns:
        A spec that a task adds its objects to; geoms with MuJoCo's default contact bits collide with everything.
    """
    spec = mujoco.MjSpec()
    spec.modelname = "gym_hil"
    option = spec.option
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # The elliptic cone with a high ratio of friction to normal impedance holds a grasp without extra solver passes.
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10
    _light_and_floor(spec)

    flange = add_panda(spec, home, POSTURE_STIFFNESS)
    add_controller(spec, TCP_SITE, bounds)  # first, so that the commands start with the pose
    add_gripper(spec, flange)
    # Poses of upstream's cameras, shared so that datasets and policies look through the same eyes.
    spec.worldbody.add_camera(
        name="front", pos=(1.3, 0, 0.7), quat=(0.5963678, 0.3799282, 0.3799282, 0.5963678), fovy=45
    )
    flange.add_camera(name="wrist", pos=(-0.05, 0.015, 0), quat=(0, 0.70710678, -0.70710678, 0), fovy=42.5)
    if force_torque:
        _add_wrist_sensors(spec)
    return spec


def add_box(
    spec: mujoco.MjSpec, name: str, position: ArrayLike, half_size: float, rgba: ArrayLike, mass: float = 0.1
) -> None:
    """Add a cube that can be pushed and picked up.

    Args:
        spec: the scene.
        name: of the body and, with the suffix `_geom`, of its geom.
        position: (3,) m, of its centre.
        half_size: m.
        rgba: (4,) in [0, 1].
        mass: kg.
    """
    body = spec.worldbody.add_body(name=name, pos=position)
    body.add_freejoint(name=name)
    geom = body.add_geom(name=f"{name}_geom", type=mujoco.mjtGeom.mjGEOM_BOX, size=[half_size] * 3)
    geom.rgba, geom.mass = rgba, mass


def add_marker(spec: mujoco.MjSpec, name: str, position: ArrayLike, half_size: ArrayLike, rgba: ArrayLike) -> None:
    """Add a translucent pad on the floor that shows a place and touches nothing."""
    geom = spec.worldbody.add_body(name=name, pos=position).add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=half_size)
    geom.rgba, geom.contype, geom.conaffinity = rgba, 0, 0


def finish_scene(spec: mujoco.MjSpec) -> None:
    """Settle what depends on all that is in the scene.

    Adds the keyframe `home`: everything where it was put, and the commands that hold it there. Chooses whether the
    solver splits contacts into islands, which costs a tenth of the step with one free object and gains with several.
    """
    model = spec.compile()
    if np.count_nonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE) < 2:
        # MuJoCo 3.3 has no such flag: there, islands have to be asked for.
        spec.option.disableflags |= int(getattr(mujoco.mjtDisableBit, "mjDSBL_ISLAND", 0))
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    pose = [*data.site(TCP_SITE).xpos, *rotation_command(data.site(TCP_SITE).xmat)]
    spec.add_key(name="home", qpos=data.qpos, ctrl=[*pose, 0.0])


def rotation_command(xmat: ArrayLike) -> NDArray[np.float64]:
    """The rotation command that holds a tool orientation, given as the 9 numbers of a matrix in the base frame.

    It is (3,) rad, the rotation vector from a tool that points straight down, in that tool's axes.
    """
    actual, command = np.empty(4), np.empty(3)
    mujoco.mju_mat2Quat(actual, np.asarray(xmat, float).ravel())
    mujoco.mju_subQuat(command, actual, _TOOL_DOWN)
    return command


def commanded_rotation(command: ArrayLike) -> NDArray[np.float64]:
    """The tool orientation that a rotation command holds, (3, 3) in the base frame; see `rotation_command`."""
    held = np.empty(4)
    mujoco.mju_mulQuat(held, _TOOL_DOWN, rotation_quaternion(np.asarray(command, float)))
    return quaternion_matrix(held, is_unit=True)


def _light_and_floor(spec: mujoco.MjSpec) -> None:
    visual = spec.visual
    visual.headlight.ambient, visual.headlight.diffuse = (0.5, 0.5, 0.5), (0.4, 0.4, 0.4)
    visual.headlight.specular = (0.5, 0.5, 0.5)
    spec.stat.extent, spec.stat.center = 0.8, (0.3, 0, 0.4)
    spec.worldbody.add_light(pos=(0, 0, 3), dir=(0, 0, -1), diffuse=(1, 1, 1), castshadow=True)

    sky = spec.add_texture(name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, width=32, height=192)
    sky.builtin = mujoco.mjtBuiltin.mjBUILTIN_GRADIENT
    sky.rgb1, sky.rgb2 = np.divide(SKY, 255)
    grid = spec.add_texture(name="grid", type=mujoco.mjtTexture.mjTEXTURE_2D, width=256, height=256)
    grid.builtin = mujoco.mjtBuiltin.mjBUILTIN_CHECKER
    grid.rgb1, grid.rgb2 = np.divide(CHECKER, 255)
    material = spec.add_material(name="floor", texrepeat=[_SQUARES_PER_METRE] * 2, texuniform=True)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "grid"
    floor = spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, material="floor")
    floor.size = (FLOOR_SIZE, FLOOR_SIZE, 0.01)
    floor.contype, floor.conaffinity = FLOOR, OBJECTS


def _add_wrist_sensors(spec: mujoco.MjSpec) -> None:
    # A sensor reports what the site's body and its parent do to each other: the gripper on the flange.
    spec.body("gripper").add_site(name="wrist", quat=(0, 0, 0, 1), group=4)
    for name, kind in (
        (FORCE_SENSOR, mujoco.mjtSensor.mjSENS_FORCE),
        (TORQUE_SENSOR, mujoco.mjtSensor.mjSENS_TORQUE),
    ):
        spec.add_sensor(name=name, type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname="wrist")
