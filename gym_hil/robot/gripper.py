"""A parallel-jaw gripper with the reach, pads and closing speed of a Robotiq 2F-85.

Two slide joints coupled by an equality take the place of the 2F-85's linkage. The numbers of pads, travel and mass
were measured on MuJoCo Menagerie's 2F-85 (Apache-2.0); the visual meshes are our own.
"""

from __future__ import annotations

import mujoco
import numpy as np

from gym_hil.robot.panda import FLOOR, OBJECTS, VisualMesh, add_visual, set_contact, set_linear
from gym_hil.robot.shapes import Mesh, Section, add_mesh, beam, box, lathe, slab

BODY = "gripper"
TCP_SITE = "tcp"
ACTUATOR = "gripper"
JOINTS = ("right_finger", "left_finger")
COMMAND_CLOSED = 255.0  # actuator command of a closed gripper; 0 is open

PINCH_DISTANCE = 0.1488  # m from the flange to the point between the finger tips
TRAVEL = 0.0427  # m that each finger moves along y between open and closed
_DROP = 0.0132  # m that the pads move away from the flange while closing, as the 2F-85's linkage does
STROKE = float(np.hypot(TRAVEL, _DROP))

PAD_HALF_SIZE = (0.011, 0.004, 0.009375)  # m
PAD_FRICTION = (0.7, 0.6)  # sliding friction of the outer and the inner pad
_PAD_Y = 0.0467  # m off the middle when open
_PAD_Z = (0.14384, 0.12509)  # m from the flange when open: outer and inner pad

_BODY_MASS, _BODY_COM = 0.9926, 0.0345  # kg, m; with the fingers 1.0526 kg at 0.040 m
_BODY_INERTIA = (0.00112, 0.00129, 0.00076)  # kg m^2, of a solid block of the body's outer size
_FINGER_MASS = 0.03  # kg

# Chosen so that the pads close as measured on the 2F-85 (facts.json, pad_y_per_step_closing): at the force limit first,
# then in an exponential approach, and so that a 40 mm cube is squeezed with 60 N.
_STIFFNESS = 5740.0  # N/m of the finger's stroke
_FORCE_LIMIT = 137.0  # N, both fingers together
_FINGER_DAMPING = 257.0  # N s/m
_FINGER_ARMATURE = 0.3  # kg


def add_gripper(spec: mujoco.MjSpec, flange: mujoco.MjsBody) -> None:
    """Mount the gripper on a flange, with the tool centre point as site `tcp` and one actuator from 0 to 255."""
    for name, mesh in gripper_meshes().items():
        add_mesh(spec, name, mesh)
    hand = flange.add_body(name=BODY)
    hand.mass, hand.ipos, hand.inertia, hand.explicitinertial = _BODY_MASS, (0, 0, _BODY_COM), _BODY_INERTIA, True
    hand.gravcomp = 1
    for part, material in (("coupling", "dark"), ("body", "black"), ("palm", "grey")):
        add_visual(hand, VisualMesh(f"gripper_{part}", material))
    palm = hand.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=(0, 0, 0.052), size=(0.030, 0.036, 0.043))
    set_contact(palm, OBJECTS | FLOOR)
    # The turn is the body's, not the site's: before MuJoCo 3.15 a turned site's rotation actuators pull the wrong way.
    tool = hand.add_body(name=TCP_SITE, pos=(0, 0, PINCH_DISTANCE), quat=(0, 0, 0, 1))
    tool.add_site(name=TCP_SITE, group=4)
    for name, side in zip(JOINTS, (-1, 1), strict=True):
        _add_finger(hand, name, side)

    tendon = spec.add_tendon(name="fingers")
    for name in JOINTS:
        tendon.wrap_joint(name, 0.5)
    coupling = spec.add_equality(name="fingers", type=mujoco.mjtEq.mjEQ_JOINT, name1=JOINTS[0], name2=JOINTS[1])
    coupling.objtype = mujoco.mjtObj.mjOBJ_JOINT
    coupling.data[:5] = (0, 1, 0, 0, 0)
    coupling.solref, coupling.solimp = (0.005, 1), (0.95, 0.99, 0.001, 0.5, 2)

    actuator = spec.add_actuator(name=ACTUATOR, trntype=mujoco.mjtTrn.mjTRN_TENDON, target="fingers")
    actuator.gaintype, actuator.biastype = mujoco.mjtGain.mjGAIN_FIXED, mujoco.mjtBias.mjBIAS_AFFINE
    actuator.gainprm[0] = _STIFFNESS * STROKE / COMMAND_CLOSED
    actuator.biasprm[1] = -_STIFFNESS
    actuator.ctrllimited, actuator.ctrlrange = True, (0, COMMAND_CLOSED)
    actuator.forcelimited, actuator.forcerange = True, (-_FORCE_LIMIT, _FORCE_LIMIT)


def _add_finger(hand: mujoco.MjsBody, name: str, side: int) -> None:
    """Add the finger on one side of the hand; `side` is the sign of its y."""
    finger = hand.add_body(name=name)
    finger.mass, finger.ipos, finger.explicitinertial = _FINGER_MASS, (0, side * 0.055, 0.125), True
    finger.inertia = (1.2e-5, 1.1e-5, 3e-6)  # kg m^2, of a 0.02 x 0.02 x 0.065 m block
    finger.gravcomp = 1
    joint = finger.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=(0, -side * TRAVEL, _DROP))
    joint.range = (0, STROKE)
    joint.armature = _FINGER_ARMATURE
    set_linear(joint, damping=_FINGER_DAMPING)
    # Both fingers have the same meshes: half a turn about z takes one side to the other.
    turned = (0.0, 0.0, 0.0, 1.0) if side < 0 else (1.0, 0.0, 0.0, 0.0)
    for mesh, material in (("finger_knuckle", "finger_grey"), ("finger_link", "finger_grey"), ("finger_tip", "black")):
        add_visual(finger, VisualMesh(mesh, material, quat=turned))
    for z in _PAD_Z:
        add_visual(finger, VisualMesh("finger_pad", "dark", (0.0, side * _PAD_Y, z)))

    back = finger.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=(0, side * 0.0565, 0.128), size=(0.010, 0.0055, 0.024))
    set_contact(back, OBJECTS)
    # The floor meets a tip of its own: pads hard enough for a firm grasp would hit it with 650 N at full speed.
    tip = finger.add_geom(name=f"{name}_tip", type=mujoco.mjtGeom.mjGEOM_BOX, size=(0.011, 0.0095, 0.02))
    tip.pos = (0, side * (_PAD_Y - PAD_HALF_SIZE[1] + 0.0095), _PAD_Z[0] + PAD_HALF_SIZE[2] - 0.02)
    set_contact(tip, FLOOR)
    for number, (z, friction) in enumerate(zip(_PAD_Z, PAD_FRICTION, strict=True), start=1):
        pad = finger.add_geom(name=f"{name}_pad{number}", type=mujoco.mjtGeom.mjGEOM_BOX)
        pad.pos, pad.size = (0, side * _PAD_Y, z), PAD_HALF_SIZE
        pad.friction, pad.solref, pad.solimp = (friction, 0.005, 0.0001), (0.004, 1), (0.95, 0.99, 0.001, 0.5, 2)
        pad.priority, pad.condim = 1, 4  # the pad's friction counts, whatever it holds; condim 4 resists twisting
        set_contact(pad, OBJECTS)


def gripper_meshes() -> dict[str, Mesh]:
    """The gripper's visual meshes by name; fingers as on the side of positive y, when open."""
    palm = box((0.010, 0.014, 0.0015))
    return {
        "gripper_coupling": lathe([(0.0375, 0.0), (0.0375, 0.0095), (0.0345, 0.0125)]),
        "gripper_body": slab(
            [
                Section(0.0110, (-0.0300, 0.0300), (-0.0330, 0.0330), 4.0),
                Section(0.0180, (-0.0310, 0.0310), (-0.0370, 0.0370), 4.5),
                Section(0.0520, (-0.0310, 0.0310), (-0.0375, 0.0375), 5.0),
                Section(0.0700, (-0.0270, 0.0270), (-0.0370, 0.0370), 5.0),
                Section(0.0860, (-0.0190, 0.0190), (-0.0330, 0.0330), 5.0),
                Section(0.0945, (-0.0150, 0.0150), (-0.0260, 0.0260), 4.0),
            ]
        ),
        "gripper_palm": Mesh(palm.vertices + np.array([0, 0, 0.0950]), palm.faces),
        "finger_knuckle": beam((0, 0.0200, 0.0700), (0, 0.0680, 0.0940), 0.0065, 0.0120),
        "finger_link": beam((0, 0.0650, 0.0880), (0, 0.0555, 0.1420), 0.0050, 0.0095),
        "finger_tip": slab(
            [
                Section(0.1140, (-0.0095, 0.0095), (0.0520, 0.0610), 4.0),
                Section(0.1200, (-0.0110, 0.0110), (0.0507, 0.0615), 5.0),
                Section(0.1480, (-0.0110, 0.0110), (0.0507, 0.0590), 5.0),
                Section(0.1535, (-0.0105, 0.0105), (0.0507, 0.0550), 5.0),
            ]
        ),
        "finger_pad": box(PAD_HALF_SIZE),
    }
