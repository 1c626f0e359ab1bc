"""A Gymnasium environment around one MuJoCo model: time steps, images, seeds, and saving and restoring an episode."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from gym_hil import display
from gym_hil.errors import (
    ConfigurationError,
    GymHilError,
    InvalidActionError,
    InvalidStateError,
    ResetNeededError,
    check,
    check_choice,
)
from gym_hil.rendering import RENDERERS, Renderer, make_renderer, window

Observation = dict[str, Any]

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION

PHYSICS_DT = 0.004  # s, the longest physics step with which benchmarks/results/environment.md meets every bar


@dataclass(frozen=True)
class GymRenderingSpec:
    """How images are rendered."""

    height: int = 128  # pixels
    width: int = 128  # pixels
    camera_id: str | int = -1  # name or number of the camera that `render()` uses; -1 is `front`
    mode: Literal["rgb_array", "human"] = "rgb_array"  # for callers that pass it; the env's `render_mode` decides


@dataclass(frozen=True)
class EnvState:
    """Everything that the future of an episode depends on."""

    physics: NDArray[np.float64]  # (n,) MuJoCo's integration state: positions, velocities, commands, warm start, time
    rng: dict[str, Any]  # state of the environment's random generator
    randomization: Mapping[str, Any] | None = None  # what was drawn for the episode, where something was
    pending: tuple[NDArray[np.float64], ...] = ()  # actions that are still to be executed


class MujocoGymEnv(gym.Env[Observation, NDArray[np.float32]], ABC):
    """Base of the environments: `mjspec`, `model`, `data` and everything that is not about a robot.

    The arguments besides `spec`, the scene, are those of `FrankaGymEnv`.
    """

    metadata = {"render_modes": ["human", "rgb_array"], "render_fps": 10}  # noqa: RUF012  # as Gymnasium has it

    def __init__(
        self,
        spec: mujoco.MjSpec,
        seed: int | None = None,
        control_dt: float = 0.1,
        physics_dt: float | None = None,
        render_spec: GymRenderingSpec | None = None,
        render_mode: Literal["rgb_array", "human"] | None = None,
        renderer: Literal["raster", "gl"] = "raster",
    ):
        self.n_substeps, self.physics_dt = substeps(control_dt, physics_dt)
        self.control_dt = control_dt
        self.render_spec = render_spec or GymRenderingSpec()
        for side in ("height", "width"):
            size = getattr(self.render_spec, side)
            check(isinstance(size, int) and size >= 1, f"render_spec.{side}", size, "a number of pixels, 1 or more")
        check_choice("render_mode", render_mode, [None, *self.metadata["render_modes"]])
        check_choice("renderer", renderer, RENDERERS)
        self.render_mode, self.renderer = render_mode, renderer
        self.metadata = {**type(self).metadata, "render_fps": round(1 / control_dt)}
        spec.option.timestep = self.physics_dt
        self.mjspec = spec
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self.camera = self._camera_name(self.render_spec.camera_id)
        self._state_size = mujoco.mj_stateSize(self.model, _STATE)
        self._renderer: Renderer | None = None
        self._view: ConsoleView | window.ViewerWindow | None = None
        self.shows_itself = True  # in human mode; False where a wrapper shows more
        self._started = False
        if seed is not None:
            super().reset(seed=seed)

    @abstractmethod
    def observation(self) -> Observation:
        """The observation of the present state; the same that `step` and `reset` return."""

    def render(self) -> NDArray[np.uint8] | None:  # type: ignore[override]
        """Render the present state.

        Returns:
            (height, width, 3) uint8 for "rgb_array"; None for "human", which updates the window or the web console,
            and without a mode.

        Raises:
            ResetNeededError: before the first `reset`.
        """
        self._need_reset("render")
        if self.render_mode == "rgb_array":
            return self.render_cameras([self.camera])[0]
        if self.render_mode == "human":
            self._show()
        else:
            gym.logger.warn(f"render() does nothing: {type(self).__name__} was made without a render_mode.")
        return None

    def render_cameras(self, cameras: Sequence[str]) -> list[NDArray[np.uint8]]:
        """Render the present state from several cameras; one (height, width, 3) uint8 image for each name."""
        if self._renderer is None:
            self._renderer = make_renderer(self.renderer, self.model, self.render_spec.height, self.render_spec.width)
        mujoco.mj_camlight(self.model, self.data)
        return self._renderer.render(self.data, cameras)

    def get_state(self) -> EnvState:
        """Save the state of the episode; `set_state` goes on from there, bit for bit.

        The step count of Gymnasium's `TimeLimit` is not part of it.
        """
        self._need_reset("get_state")
        physics = np.empty(self._state_size)
        mujoco.mj_getState(self.model, self.data, physics, _STATE)
        return EnvState(physics, dict(self.np_random.bit_generator.state))

    def set_state(self, state: EnvState) -> Observation:
        """Go back to a saved state and return its observation; an InvalidStateError if it does not fit."""
        physics = np.asarray(state.physics, dtype=np.float64)
        if physics.shape != (self._state_size,) or not np.isfinite(physics).all():
            raise InvalidStateError(
                f"physics has shape {physics.shape}; {type(self).__name__} needs {(self._state_size,)} finite numbers, "
                "as its own get_state() returns."
            )
        self._restore(state)
        return self.observation()

    def close(self) -> None:
        """Free the renderer, and close the window or leave the web console. A later `reset` opens them again."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
        if self._view is not None:
            self._view.close()
            self._view = None
        self._started = False

    def _restore(self, state: EnvState) -> None:
        mujoco.mj_setState(self.model, self.data, np.asarray(state.physics, dtype=np.float64), _STATE)
        self.np_random.bit_generator.state = state.rng
        mujoco.mj_forward(self.model, self.data)
        self._started = True

    def _advance(self) -> None:
        """Simulate one control step, then bring poses up to the new state; `mj_step` leaves them one substep behind."""
        mujoco.mj_step(self.model, self.data, self.n_substeps)
        mujoco.mj_kinematics(self.model, self.data)

    def _show(self) -> None:
        """Show the present state in human mode."""
        if self.shows_itself:
            if self._view is None:
                self._view = _open_human_view(self)
            self._view.sync()

    def _need_reset(self, what: str) -> None:
        if not self._started:
            raise ResetNeededError(f"{type(self).__name__}.{what}() was called before reset(); call env.reset() first.")

    def _camera_name(self, camera: str | int) -> str:
        names = [self.model.camera(k).name for k in range(self.model.ncam)]
        if camera == -1:
            return "front"
        if isinstance(camera, int) and 0 <= camera < len(names):
            return names[camera]
        check_choice("render_spec.camera_id", camera, names)
        return str(camera)


def substeps(control_dt: float, physics_dt: float | None) -> tuple[int, float]:
    """How many physics steps make one control step, and how many s each of them lasts."""
    if physics_dt is None and control_dt > 0:
        count = math.ceil(control_dt / PHYSICS_DT - 1e-9)
        return count, control_dt / count
    if physics_dt is None or not (physics_dt > 0 and control_dt > 0):
        raise ConfigurationError(
            f"control_dt is {control_dt!r} and physics_dt {physics_dt!r}; expected seconds above 0."
        )
    count = round(control_dt / physics_dt)
    if count < 1 or abs(count * physics_dt - control_dt) > 1e-9:
        raise ConfigurationError(
            f"control_dt {control_dt} s is not a multiple of physics_dt {physics_dt} s; "
            f"the nearest that fits is {max(count, 1) * physics_dt:g} s."
        )
    return count, physics_dt


def check_action(
    action: ArrayLike, low: NDArray[Any], high: NDArray[Any], dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """The action clipped to its limits (n,), a new array; an InvalidActionError if it is no n finite numbers."""
    try:
        values = np.asarray(action, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        # PyTorch refuses tensors that record gradients with a RuntimeError.
        advice = " Call .detach() on the tensor first." if getattr(action, "requires_grad", False) else ""
        raise InvalidActionError(f"action {action!r} is not an array of {low.size} numbers: {error}{advice}") from None
    if values.shape != low.shape:
        raise InvalidActionError(f"action has shape {values.shape}; expected {low.shape}.")
    if not all(map(math.isfinite, values.tolist())):  # several times faster than numpy on so few numbers
        raise InvalidActionError(f"action {values} has a value that is not finite.")
    return np.minimum(np.maximum(values, low), high).astype(dtype)


class ConsoleView:
    """An environment on the web console, without what only a wrapper has: who acts, and how the episode goes."""

    def __init__(self, env: MujocoGymEnv):
        from gym_hil.console import get_console

        self._channel = get_console().channel_for(env)

    def sync(self) -> None:
        self._channel.publish({})

    def close(self) -> None:
        self._channel.close()


def _open_human_view(env: MujocoGymEnv) -> ConsoleView | window.ViewerWindow:
    """The viewer where a window can open, else the console if it is installed, else a viewer that warns once."""
    if display.uses_console():
        try:
            return ConsoleView(env)
        except GymHilError as error:
            warnings.warn(f"The console does not start: {error}", stacklevel=5)
    return window.ViewerWindow(env.model, env.data)
