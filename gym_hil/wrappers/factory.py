"""The whole stack in one call: what `gym.make` of every id with an operator builds."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from os import PathLike
from typing import Any, TypedDict

import gymnasium as gym
from gymnasium.envs.registration import WrapperSpec

from gym_hil import display
from gym_hil.display import ConsoleOptions
from gym_hil.teleop import Device
from gym_hil.teleop.operator import OperatorOptions
from gym_hil.teleop.registry import turns_by_default
from gym_hil.wrappers.action_map import ActionMap, ActionMapLike, check_action_space, choose_action_map
from gym_hil.wrappers.base import share, unshare
from gym_hil.wrappers.check_step import CheckStepWrapper
from gym_hil.wrappers.console_wrapper import ConsoleWrapper
from gym_hil.wrappers.ee_action import EEActionWrapper
from gym_hil.wrappers.gripper_penalty import GripperPenaltyWrapper
from gym_hil.wrappers.intervention import InputsControlWrapper, SuccessHook
from gym_hil.wrappers.viewer_wrapper import PassiveViewerWrapper

logger = logging.getLogger(__name__)

PENALTY = -0.02  # of a step that reverses the gripper


def wrap(
    env: gym.Env[Any, Any],
    device: str | Device | Sequence[str | Device] | None = None,
    *,
    action_map: ActionMapLike | None = None,
    success: SuccessHook | str | None = None,
    fps: float | None = None,
    use_viewer: bool = False,
    auto_reset: bool = False,
    gripper_penalty: float | None = PENALTY,
    reset_delay_seconds: float | None = None,
    controller_config_path: str | PathLike[str] | None = None,
    intervention: str | None = None,
    device_options: dict[str, Any] | None = None,
    console: ConsoleOptions | None = None,
) -> gym.Env[Any, Any]:
    """Let an operator drive any environment with a `Box` action of one dimension.

    From the inside out: `CheckStepWrapper`, `GripperPenaltyWrapper` where the action map has a gripper, and
    `InputsControlWrapper`, whose keys are then in info; then, where they are used, `ConsoleWrapper` or
    `PassiveViewerWrapper`.

    Example:
        >>> import gymnasium as gym
        >>> import gym_hil
        >>> env = gym_hil.wrap(gym.make("Pendulum-v1"), action_map="x=0")
        >>> _ = env.reset(seed=0)
        >>> *_, info = env.step(env.action_space.sample())
        >>> info["is_intervention"]
        False

    Args:
        env: the environment. A time limit has to be inside already.
        device: who drives: a device or its name, or several of these to be used together.
        action_map: which numbers of the action the operator sets: terms such as `x=0,y=1,gripper=-2`, an `ActionMap`, a
            function from a `TeleopCommand` to an action, or its name `module:function`. None to guess it from 3, 4, 6
            or 7 numbers.
        success: takes the place of the environment's own success; see `InputsControlWrapper`.
        fps: steps per second; None for what the environment says: `control_dt`, else `metadata["render_fps"]`, else 10.
        use_viewer: show the environment: in MuJoCo's viewer if it has `model` and `data`, or on the web console where
            there is no display. One made with `render_mode="human"` has a window of its own.
        auto_reset: the step after the end of an episode starts the next one, as with Gymnasium's `Autoreset`.
        gripper_penalty: `discrete_penalty` in info of a step that reverses the gripper; None for none.
        reset_delay_seconds: s from a reset to the first step, at least; if None, 1 s where a human drives, else 0 s.
        controller_config_path: mapping file for gamepads; None for the bundled one.
        intervention: `toggle`, `stay`, `hold` or `auto`; None leaves the device's own, which is `toggle`.
        device_options: constructor arguments for devices given by name.
        console: how the web console is reached, where it is used; None for its defaults.

    Raises:
        ConfigurationError: the action space is of another kind, the map does not fit, or an argument has a value that
            cannot work.
        UnknownDeviceError: no device has that name.
        MissingExtraError: the device "web" is asked for without its extra.
    """
    check_action_space(env)
    chosen = choose_action_map(action_map, env)
    env = CheckStepWrapper(env)
    if gripper_penalty is not None and isinstance(chosen, ActionMap) and chosen.gripper is not None:
        env = GripperPenaltyWrapper(env, penalty=gripper_penalty, action_map=chosen)
    return _add_operator(
        env,
        use_viewer=use_viewer,
        show_ui=False,
        console=console,
        auto_reset=auto_reset,
        controller_config_path=controller_config_path,
        device=device,
        intervention=intervention,
        device_options=device_options,
        success=success,
        reset_delay_seconds=reset_delay_seconds,
        action_map=action_map,
        fps=fps,
    )


class EEActionStepSize(TypedDict):
    """How far an action of 1 moves the end effector, in m."""

    x: float
    y: float
    z: float


def wrap_env(
    env: gym.Env[Any, Any],
    ee_step_size: EEActionStepSize | None = None,
    use_viewer: bool = False,
    use_gamepad: bool = False,
    use_gripper: bool = True,
    use_inputs_control: bool = False,
    auto_reset: bool = False,
    show_ui: bool = True,
    gripper_penalty: float | None = PENALTY,
    reset_delay_seconds: float | None = None,
    controller_config_path: str | PathLike[str] | None = None,
    *,
    device: str | Device | Sequence[str | Device] | None = None,
    intervention: str | None = None,
    device_options: dict[str, Any] | None = None,
    orientation: bool | None = None,
    success: SuccessHook | str | None = None,
    console: ConsoleOptions | None = None,
    action_map: ActionMapLike | None = None,
) -> gym.Env[Any, Any]:
    """Wrap a task for policies and operators.

    From the inside out: `GripperPenaltyWrapper`, `EEActionWrapper` and `InputsControlWrapper`, then where they are used
    `ConsoleWrapper` and `PassiveViewerWrapper`. The console is used where its page drives; and where there is no
    display and the extra `web` is installed, in place of the viewer and of the window of `render_mode="human"`.

    Args:
        env: a task with 7 numbers in its action. A time limit has to be inside already.
        ee_step_size: m along `x`, `y` and `z` that an action of 1 moves; 0.025 each if None.
        use_viewer: show the simulation in MuJoCo's viewer, or on the web console where there is no display.
        use_gamepad: a gamepad drives, if no `device` is given.
        use_gripper: the action has a number for the gripper.
        use_inputs_control: an operator drives: with a gamepad if `use_gamepad` is True, else with the keyboard, if no
            `device` is given.
        auto_reset: the step after the end of an episode starts the next one, as with Gymnasium's `Autoreset`.
        show_ui: open the viewer's panels.
        gripper_penalty: `discrete_penalty` in info of a step that reverses the gripper; None for none.
        reset_delay_seconds: s from a reset to the first step, at least; if None, 1 s where a human drives, else 0 s.
        controller_config_path: mapping file for gamepads; None for the bundled one.
        device: who drives: a device or its name, or several of these to be used together.
        intervention: `toggle`, `stay`, `hold` or `auto`; None leaves the device's own, which is `toggle`.
        device_options: constructor arguments for devices given by name.
        orientation: the action has a rotation vector; None if a device is made for that, as a headset is.
        success: takes the place of the task's own success; see `InputsControlWrapper`.
        console: how the web console is reached, where it is used; None for its defaults.
        action_map: how the operator's command becomes this action; see `wrap`.

    Returns:
        The wrapped environment.

    Raises:
        ConfigurationError: an argument has a value that cannot work.
        UnknownDeviceError: no device has that name.
        MissingExtraError: the device "web" is asked for without its extra.
    """
    if gripper_penalty is not None:
        env = GripperPenaltyWrapper(env, penalty=gripper_penalty)
    if orientation is None:
        orientation = any(turns_by_default(entry) for entry in OperatorOptions(device=unshare(device)).devices)
    env = EEActionWrapper(env, ee_step_size, use_gripper=use_gripper, orientation=orientation)
    return _add_operator(
        env,
        use_viewer=use_viewer,
        show_ui=show_ui,
        console=console,
        auto_reset=auto_reset,
        use_gamepad=use_gamepad if use_gamepad or use_inputs_control else None,
        controller_config_path=controller_config_path,
        device=device,
        intervention=intervention,
        device_options=device_options,
        success=success,
        reset_delay_seconds=reset_delay_seconds,
        action_map=action_map,
    )


def _add_operator(
    task: gym.Env[Any, Any], *, use_viewer: bool, show_ui: bool, console: ConsoleOptions | None, **options: Any
) -> gym.Env[Any, Any]:
    """Add `InputsControlWrapper` by its options, and show it on the web console, in MuJoCo's viewer, or not at all."""
    if console is not None:
        from gym_hil.console import get_console

        get_console(console)
    no_window = (use_viewer or task.render_mode == "human") and display.uses_console()
    env = InputsControlWrapper(task, **options)
    if no_window and env.keyboard_is_missing:
        logger.warning("The page that shows the environment reads the keys in its place.")
        env.replace_device("web")
    shown: gym.Env[Any, Any] = env
    if no_window or (env.device is not None and env.device.on_page):
        shown = ConsoleWrapper(env)
    if use_viewer and not no_window and hasattr(env.unwrapped, "model") and hasattr(env.unwrapped, "data"):
        shown = PassiveViewerWrapper(shown, show_left_ui=show_ui, show_right_ui=show_ui)
    return shown


WRAP_OPTIONS = tuple(inspect.signature(wrap_env).parameters)[1:]
_SHARED = ("action_map", "device", "device_options", "success")


def make_env(env_id: str, **kwargs: Any) -> gym.Env[Any, Any]:
    """Make a task and wrap it for policies and operators.

    Args:
        env_id: a task with 7 numbers in its action, for example `gym_hil/PandaPickCubeBase-v0`.
        **kwargs: those of `wrap_env`, and of the task itself. The time limit is that of the id;
            `max_episode_steps` replaces it, -1 by none.
    """
    options = {name: kwargs.pop(name) for name in WRAP_OPTIONS if name in kwargs}
    # A spec instead of an id: Gymnasium's remarks on old versions are then made once, about the id that was asked for.
    return wrap_env(gym.make(gym.spec(env_id), disable_env_checker=True, **kwargs), **options)


# The ids are made in two parts, because the wrappers belong outside of the time limit, which `gym.make` adds to what an
# id's entry point returns: the entry point makes the bare task, and the id's additional wrapper is one of the functions
# below that wraps it.


def make_task(env_id: str, **kwargs: Any) -> gym.Env[Any, Any]:
    """Entry point of the ids with an operator; see `wrap_task`."""
    return make_watched_task(env_id, **{key: kwargs[key] for key in kwargs if key not in WRAP_OPTIONS})


def make_watched_task(env_id: str, show_ui: bool = True, **kwargs: Any) -> gym.Env[Any, Any]:
    """Entry point of the ids with MuJoCo's viewer and the task's own action; see `watch_task`."""
    return gym.make(gym.spec(env_id), disable_env_checker=True, **kwargs).unwrapped


def wrap_task(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """Wrap a task by the keyword arguments of its id."""
    spec = env.unwrapped.spec
    assert spec is not None
    spec.kwargs = {name: share(value) if name in _SHARED else value for name, value in spec.kwargs.items()}
    return _made_by("wrap_task", wrap_env(env, **{key: spec.kwargs[key] for key in WRAP_OPTIONS if key in spec.kwargs}))


def watch_task(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """Show a task by the keyword arguments of its id."""
    spec = env.unwrapped.spec
    assert spec is not None
    show_ui = spec.kwargs.get("show_ui", True)
    return _made_by("watch_task", PassiveViewerWrapper(env, show_left_ui=show_ui, show_right_ui=show_ui))


def _made_by(function: str, wrapped: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """Name the function in the environment's spec, in place of the wrappers that it chose by the id's arguments."""
    spec = wrapped.spec
    assert spec is not None
    spec.additional_wrappers = (WrapperSpec(function, f"{__name__}:{function}", {}),)
    return wrapped
