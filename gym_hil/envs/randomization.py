"""Domain randomisation: what `randomize=` varies between episodes, its ranges, and how a draw changes the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_hil.errors import ConfigurationError
from gym_hil.rendering.renderer import VISIBLE_GROUPS
from gym_hil.robot.controller import POSITION_ACTUATORS, ROTATION_ACTUATORS
from gym_hil.robot.gripper import JOINTS as FINGERS
from gym_hil.robot.gripper import PAD_FRICTION
from gym_hil.robot.panda import MATERIALS
from gym_hil.rotations import quaternion_matrix, rotation_quaternion

FLOOR_TEXTURE = "grid"
NOISE_SEED = "noise_seed"  # in a draw with observation noise: the seed of the episode's noise
# Kinds of geoms with a size along each axis, and with a radius and a length.
_BOXY = {mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_ELLIPSOID}
_ROUND = {mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_CYLINDER}


class Range(NamedTuple):
    """What one name of `randomize=` varies."""

    about: str  # what the values are, with their unit, for messages and docs/randomization.md
    limits: tuple[float, float]  # minimum and maximum that a range may have
    light: tuple[float, float]  # range in the preset "light", likewise `full`
    full: tuple[float, float]
    whole: bool = False  # whether only whole numbers are drawn


RANGES: dict[str, Range] = {
    "object_colour": Range("added to red, green and blue (0 to 1) of each object", (-1, 1), (-0.05, 0.05), (-0.2, 0.2)),
    "robot_colour": Range("added to red, green and blue (0 to 1) of the robot", (-1, 1), (-0.05, 0.05), (-0.3, 0.3)),
    "floor_colour": Range("added to red, green and blue (0 to 1) of the floor", (-1, 1), (-0.05, 0.05), (-0.2, 0.3)),
    "light_brightness": Range("factor on all light", (0, 4), (0.9, 1.1), (0.6, 1.3)),
    "light_position": Range("m, added to x, y and z of each light", (-2, 2), (-0.1, 0.1), (-0.8, 0.8)),
    "camera_position": Range("m, added to x, y and z of each camera", (-0.5, 0.5), (-0.003, 0.003), (-0.01, 0.01)),
    "camera_rotation": Range("degrees, about the axes of each camera", (-45, 45), (-0.5, 0.5), (-2, 2)),
    "camera_fovy": Range("degrees, added to the field of view of each camera", (-20, 40), (-0.5, 0.5), (-2, 2)),
    "object_size": Range("factor on the size of each object", (0.5, 1.5), (0.97, 1.03), (0.85, 1.15)),
    "object_mass": Range("factor on the mass of each object", (0.1, 10), (0.9, 1.1), (0.5, 2)),
    "friction": Range("factor on the friction of objects and finger pads", (0.1, 10), (0.9, 1.1), (0.7, 1.5)),
    "controller_stiffness": Range("factor on the controller's stiffness", (0.2, 3), (0.97, 1.03), (0.8, 1.2)),
    "controller_damping": Range("factor on the controller's damping", (0.5, 2), (0.97, 1.03), (0.8, 1.2)),
    "action_delay": Range("steps from an action to its execution", (0, 20), (0, 0), (0, 2), whole=True),
    "observation_noise": Range(
        "m and rad, standard deviation of the noise on positions and joint angles", (0, 0.1), (0, 0.0005), (0, 0.003)
    ),
}
PRESETS = ("light", "full")

Ranges = Mapping[str, tuple[float, float]]
Draw = dict[str, Any]  # name -> what was drawn: a number, or nested lists of numbers


def parse_ranges(randomize: bool | str | Mapping[str, ArrayLike] | None) -> dict[str, tuple[float, float]]:
    """The ranges that `randomize=` means: none for False, those of a preset, or (low, high) by name; else an error."""
    if randomize is None or randomize is False:
        return {}
    if isinstance(randomize, str) and randomize in PRESETS:
        return {name: getattr(entry, randomize) for name, entry in RANGES.items()}
    if not isinstance(randomize, Mapping):
        raise ConfigurationError(
            f"randomize is {randomize!r}; expected False, {', '.join(map(repr, PRESETS))}, or (low, high) for any of "
            f"{', '.join(RANGES)}."
        )
    return {name: _checked_range(name, value) for name, value in randomize.items()}


def _checked_range(name: str, value: Any) -> tuple[float, float]:
    if name not in RANGES:
        raise ConfigurationError(f"randomize has {name!r}; expected any of {', '.join(RANGES)}.")
    (lowest, highest), whole = RANGES[name].limits, RANGES[name].whole
    try:
        low, high = map(float, value)
    except (TypeError, ValueError):
        low = high = float("nan")
    if not lowest <= low <= high <= highest or (whole and (low % 1 or high % 1)):
        kind = "whole numbers" if whole else "numbers"
        raise ConfigurationError(
            f"randomize[{name!r}] is {value!r}; expected two {kind}, (low, high), low first, within {lowest:g} and "
            f"{highest:g}: {RANGES[name].about}."
        )
    return low, high


class Randomization:
    """Draws and applies what varies in one model.

    Objects are the bodies with a free joint. Geoms and markers that have an object's colour keep the same colour as it.

    Args:
        model: as compiled; a draw without values restores it.
        ranges: from `parse_ranges`.
        scaled_together: bodies that are widened together, in x and y alone; every other object is scaled by itself.
    """

    def __init__(self, model: mujoco.MjModel, ranges: Ranges, scaled_together: tuple[str, ...] = ()):
        self._model, self._ranges = model, ranges
        self._scratch = mujoco.MjData(model)
        free = [int(b) for b in model.jnt_bodyid[model.jnt_type == mujoco.mjtJoint.mjJNT_FREE]]
        together = [model.body(name).id for name in scaled_together]
        # Each group has one factor, and the axes that it scales.
        self._scaled = [([body], np.ones(3)) for body in free if body not in together]
        if together:
            self._scaled.append((together, np.array([1.0, 1.0, 0.0])))
        self._free = free
        bodies = model.geom_bodyid
        objects = np.isin(bodies, [*free, *together])
        self._object_geoms = np.flatnonzero(objects)
        self._colours = _colour_groups(model)
        self._materials = [model.material(name).id for name in MATERIALS]
        self._texture = _texture_slice(model, FLOOR_TEXTURE)
        pads = range(1, len(PAD_FRICTION) + 1)
        self._pads = [model.geom(f"{finger}_pad{number}").id for finger in FINGERS for number in pads]
        self._servos = [model.actuator(name).id for name in (*POSITION_ACTUATORS, *ROTATION_ACTUATORS)]
        self._nominal = {name: getattr(model, name).copy() for name in _CHANGED}
        head = model.vis.headlight
        self._headlight = (head.ambient.copy(), head.diffuse.copy())
        self._extent, self._center = float(model.stat.extent), model.stat.center.copy()
        self._shapes: dict[str, tuple[int, ...]] = {
            "object_colour": (len(self._colours), 3),
            "robot_colour": (3,),
            "floor_colour": (3,),
            "light_position": (model.nlight, 3),
            "camera_position": (model.ncam, 3),
            "camera_rotation": (model.ncam, 3),
            "camera_fovy": (model.ncam,),
            "object_size": (len(self._scaled),),
            "object_mass": (len(free),),
        }

    def draw(self, rng: np.random.Generator) -> Draw:
        """Draw values for an episode, in the order of `RANGES`: numbers and lists of numbers, which JSON can hold."""
        drawn: Draw = {}
        for name, entry in RANGES.items():
            if name in self._ranges:
                low, high = self._ranges[name]
                shape = self._shapes.get(name, ())
                value = rng.integers(int(low), int(high) + 1) if entry.whole else rng.uniform(low, high, shape)
                drawn[name] = value.tolist() if shape else int(value) if entry.whole else float(value)
        if drawn.get("observation_noise"):
            drawn[NOISE_SEED] = int(rng.integers(2**31))
        return drawn

    def checked(self, draw: Any) -> Draw:
        """A draw as plain numbers and lists, if it fits the model; else a ConfigurationError."""
        if not isinstance(draw, Mapping):
            raise ConfigurationError(f"randomization is {draw!r}; expected values by name, as info['randomization'].")
        limits = {**{name: entry.limits for name, entry in RANGES.items()}, NOISE_SEED: (0, 2**31)}
        plain: Draw = {}
        for name, value in draw.items():
            if name not in limits:
                raise ConfigurationError(f"randomization has {name!r}; expected any of {', '.join(limits)}.")
            (low, high), shape = limits[name], self._shapes.get(name, ())
            whole = name == NOISE_SEED or RANGES[name].whole
            try:
                numbers = np.asarray(value, dtype=float)
            except (TypeError, ValueError):
                numbers = np.array(np.nan)
            fits = numbers.shape == shape and bool(((low <= numbers) & (numbers <= high)).all())
            if not fits or (whole and (numbers % 1).any()):
                kind = "whole numbers" if whole else "numbers"
                raise ConfigurationError(
                    f"randomization[{name!r}] is {value!r}; expected {kind} of shape {shape} within {low:g} and "
                    f"{high:g}."
                )
            plain[name] = int(numbers) if whole else numbers.tolist()
        return plain

    def apply(self, draw: Mapping[str, Any]) -> None:
        """Apply a draw to the model; whatever it leaves out is as compiled."""
        model, scratch = self._model, self._scratch
        for name, values in self._nominal.items():
            getattr(model, name)[...] = values
        if self._texture is not None:
            model.tex_data[self._texture.where] = self._texture.shifted(draw.get("floor_colour"))
        self._look(draw)
        self._resize(draw.get("object_size", ()), draw.get("object_mass", ()))
        if "friction" in draw:
            model.geom_friction[self._object_geoms, 0] *= draw["friction"]
            model.geom_friction[self._pads, 0] *= draw["friction"]
        if "controller_stiffness" in draw:
            model.actuator_gainprm[self._servos, 0] *= draw["controller_stiffness"]
            model.actuator_biasprm[self._servos, 1] *= draw["controller_stiffness"]
        if "controller_damping" in draw:
            model.actuator_biasprm[self._servos, 2] *= draw["controller_damping"]
        # The solver's constants follow from masses; the extent, which the scene gives, would be computed anew as well.
        mujoco.mj_setConst(model, scratch)
        model.stat.extent, model.stat.center = self._extent, self._center

    def rise(self, draw: Mapping[str, Any]) -> dict[int, float]:
        """Id of a body -> m that it has to be lifted, so that it rests where it rests with its size as compiled."""
        lifts = {}
        aabb = self._nominal["geom_aabb"]
        for factor, (bodies, axes) in zip(draw.get("object_size", ()), self._scaled, strict=False):
            for body in bodies:
                geoms = np.flatnonzero(self._model.geom_bodyid == body)
                bottom = (self._nominal["geom_pos"][geoms, 2] + aabb[geoms, 2] - aabb[geoms, 5]).min()
                lifts[body] = -float(bottom) * (factor - 1) * float(axes[2])
        return lifts

    def _look(self, draw: Mapping[str, Any]) -> None:
        model = self._model
        for shift, geoms in zip(draw.get("object_colour", ()), self._colours, strict=False):
            model.geom_rgba[geoms, :3] = np.clip(model.geom_rgba[geoms, :3] + shift, 0, 1)
        if "robot_colour" in draw:
            rgb = model.mat_rgba[self._materials, :3]
            model.mat_rgba[self._materials, :3] = np.clip(rgb + draw["robot_colour"], 0, 1)
        brightness = draw.get("light_brightness", 1.0)
        model.light_diffuse[:] *= brightness
        head = model.vis.headlight
        head.ambient, head.diffuse = (brightness * part for part in self._headlight)
        model.light_pos[:] += draw.get("light_position", 0.0)
        model.cam_pos[:] += draw.get("camera_position", 0.0)
        model.cam_fovy[:] += draw.get("camera_fovy", 0.0)
        turned = np.empty(4)
        for quat, degrees in zip(model.cam_quat, draw.get("camera_rotation", ()), strict=False):
            mujoco.mju_mulQuat(turned, quat, rotation_quaternion(np.radians(degrees)))
            quat[:] = turned

    def _resize(self, sizes: Any, masses: Any) -> None:
        model = self._model
        for factor, (bodies, axes) in zip(sizes, self._scaled, strict=False):
            scale = 1 + (factor - 1) * axes
            for body in bodies:
                for geom in np.flatnonzero(model.geom_bodyid == body):
                    _scale_geom(model, int(geom), scale)
                _scale_inertia(model, body, scale)
                first, count = model.body_bvhadr[body], model.body_bvhnum[body]
                if count:
                    model.bvh_aabb[first : first + count] *= np.tile(scale, 2)
        for body, factor in zip(self._free, masses, strict=False):
            model.body_mass[body] *= factor
            model.body_inertia[body] *= factor


_CHANGED = (
    *("geom_rgba", "geom_size", "geom_pos", "geom_rbound", "geom_aabb", "geom_friction", "mat_rgba", "bvh_aabb"),
    *("body_mass", "body_inertia", "actuator_gainprm", "actuator_biasprm", "light_diffuse", "light_pos"),
    *("cam_pos", "cam_quat", "cam_fovy"),
)


class _Texture(NamedTuple):
    where: slice  # of `tex_data`
    pixels: NDArray[np.uint8]  # (n, 3)

    def shifted(self, colour: ArrayLike | None) -> NDArray[np.uint8]:
        """The pixels, flat, with red, green and blue (0 to 1) added."""
        if colour is None:
            return self.pixels.ravel()
        shift = np.rint(255 * np.asarray(colour)).astype(np.int16)
        return np.clip(self.pixels + shift, 0, 255).astype(np.uint8).ravel()


def _texture_slice(model: mujoco.MjModel, name: str) -> _Texture | None:
    number = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_TEXTURE, name)
    if number < 0 or model.tex_nchannel[number] != 3:
        return None
    start = int(model.tex_adr[number])
    where = slice(start, start + 3 * int(model.tex_height[number]) * int(model.tex_width[number]))
    return _Texture(where, model.tex_data[where].reshape(-1, 3).copy())


def _colour_groups(model: mujoco.MjModel) -> list[NDArray[np.intp]]:
    """The visible geoms of the task, those without a material, grouped by their colour."""
    shown = (model.geom_matid < 0) & (model.geom_group < VISIBLE_GROUPS) & (model.geom_rgba[:, 3] > 0)
    groups: dict[tuple[float, ...], list[int]] = {}
    for geom in np.flatnonzero(shown):
        groups.setdefault(tuple(model.geom_rgba[geom, :3].tolist()), []).append(int(geom))
    return [np.array(group) for group in groups.values()]


def _scale_geom(model: mujoco.MjModel, geom: int, scale: NDArray[np.float64]) -> None:
    """Scale a geom about its body's origin; a round one by the scale of x and y, and its length by that of z."""
    kind, size = mujoco.mjtGeom(model.geom_type[geom]), model.geom_size[geom]
    if kind not in _BOXY | _ROUND:
        return  # the vertices of a mesh are shared
    model.geom_pos[geom] *= scale
    if kind in _BOXY:
        size *= scale
    else:
        size[:2] *= scale[[0, 2]]
    model.geom_aabb[geom] *= np.tile(scale, 2)
    model.geom_rbound[geom] *= scale.max()


def _scale_inertia(model: mujoco.MjModel, body: int, scale: NDArray[np.float64]) -> None:
    """Scale a body's inertia as its size, with the same mass."""
    rotation = quaternion_matrix(model.body_iquat[body], is_unit=True)
    inertia = model.body_inertia[body]
    moments = inertia.sum() / 2 - inertia  # of the mass along the principal axes
    along = np.diag(
        rotation.T @ np.diag(scale) @ (rotation @ np.diag(moments) @ rotation.T) @ np.diag(scale) @ rotation
    )
    inertia[:] = along.sum() - along
