"""One control step of the Panda: from a 7-number action to an observation. Tasks build on it."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_hil.envs.mujoco_env import EnvState, GymRenderingSpec, MujocoGymEnv, Observation, check_action
from gym_hil.envs.randomization import NOISE_SEED, Randomization, parse_ranges
from gym_hil.errors import ConfigurationError, InvalidStateError, check, check_choice
from gym_hil.robot.controller import ROTATION_LIMIT
from gym_hil.robot.gripper import BODY as GRIPPER
from gym_hil.robot.gripper import COMMAND_CLOSED, STROKE, TCP_SITE
from gym_hil.robot.gripper import JOINTS as FINGERS
from gym_hil.robot.panda import JOINTS, LINKS
from gym_hil.rotations import rotation_matrix
from gym_hil.scene import (
    CAMERAS,
    FORCE_SENSOR,
    TORQUE_SENSOR,
    build_scene,
    commanded_rotation,
    finish_scene,
    rotation_command,
)

# Limits of one base action: m, rad, share of the gripper's travel.
ACTION_LIMIT = np.array([0.1, 0.1, 0.1, 0.5, 0.5, 0.5, 1.0], dtype=np.float32)

_SPEED_LIMIT = 30.0  # rad/s, ten times what the arm reaches: a bound for the observation space
_REACH = 2.0  # m, likewise
_FAR = 10.0  # m, likewise for things that were pushed away
_FORCE, _TORQUE = 1e4, 1e3  # N and N m, likewise
_RANDOMIZATION = "randomization"  # key of info and of the reset options
_TOUCH = 0.5  # N, contact force above which two bodies count as touching


class FrankaGymEnv(MujocoGymEnv, gym.utils.EzPickle):
    """The Panda with its gripper; a task adds objects, success and reward.

    A task is a subclass that overrides `add_objects`, `reset_objects`, `is_success`, and more where it needs to. See
    docs/adding_a_task.md.

    The action is float32 (7,): dx, dy, dz in m, a rotation vector in rad (base frame), and the change of the gripper
    command as a share of its travel (+1 closes). It moves the controller's target, which is kept
    inside the workspace.

    The observation is a dict: `agent_pos` float32 (18,): joint positions (rad), joint velocities (rad/s), gripper
    command (0 open to 255 closed), TCP position (m). With `image_obs`, `pixels`: `front` and `wrist`, each uint8
    (height, width, 3); without, `environment_state` float32 (m), the positions of the task's objects. With
    `force_torque_obs`, `force_torque` float32 (6,): N and N m that the flange exerts on the gripper, in the TCP's axes.

    `pickle` stores the constructor's arguments: what is loaded is a new environment, to be reset first. `copy.deepcopy`
    copies the episode as it stands: `EnvState`, nothing that a task keeps beside it.

    Attributes:
        checked_action: the next action, where a wrapper has checked and clipped this very array already.

    Args:
        seed: seeds `np_random` until `reset(seed=...)` does.
        control_dt: s, one environment step.
        physics_dt: s, one physics step; `control_dt` must be a multiple of it. None for the longest that is, of at most
            0.004 s.
        render_spec: size of images and the camera of `render()`.
        render_mode: None, "rgb_array" or "human".
        image_obs: observe images instead of the objects' positions.
        reward_type: "sparse" (1.0 on success, else 0.0) or "dense" (in [0, 1]).
        home_position: (7,) rad, where the arm starts.
        cartesian_bounds: (2, 3) m, lower and upper corner of the workspace.
        renderer: "raster" or "gl".
        force_torque_obs: add `force_torque` to the observation.
        randomize: False, "light", "full", or (low, high) for names of `gym_hil.envs.randomization.RANGES`: what is
            drawn anew at each reset. `reset` returns it as `info["randomization"]`, and takes it as the option
            `randomization`, which replaces values that are drawn. See docs/randomization.md.

    Raises:
        ConfigurationError: an argument has a value that cannot work.
    """

    HOME: ClassVar[tuple[float, ...]] = (0.0, -0.785, 0.0, -2.35, 0.0, 1.57, np.pi / 4)  # rad
    BOUNDS: ClassVar[tuple[tuple[float, ...], ...]] = ((0.2, -0.3, 0.0), (0.6, 0.3, 0.5))  # m
    RESET_OPTIONS: ClassVar[tuple[str, ...]] = ()  # keys that `reset(options=...)` understands
    SCALED_TOGETHER: ClassVar[tuple[str, ...]] = ()  # bodies that must fit: `randomize` widens them by one factor

    def __init__(
        self,
        seed: int | None = None,
        control_dt: float = 0.1,
        physics_dt: float | None = None,
        render_spec: GymRenderingSpec | None = None,
        render_mode: Literal["rgb_array", "human"] | None = None,
        image_obs: bool = False,
        reward_type: Literal["sparse", "dense"] = "sparse",
        home_position: ArrayLike | None = None,
        cartesian_bounds: ArrayLike | None = None,
        renderer: Literal["raster", "gl"] = "raster",
        force_torque_obs: bool = False,
        randomize: bool | str | Mapping[str, ArrayLike] | None = False,
    ):
        gym.utils.EzPickle.__init__(
            self, seed, control_dt, physics_dt, render_spec, render_mode, image_obs, reward_type, home_position,
            cartesian_bounds, renderer, force_torque_obs, randomize,
        )  # fmt: skip
        ranges = parse_ranges(randomize)
        check_choice("reward_type", reward_type, ["sparse", "dense"])
        self.image_obs, self.reward_type, self.force_torque_obs = bool(image_obs), reward_type, bool(force_torque_obs)
        self.home_position = _home(self.HOME if home_position is None else home_position)
        self.cartesian_bounds = _bounds(self.BOUNDS if cartesian_bounds is None else cartesian_bounds)
        scene = build_scene(self.home_position, self.cartesian_bounds, force_torque=self.force_torque_obs)
        self.add_objects(scene)
        finish_scene(scene)
        super().__init__(scene, seed, control_dt, physics_dt, render_spec, render_mode, renderer)
        self._tcp = self.data.site(TCP_SITE)
        self._tcp_pos, self._ctrl, self._target = self._tcp.xpos, self.data.ctrl, self.data.ctrl[:3]
        self._fingers = [self.model.joint(name).qposadr[0] for name in FINGERS]
        self._finger_bodies = [self.model.body(name).id for name in FINGERS]
        self._gripper_bodies = {self.model.body(GRIPPER).id, *self._finger_bodies}
        # Their address in qpos and qvel is the same: the arm comes first and all its joints are hinges.
        self._arm_qpos, self._arm_qvel = self.data.qpos[: len(JOINTS)], self.data.qvel[: len(JOINTS)]
        self.action_space = gym.spaces.Box(-ACTION_LIMIT, ACTION_LIMIT, dtype=np.float32)
        self.checked_action: NDArray[np.float32] | None = None
        self._randomization = Randomization(self.model, ranges, self.SCALED_TOGETHER) if ranges else None
        self._drawn: Mapping[str, Any] = {}
        self._delay, self._noise = 0, 0.0  # steps; standard deviation in m and rad
        self._pending: deque[NDArray[np.float64]] = deque()
        self._go_home()
        self.observation_space = self._describe_observation()

    def add_objects(self, spec: mujoco.MjSpec) -> None:
        """Add what the task needs to the scene."""

    def reset_objects(self, options: dict[str, Any]) -> None:
        """Put the objects where the episode starts, by `self.np_random` and the reset options."""

    def environment_state(self) -> NDArray[np.float64]:
        """Positions of the task's objects in m, flattened."""
        return np.zeros(0)

    def is_success(self) -> bool:
        """True when the task is done."""
        return False

    def is_failure(self) -> bool:
        """True when the task cannot be done any more."""
        return False

    def dense_reward(self) -> float:
        """How far the task has come, in [0, 1]."""
        return 0.0

    @property
    def tcp_position(self) -> NDArray[np.float64]:
        """(3,) m, the point between the finger tips."""
        return self._tcp_pos.copy()

    @property
    def tcp_target(self) -> NDArray[np.float64]:
        """(3,) m, where the controller moves that point to."""
        return self._ctrl[:3].copy()

    @property
    def tcp_rotation(self) -> NDArray[np.float64]:
        """(3, 3), orientation of the tool: it points along its z, the fingers move along its y."""
        return self._tcp.xmat.reshape(3, 3).copy()

    @property
    def tcp_rotation_target(self) -> NDArray[np.float64]:
        """(3, 3), orientation that the controller turns the tool to."""
        return commanded_rotation(self._ctrl[3:6])

    @property
    def gripper_command(self) -> float:
        """The gripper's command: 0 open to 1 closed."""
        return float(self._ctrl[6]) / COMMAND_CLOSED

    @property
    def gripper_closed(self) -> float:
        """The fingers' position: 0 open to 1 closed."""
        return float(self.data.qpos[self._fingers[0]]) / STROKE

    @property
    def gripper_contacts(self) -> set[tuple[int, int]]:
        """Pairs of bodies that touch: the gripper and something else, or what the gripper holds and something else."""
        pairs: set[tuple[int, int]] = set()
        force = np.empty(6)
        for number, contact in enumerate(self.data.contact):
            mujoco.mj_contactForce(self.model, self.data, number, force)
            if force[0] > _TOUCH:
                first, second = sorted(int(self.model.geom_bodyid[geom]) for geom in contact.geom)
                pairs.add((first, second))
        fingers = [{a + b - finger for a, b in pairs if finger in (a, b)} for finger in self._finger_bodies]
        held = set.intersection(*fingers) - self._gripper_bodies
        return {pair for pair in pairs if len(self._gripper_bodies & {*pair}) == 1 or held & {*pair}}

    def fingers_touching(self, geom: str) -> set[str]:
        """Names of the finger bodies whose pads press on a geom of the scene."""
        touched, pairs = self.model.geom(geom).id, self.data.contact.geom
        others = pairs[(pairs == touched).any(axis=1)].sum(axis=1) - touched
        return {self.model.body(self.model.geom_bodyid[other]).name for other in others} & set(FINGERS)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: the same seed starts the same episode.
            options: see `RESET_OPTIONS` of the task; and `randomization`, values in place of drawn ones.

        Returns:
            The first observation, and info with `succeed`, and `randomization` where something is randomised.

        Raises:
            ConfigurationError: an option is unknown or out of range.
        """
        gym.Env.reset(self, seed=seed)
        options = dict(options or {})
        for key in options:
            check_choice("a key of reset(options=...)", key, [*self.RESET_OPTIONS, _RANDOMIZATION])
        given = options.pop(_RANDOMIZATION, None)
        if given is not None:
            given = self._get_randomization().checked(given)
        self._go_home()
        self.reset_objects(options)
        info: dict[str, Any] = {"succeed": False}
        if self._randomization is not None:
            draw = {**self._randomization.draw(self.np_random), **(given or {})}
            self._randomize(draw)
            # The caller may change what it gets: the model must not count as having it then.
            info[_RANDOMIZATION] = copy.deepcopy(draw)
        mujoco.mj_forward(self.model, self.data)
        self._started = True
        if self.render_mode == "human":
            self._show()
        return self.observation(), info

    def step(self, action: ArrayLike) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Move the target by an action and simulate one control step.

        Args:
            action: (7,) see the class; finite values out of range are clipped.

        Returns:
            Observation, reward, terminated (success, or an object out of reach), truncated (always False here), and
            info with `succeed`.

        Raises:
            InvalidActionError: the shape is wrong or a value is not finite; nothing has moved then.
            ResetNeededError: before the first `reset`.
        """
        if not self._started:
            self._need_reset("step")
        checked, self.checked_action = self.checked_action, None
        if checked is None or action is not checked:
            checked = check_action(action, -ACTION_LIMIT, ACTION_LIMIT, np.float64)
        if self._delay:
            checked = self._delayed(checked)
        self._command(checked)
        self._advance()
        succeed = self.is_success()
        reward = self.dense_reward() if self.reward_type == "dense" else float(succeed)
        observation = self.observation()
        if self.render_mode == "human":
            self._show()
        return observation, reward, succeed or self.is_failure(), False, {"succeed": succeed}

    def observation(self) -> Observation:
        """The observation of the present state; see the class."""
        agent = np.empty(18, dtype=np.float32)
        agent[0:7] = self._arm_qpos
        agent[7:14] = self._arm_qvel
        agent[14] = self._ctrl[6]
        agent[15:18] = self._tcp_pos
        observation: Observation = {"agent_pos": agent}
        if self.image_obs:
            observation["pixels"] = dict(zip(CAMERAS, self.render_cameras(CAMERAS), strict=True))
        else:
            observation["environment_state"] = self.environment_state().astype(np.float32)
        if self.force_torque_obs:
            observation["force_torque"] = self._force_torque()
        if self._noise:
            self._add_noise(observation)
        return observation

    def get_state(self) -> EnvState:
        state = super().get_state()
        if not self._drawn:
            return state
        return dataclasses.replace(state, randomization=self._drawn, pending=tuple(self._pending))

    def _has_left(self, positions: NDArray[np.float64]) -> bool:
        """Whether any of some positions, (n, 3) m, is beside the workspace, seen from above."""
        (x_min, y_min, _), (x_max, y_max, _) = self.cartesian_bounds.tolist()
        return not all(x_min <= x <= x_max and y_min <= y <= y_max for x, y, _ in positions.tolist())

    def _command(self, action: NDArray[Any]) -> None:
        """Move the controller's target; a target that is never re-read from the arm does not drift."""
        # plain numbers: several times faster than numpy's
        ctrl = self._ctrl
        dx, dy, dz, turn_x, turn_y, turn_z, gripper = action.tolist()
        x, y, z = self._target.tolist()
        (x_min, y_min, z_min), (x_max, y_max, z_max) = self.cartesian_bounds.tolist()
        ctrl[0] = min(max(x + dx, x_min), x_max)
        ctrl[1] = min(max(y + dy, y_min), y_max)
        ctrl[2] = min(max(z + dz, z_min), z_max)
        if turn_x or turn_y or turn_z:
            ctrl[3:6] = _turned(ctrl[3:6], action[3:6])
        if gripper:
            ctrl[6] = min(max(ctrl[6] + COMMAND_CLOSED * action[6], 0.0), COMMAND_CLOSED)

    def _force_torque(self) -> NDArray[np.float32]:
        # Forces are known only after the constraint solver has run on the very state that is observed. The next step
        # starts the solver from where it would without, so that to observe forces changes nothing.
        start = self.data.qacc_warmstart.copy()
        mujoco.mj_forward(self.model, self.data)
        self.data.qacc_warmstart[:] = start
        force, torque = self.data.sensor(FORCE_SENSOR).data, self.data.sensor(TORQUE_SENSOR).data
        return np.concatenate([force, torque]).astype(np.float32)

    def _get_randomization(self) -> Randomization:
        if self._randomization is None:
            self._randomization = Randomization(self.model, {}, self.SCALED_TOGETHER)
        return self._randomization

    def _randomize(self, draw: Mapping[str, Any]) -> None:
        """Apply a draw at the start of an episode, and lift objects to rest on the floor."""
        self._apply(draw)
        for body, rise in self._get_randomization().rise(draw).items():
            if rise:
                self.data.qpos[self.model.jnt_qposadr[self.model.body_jntadr[body]] + 2] += rise
        # The solver would start from the accelerations of the model before.
        self.data.qacc_warmstart[:] = 0

    def _apply(self, draw: Mapping[str, Any]) -> None:
        if draw != self._drawn:
            self._get_randomization().apply(draw)
            self._drawn = draw
            self._delay, self._noise = int(draw.get("action_delay", 0)), float(draw.get("observation_noise", 0.0))
        self._pending.clear()

    def _delayed(self, action: NDArray[Any]) -> NDArray[Any]:
        """Queue an action. Returns the one that is due: that of `_delay` steps ago, or zeros in the first steps."""
        self._pending.append(action.copy())
        return self._pending.popleft() if len(self._pending) > self._delay else np.zeros_like(action)

    def _add_noise(self, observation: Observation) -> None:
        """Add noise that depends on nothing but the episode and its step: the same state is observed the same again."""
        step = round(self.data.time / self.control_dt)
        rng = np.random.default_rng([int(self._drawn.get(NOISE_SEED, 0)), step])
        agent = observation["agent_pos"]
        agent[0:7] += self._noise * rng.standard_normal(7)
        agent[15:18] += self._noise * rng.standard_normal(3)
        if not self.image_obs:
            positions = observation["environment_state"]
            positions += np.float32(self._noise) * rng.standard_normal(positions.shape, dtype=np.float32)

    def _restore(self, state: EnvState) -> None:
        draw = state.randomization or {}
        if draw != self._drawn:
            try:
                draw = self._get_randomization().checked(draw)
            except ConfigurationError as error:
                raise InvalidStateError(f"The state is of another kind of environment: {error}") from error
        self._apply(draw)
        self._pending.extend(action.copy() for action in state.pending)
        super()._restore(state)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "spec": self.spec}

    def __setstate__(self, d: dict[str, Any]) -> None:
        super().__setstate__(d)
        self.spec = d["spec"]

    def __deepcopy__(self, memo: dict[int, Any]) -> FrankaGymEnv:
        make: Any = type(self)
        copied = memo[id(self)] = make(*self._ezpickle_args, **self._ezpickle_kwargs)
        copied.spec = copy.deepcopy(self.spec, memo)
        copied._np_random, copied._np_random_seed = copy.deepcopy((self._np_random, self._np_random_seed))
        if self._started:
            copied._restore(self.get_state())
        return copied

    def _go_home(self) -> None:
        mujoco.mj_resetDataKeyframe(self.model, self.data, 0)
        mujoco.mj_forward(self.model, self.data)

    def _describe_observation(self) -> gym.spaces.Dict:
        ranges = np.array([link.range for link in LINKS])
        low, high = ranges[:, 0] - 0.2, ranges[:, 1] + 0.2  # rad, MuJoCo's limits give way a little
        agent_low = [*low, *[-_SPEED_LIMIT] * 7, 0.0, *[-_REACH] * 3]
        agent_high = [*high, *[_SPEED_LIMIT] * 7, COMMAND_CLOSED, *[_REACH] * 3]
        spaces: dict[str, gym.Space[Any]] = {
            "agent_pos": gym.spaces.Box(np.array(agent_low, np.float32), np.array(agent_high, np.float32))
        }
        if self.image_obs:
            shape = (self.render_spec.height, self.render_spec.width, 3)
            image = gym.spaces.Box(0, 255, shape, dtype=np.uint8)
            spaces["pixels"] = gym.spaces.Dict(dict.fromkeys(CAMERAS, image))
        else:
            spaces["environment_state"] = gym.spaces.Box(-_FAR, _FAR, self.environment_state().shape, dtype=np.float32)
        if self.force_torque_obs:
            limit = np.array([_FORCE] * 3 + [_TORQUE] * 3, np.float32)
            spaces["force_torque"] = gym.spaces.Box(-limit, limit)
        return gym.spaces.Dict(spaces)


def _turned(command: NDArray[np.float64], rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation command (3,) rad, from a tool that points down and in its axes, after a turn in the base frame."""
    result = rotation_command(rotation_matrix(rotation) @ commanded_rotation(command))
    return result * min(1.0, ROTATION_LIMIT / max(math.sqrt(result.dot(result)), 1e-12))


def _home(position: ArrayLike) -> NDArray[np.float64]:
    home = np.asarray(position, dtype=np.float64)
    ranges = np.array([link.range for link in LINKS])
    fits = home.shape == (7,) and ((ranges[:, 0] <= home) & (home <= ranges[:, 1])).all()
    check(fits, "home_position", position, f"7 joint angles in rad within {ranges.tolist()}")
    return home


def _bounds(corners: ArrayLike) -> NDArray[np.float64]:
    bounds = np.asarray(corners, dtype=np.float64)
    fits = bounds.shape == (2, 3) and np.isfinite(bounds).all() and (bounds[0] < bounds[1]).all()
    check(fits, "cartesian_bounds", corners, "the lower and upper corner of the workspace, each x, y, z in m")
    return bounds
