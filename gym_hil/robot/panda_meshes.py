"""The visual meshes of the Panda's links, lofted from cross sections.

Outer dimensions were measured on the Franka link meshes (franka_description, Apache-2.0); no vertex is theirs.
All numbers are metres in the link's own frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gym_hil.robot.shapes import RING_POINTS, Mesh, Section, box, lathe, loft, slab, superellipse

_FINE = RING_POINTS * 3 // 2  # the dark discs show their rim to the front camera

# Shoulder elbow of links 1 and 2: inner and outer point (y, z) of each ring, half width along x, exponent.
_SHOULDER = [
    ((0.055, -0.192), (-0.055, -0.192), 0.0550, 2.0),
    ((0.055, -0.140), (-0.056, -0.140), 0.0550, 2.0),
    ((0.051, -0.104), (-0.066, -0.106), 0.0550, 2.0),
    ((0.032, -0.074), (-0.086, -0.083), 0.0550, 2.05),
    ((0.008, -0.060), (-0.109, -0.057), 0.0545, 2.2),
    ((0.000, -0.056), (-0.1255, -0.026), 0.0545, 2.4),
    ((0.000, -0.055), (-0.1290, 0.006), 0.0550, 2.5),
    ((0.000, -0.055), (-0.1215, 0.034), 0.0550, 2.5),
    ((0.000, -0.055), (-0.1020, 0.050), 0.0550, 2.4),
    ((0.000, -0.055), (-0.0700, 0.0548), 0.0550, 2.2),
    ((0.000, -0.055), (-0.0330, 0.0552), 0.0550, 2.05),
    ((0.000, -0.055), (0.0, 0.055), 0.0550, 2.0),
]

# Elbow of links 3 and 4: centre x, inner and outer point (y, z), half width, turn about y in degrees, exponent.
_ELBOW = [
    (0.0000, (-0.0550, -0.121), (0.0550, -0.121), 0.0550, 0, 2.0),
    (0.0000, (-0.0550, -0.101), (0.0555, -0.101), 0.0550, 2, 2.0),
    (0.0060, (-0.0535, -0.084), (0.0600, -0.083), 0.0565, 14, 2.0),
    (0.0210, (-0.0500, -0.066), (0.0740, -0.063), 0.0590, 26, 2.05),
    (0.0430, (-0.0400, -0.053), (0.0925, -0.037), 0.0610, 33, 2.15),
    (0.0620, (-0.0220, -0.050), (0.1065, -0.010), 0.0600, 28, 2.3),
    (0.0750, (-0.0060, -0.053), (0.1110, 0.014), 0.0570, 15, 2.45),
    (0.0815, (0.0000, -0.055), (0.1050, 0.038), 0.0552, 5, 2.45),
    (0.0825, (0.0000, -0.055), (0.0860, 0.0515), 0.0550, 0, 2.35),
    (0.0825, (0.0000, -0.055), (0.0560, 0.0548), 0.0550, 0, 2.15),
    (0.0825, (0.0000, -0.055), (0.0270, 0.0552), 0.0550, 0, 2.05),
    (0.0825, (0.0000, -0.055), (0.0, 0.055), 0.0550, 0, 2.0),
]

# Forearm (link 5), tube to blade to wrist barrel: z, y from, y to, half width along x, exponent.
_FOREARM = [
    (-0.2590, -0.0550, 0.0550, 0.0550, 2.0),
    (-0.2380, -0.0550, 0.0610, 0.0550, 2.05),
    (-0.2140, -0.0530, 0.0820, 0.0535, 2.2),
    (-0.1900, -0.0470, 0.0935, 0.0500, 2.3),
    (-0.1680, -0.0280, 0.0985, 0.0445, 2.3),
    (-0.1480, 0.0060, 0.1025, 0.0390, 2.4),
    (-0.1280, 0.0430, 0.1055, 0.0345, 2.6),
    (-0.1040, 0.0615, 0.1090, 0.0322, 2.9),
    (-0.0800, 0.0590, 0.1135, 0.0335, 3.0),
    (-0.0580, 0.0310, 0.1205, 0.0400, 3.0),
    (-0.0380, 0.0170, 0.1265, 0.0465, 3.3),
    (-0.0160, 0.0155, 0.1295, 0.0500, 3.8),
    (0.0080, 0.0155, 0.1300, 0.0510, 3.8),
    (0.0280, 0.0160, 0.1290, 0.0435, 3.6),
    (0.0430, 0.0175, 0.1255, 0.0290, 3.0),
    (0.0515, 0.0240, 0.1150, 0.0100, 2.4),
]

# The dark cover on the forearm's back, columns as above.
_FOREARM_COVER = [
    (-0.1720, 0.084, 0.1000, 0.0180, 2.5),
    (-0.1500, 0.080, 0.1045, 0.0300, 3.0),
    (-0.1280, 0.078, 0.1078, 0.0335, 3.0),
    (-0.1040, 0.079, 0.1110, 0.0335, 3.0),
    (-0.0800, 0.079, 0.1155, 0.0350, 3.0),
    (-0.0580, 0.078, 0.1225, 0.0415, 3.3),
    (-0.0380, 0.078, 0.1285, 0.0478, 3.6),
    (-0.0160, 0.078, 0.1315, 0.0515, 4.0),
    (0.0080, 0.078, 0.1320, 0.0522, 4.0),
    (0.0280, 0.078, 0.1310, 0.0447, 3.8),
    (0.0440, 0.079, 0.1270, 0.0300, 3.0),
    (0.0530, 0.084, 0.1160, 0.0100, 2.5),
]

# The light plate let into that cover, columns as above.
_FOREARM_PLATE = [
    (-0.1500, 0.090, 0.1035, 0.0100, 3.0),
    (-0.1400, 0.090, 0.1075, 0.0175, 3.0),
    (-0.1040, 0.090, 0.1123, 0.0195, 3.0),
    (-0.0700, 0.090, 0.1185, 0.0215, 3.0),
    (-0.0450, 0.090, 0.1280, 0.0290, 3.0),
    (-0.0160, 0.090, 0.1332, 0.0350, 3.2),
    (0.0120, 0.090, 0.1334, 0.0350, 3.2),
    (0.0300, 0.090, 0.1320, 0.0240, 3.0),
    (0.0360, 0.090, 0.1310, 0.0120, 2.6),
]

_BASE_REAR = [
    Section(0.0000, (-0.1530, 0.0450), (-0.0800, 0.0800), 5.0),
    Section(0.0120, (-0.1520, 0.0450), (-0.0800, 0.0800), 5.0),
    Section(0.0125, (-0.1380, 0.0450), (-0.0775, 0.0775), 5.0),
    Section(0.0700, (-0.1250, 0.0450), (-0.0755, 0.0755), 5.0),
    Section(0.0900, (-0.1040, 0.0450), (-0.0715, 0.0715), 4.2),
    Section(0.1070, (-0.0810, 0.0480), (-0.0620, 0.0620), 3.2),
    Section(0.1250, (-0.0610, 0.0520), (-0.0555, 0.0555), 2.4),
    Section(0.1395, (-0.0548, 0.0548), (-0.0548, 0.0548), 2.0),
]

_WRIST_BRIDGE = [
    Section(-0.010, (-0.0440, 0.0460), (-0.0120, 0.0460), 3.0),
    Section(0.020, (-0.0450, 0.0600), (-0.0160, 0.0505), 3.4),
    Section(0.045, (-0.0475, 0.0680), (-0.0280, 0.0515), 3.6),
    Section(0.070, (-0.0490, 0.0680), (-0.0400, 0.0470), 3.6),
    Section(0.088, (-0.0495, 0.0670), (-0.0420, 0.0430), 3.2),
]

_GRIP = [
    Section(0.0200, (-0.0220, 0.0220), (0.0630, 0.1000), 4.0),
    Section(0.0780, (-0.0215, 0.0215), (0.0650, 0.0985), 4.0),
    Section(0.1000, (-0.0190, 0.0190), (0.0670, 0.0970), 3.6),
    Section(0.1075, (-0.0140, 0.0140), (0.0720, 0.0920), 3.0),
]

_GRIP_BUTTONS = [
    Section(0.1000, (-0.0125, 0.0125), (0.0745, 0.0895), 3.0),
    Section(0.1095, (-0.0115, 0.0115), (0.0755, 0.0885), 2.6),
]


def panda_meshes() -> dict[str, Mesh]:
    """All visual meshes by name; `panda.LINKS` assigns them to links, with pose and material."""
    return {
        "base": lathe([(0.0725, 0), (0.0715, 0.012), (0.065, 0.02), (0.0615, 0.06), (0.0575, 0.105), (0.055, 0.14)]),
        "base_rear": slab(_BASE_REAR),
        "base_foot": box([0.016, 0.094, 0.006]),
        "base_panel": box([0.030, 0.0012, 0.020]),
        "base_socket": _disc(0.007, 0.003),
        "shoulder": _bent([(0.0, inner, outer, half, 0.0, exponent) for inner, outer, half, exponent in _SHOULDER]),
        "elbow": _bent(_ELBOW),
        "elbow_band": lathe(
            [(0.0545, 0.064), (0.0566, 0.068), (0.0566, 0.092), (0.0535, 0.103), (0.0460, 0.1105)], "y", points=_FINE
        ),
        "elbow_disc": lathe([(0.0390, 0.1095), (0.0375, 0.1130), (0.024, 0.1145)], "y", points=_FINE),
        "forearm": _blade(_FOREARM),
        "forearm_cover": _blade(_FOREARM_COVER),
        "forearm_plate": _blade(_FOREARM_PLATE),
        "wrist_barrel": lathe([(0.048, -0.015), (0.048, 0.030)]),
        "wrist_rim": lathe(
            [(0.0475, 0.029), (0.0487, 0.032), (0.0487, 0.047), (0.0450, 0.0545), (0.0390, 0.0570)], points=_FINE
        ),
        "wrist_disc": _disc(0.031, 0.0012),
        "wrist_dot": _disc(0.011, 0.0006),
        "wrist_bridge": slab(_WRIST_BRIDGE, "x"),
        "wrist_head": lathe(
            [(0.0425, -0.051), (0.0435, -0.046), (0.0425, -0.015), (0.0435, 0.030), (0.045, 0.06), (0.0449, 0.0685)],
            "y",
            (0.088, 0, 0),
            _FINE,
        ),
        "wrist_cap": lathe(
            [(0.0452, 0.0680), (0.0448, 0.0710), (0.0425, 0.0760), (0.0360, 0.0800), (0.024, 0.0822)],
            "y",
            (0.088, 0, 0),
            _FINE,
        ),
        "flange_ring": lathe([(0.0430, 0.052), (0.0440, 0.055), (0.0440, 0.1005)]),
        "flange_plate": _disc(0.0435, 0.0033),
        "grip": slab(_GRIP, "x"),
        "grip_buttons": slab(_GRIP_BUTTONS, "x"),
        "seam": _disc(0.0555, 0.0007),
        "wrist_seam": _disc(0.0475, 0.0007),
    }


def _disc(radius: float, half_height: float) -> Mesh:
    return lathe([(radius, -half_height), (radius, half_height)])


def _blade(rows: list[tuple[float, float, float, float, float]]) -> Mesh:
    return slab([Section(z, (-half, half), (low, high), exponent) for z, low, high, half, exponent in rows])


def _bent(rows: Sequence[tuple[float, tuple[float, float], tuple[float, float], float, float, float]]) -> Mesh:
    rings = []
    for x, (inner_y, inner_z), (outer_y, outer_z), half, degrees, exponent in rows:
        inner, outer = np.array([x, inner_y, inner_z]), np.array([x, outer_y, outer_z])
        turn = np.deg2rad(degrees)
        sideways = [half * np.cos(turn), 0, -half * np.sin(turn)]
        rings.append(superellipse((inner + outer) / 2, sideways, (outer - inner) / 2, exponent))
    return loft(rings)
